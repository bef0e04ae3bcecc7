//! What is wrong with a selector, and where. Knows no grammar.

use std::fmt::{self, Write as _};

/// A selector that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Where, in bytes from the beginning of the text.
    pub at: usize,
    /// Where, in characters; the first is 1.
    pub column: usize,
}

/// What is wrong with a selector; each message says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// Nothing but white space.
    #[error("the selector is empty; leave it out to get every message")]
    Empty,
    /// More than [`super::MAX_TEXT`] bytes.
    #[error("the selector has {0} bytes; at most 65536 are allowed")]
    TooLong(usize),
    /// Nested more than [`super::MAX_NESTING`] deep.
    #[error("more than 256 levels of parentheses, NOT and signs")]
    TooDeep,
    /// More payload paths than [`super::MAX_PATHS`].
    #[error("more than 64 different payload paths")]
    TooManyPaths,
    /// A payload path of more steps than [`super::MAX_PATH_STEPS`].
    #[error("a payload path of more than 32 steps")]
    PathTooDeep,
    /// A character that begins nothing.
    #[error("{0:?} means nothing here")]
    Character(char),
    /// `!=`
    #[error("!= is not known; write <>")]
    NotEqual,
    /// `==`
    #[error("== is not known; write =")]
    DoubleEqual,
    /// `%` as an operator.
    #[error("% is not known outside of a LIKE pattern: there is no remainder")]
    Remainder,
    /// `--`, `/*` or `//`.
    #[error("comments are not allowed (write - - for two signs)")]
    Comment,
    /// A string that does not end.
    #[error("the string that begins here has no closing '")]
    OpenString,
    /// A quoted name that does not end.
    #[error("the name that begins here has no closing \"")]
    OpenName,
    /// `""`
    #[error("an empty name; a string stands in single quotes: ''")]
    EmptyName,
    /// A number followed by what belongs to no number.
    #[error("not a number; a name that begins with a digit needs double quotes")]
    Number,
    /// An 8 or 9 after a leading zero.
    #[error("a leading 0 makes the number octal: only digits 0 to 7")]
    Octal,
    /// Beyond 64 bits, or beyond a double.
    #[error("the number is out of range")]
    OutOfRange,
    /// `payload` with something after it that is no path.
    #[error("after payload a path goes on with .name, .\"name\" or [number]")]
    Path,
    /// Something is there where something else is needed.
    #[error("{wanted} is needed here, not {found}")]
    Unexpected {
        /// What is there.
        found: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// A name followed by a parenthesis.
    #[error("there are no functions")]
    Function,
    /// `1 < a < 3`
    #[error("comparisons cannot be chained; write AND between two, or use BETWEEN")]
    Chained,
    /// `a = NULL`
    #[error("NULL is not compared; write IS NULL or IS NOT NULL")]
    Null,
    /// `<` beside a string or a boolean.
    #[error("strings and booleans are compared with = and <> only")]
    Ordering,
    /// `+` beside a string, a boolean or a condition.
    #[error("only numbers and names can be calculated with")]
    Arithmetic,
    /// A comparison beside a comparison.
    #[error("a condition cannot be compared; it is true or false by itself")]
    ComparedCondition,
    /// A number, a string or a calculation alone.
    #[error("this is no condition: compare it with something")]
    NoCondition,
    /// IN, LIKE or IS after something that is no name.
    #[error("{0} needs a name before it")]
    NameBefore(&'static str),
    /// `IN ()`
    #[error("the list of IN is empty")]
    EmptyList,
    /// ESCAPE with a string that is not one character long.
    #[error("ESCAPE needs exactly one character")]
    Escape,
    /// A pattern that ends with its escape character.
    #[error("the pattern ends with its ESCAPE character, which must stand before another")]
    OpenEscape,
    /// A long piece of a pattern with `_` between two `%`.
    #[error("a part of the pattern between two % that has a _ is longer than 1024 characters")]
    LongPattern,
}

impl FaultKind {
    /// The fault at a place of a text.
    pub(super) fn at(self, text: &str, at: usize) -> Fault {
        let before = text.get(..at).unwrap_or(text);
        Fault {
            kind: self,
            at,
            column: before.chars().count() + 1,
        }
    }
}

impl Fault {
    /// The line of the text with the fault, a caret under it, and what is wrong; long lines are cut.
    pub fn explain(&self, text: &str) -> String {
        let (before, behind) = text.split_at_checked(self.at).unwrap_or((text, ""));
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let before: Vec<char> = before[begin..].chars().map(plain).collect();
        let shown = &before[before.len().saturating_sub(MOST_SHOWN)..];
        let behind = behind.lines().next().unwrap_or_default();
        let mut out: String = shown.iter().collect();
        out.extend(behind.chars().map(plain).take(MOST_SHOWN));
        let indent = shown.len();
        write!(out, "\n{:indent$}^ {self}", "").expect("a String takes all text");
        out
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.column, self.kind)
    }
}

impl std::error::Error for Fault {}

/// What takes one column and does not move the cursor.
fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Characters shown on each side of a fault.
const MOST_SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_fault() {
        let text = "α = 1 AND\nβ == 2";
        let fault = FaultKind::DoubleEqual.at(text, text.find("==").expect("it is there"));
        assert_eq!(fault.column, 13);
        assert_eq!(
            fault.explain(text),
            "β == 2\n  ^ at character 13: == is not known; write ="
        );
        let long = "x".repeat(1_000) + "!" + &"y".repeat(1_000);
        let explained = FaultKind::Character('!').at(&long, 1_000).explain(&long);
        let lines: Vec<&str> = explained.lines().collect();
        assert_eq!(lines[0].len(), 2 * MOST_SHOWN);
        assert_eq!(lines[0].find('!'), lines[1].find('^'));
    }
}
