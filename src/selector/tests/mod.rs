//! Tables of selectors, the examples of the page, and selectors that nobody wrote.

mod fuzz;
mod sample;
mod tables;

pub(super) use sample::Sample;
