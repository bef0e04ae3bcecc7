mod fuzz;
mod sample;
mod tables;
