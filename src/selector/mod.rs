#![doc = include_str!("../../docs/selectors.md")]

mod compile;
mod evaluate;
mod fault;
mod json;
mod lexer;
mod like;
mod parser;
mod print;
mod set;
#[cfg(test)]
mod speed_tests;
#[cfg(test)]
mod tests;
mod tree;
mod value;

pub use compile::{Selector, Selectors};
pub use fault::{Fault, FaultKind};
pub use like::Pattern;
pub use parser::parse;
pub use set::{Asked, SelectorSet, SetBuilder, Source};
pub use tree::{Comparison, Condition, Header, Literal, Name, Operand, Scale, Sign, Step};
pub use value::{Truth, Value};

/// The longest selector, bytes.
pub const MAX_TEXT: usize = 64 << 10;
/// How deep parentheses, NOT and signs may be nested.
pub const MAX_NESTING: usize = 256;
/// How many different payload paths a selector may have.
pub const MAX_PATHS: usize = 64;
/// How many steps a payload path may have.
pub const MAX_PATH_STEPS: usize = 32;
/// The largest payload that is looked into, bytes; of a larger one every path is NULL.
pub const MAX_PAYLOAD: usize = 1 << 20;
