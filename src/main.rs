//! The `rewindmq` program.

fn main() {}
