//! Cuts a selector into words. Knows no grammar but that of numbers, strings, names and paths.

use super::fault::{Fault, FaultKind};
use super::tree::{Header, Name, PAYLOAD, Step};
use super::{MAX_PATH_STEPS, MAX_TEXT};

/// A word of a selector.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a path.
    Name(Name),
    /// A reserved word.
    Word(Word),
    /// A string, without its quotes.
    Text(String),
    /// An exact number; up to 2^63, which only a minus brings into range.
    Integer(u64),
    /// An approximate number.
    Float(f64),
    /// An operator or a mark.
    Symbol(&'static str),
    /// Nothing is left.
    End,
}

/// A reserved word; upper and lower case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    And,
    Or,
    Not,
    Between,
    In,
    Like,
    Escape,
    Is,
    Null,
    True,
    False,
}

/// The words of a text, one after the other.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, Fault> {
        if text.len() > MAX_TEXT {
            return Err(FaultKind::TooLong(text.len()).at(text, 0));
        }
        if text.trim().is_empty() {
            return Err(FaultKind::Empty.at(text, 0));
        }
        Ok(Self { text, at: 0 })
    }

    pub(super) fn fault(&self, kind: FaultKind, at: usize) -> Fault {
        kind.at(self.text, at)
    }

    /// The text from a place on.
    pub(super) fn text(&self, at: usize) -> &'a str {
        &self.text[at..]
    }

    /// The next word, and where it begins.
    pub(super) fn next(&mut self) -> Result<(Token, usize), Fault> {
        self.at = self.text.len() - self.rest().trim_start().len();
        let at = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok((Token::End, at));
        };
        let token = match first {
            '\'' => Token::Text(self.quoted('\'', FaultKind::OpenString)?),
            '"' => Token::Name(name(self.quoted_name()?)),
            '0'..='9' => self.number()?,
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            _ if begins_name(first) => self.name()?,
            _ => self.symbol(first)?,
        };
        Ok((token, at))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes what a test lets through.
    fn take_while(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !test(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn symbol(&mut self, first: char) -> Result<Token, Fault> {
        for (text, kind) in REFUSED {
            if self.rest().starts_with(text) {
                return Err(self.fault(kind.clone(), self.at));
            }
        }
        for symbol in SYMBOLS {
            if self.take(symbol) {
                return Ok(Token::Symbol(symbol));
            }
        }
        Err(self.fault(FaultKind::Character(first), self.at))
    }

    /// What stands between two quotes; a quote in it is written twice.
    fn quoted(&mut self, quote: char, open: FaultKind) -> Result<String, Fault> {
        let begin = self.at;
        let mut text = String::new();
        loop {
            self.at += 1;
            text.push_str(self.take_while(|c| c != quote));
            if self.rest().is_empty() {
                return Err(self.fault(open, begin));
            }
            self.at += 1;
            if !self.rest().starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
        }
    }

    fn quoted_name(&mut self) -> Result<String, Fault> {
        let begin = self.at;
        let name = self.quoted('"', FaultKind::OpenName)?;
        if name.is_empty() {
            return Err(self.fault(FaultKind::EmptyName, begin));
        }
        Ok(name)
    }

    fn name(&mut self) -> Result<Token, Fault> {
        let text = self.take_while(continues_name);
        if text == PAYLOAD {
            return Ok(Token::Name(Name::Payload(self.path()?)));
        }
        Ok(match Word::of(text) {
            Some(word) => Token::Word(word),
            None => Token::Name(name(text.to_owned())),
        })
    }

    /// The steps behind `payload`.
    fn path(&mut self) -> Result<Vec<Step>, Fault> {
        let mut steps = Vec::new();
        loop {
            let begin = self.at;
            let step = if self.take(".") {
                Step::Member(match self.rest().chars().next() {
                    Some('"') => self.quoted_name()?,
                    Some(c) if begins_name(c) => self.take_while(continues_name).to_owned(),
                    _ => return Err(self.fault(FaultKind::Path, begin)),
                })
            } else if self.take("[") {
                let digits = self.take_while(|c| c.is_ascii_digit());
                let number = digits.parse().map_err(|_| self.fault(FaultKind::Path, begin))?;
                if !self.take("]") {
                    return Err(self.fault(FaultKind::Path, begin));
                }
                Step::Element(number)
            } else {
                return Ok(steps);
            };
            if steps.len() == MAX_PATH_STEPS {
                return Err(self.fault(FaultKind::PathTooDeep, begin));
            }
            steps.push(step);
        }
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let begin = self.at;
        let token = if self.take("0x") || self.take("0X") {
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            self.integer(digits, 16, begin)?
        } else {
            self.decimal(begin)?
        };
        if self.rest().starts_with(|c: char| continues_name(c) || c == '.') {
            return Err(self.fault(FaultKind::Number, begin));
        }
        Ok(token)
    }

    fn decimal(&mut self, begin: usize) -> Result<Token, Fault> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        let mut is_float = false;
        if self.take(".") {
            is_float = true;
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.take("e") || self.take("E") {
            is_float = true;
            if !self.take("+") {
                self.take("-");
            }
            if self.take_while(|c| c.is_ascii_digit()).is_empty() {
                return Err(self.fault(FaultKind::Number, begin));
            }
        }
        if !is_float {
            return match digits.strip_prefix('0') {
                Some(octal) if !octal.is_empty() => self.integer(octal, 8, begin),
                _ => self.integer(digits, 10, begin),
            };
        }
        match self.text[begin..self.at].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Token::Float(number)),
            _ => Err(self.fault(FaultKind::OutOfRange, begin)),
        }
    }

    fn integer(&mut self, digits: &str, radix: u32, begin: usize) -> Result<Token, Fault> {
        if digits.is_empty() {
            return Err(self.fault(FaultKind::Number, begin));
        }
        if radix == 8 && digits.contains(['8', '9']) {
            return Err(self.fault(FaultKind::Octal, begin));
        }
        let number = u64::from_str_radix(digits, radix).ok();
        let number = number.filter(|number| *number <= MINUS_MIN);
        let number = number.ok_or_else(|| self.fault(FaultKind::OutOfRange, begin))?;
        if !self.take("L") {
            self.take("l");
        }
        Ok(Token::Integer(number))
    }
}

impl Word {
    fn of(text: &str) -> Option<Self> {
        WORDS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, word)| *word)
    }

    pub(super) fn text(self) -> &'static str {
        let found = WORDS.iter().find(|(_, word)| *word == self);
        found.map_or("", |(name, _)| name)
    }
}

fn name(text: String) -> Name {
    Header::of(&text).map_or_else(|| Name::Property(text), Name::Header)
}

/// Whether a name may begin with this without quotes.
pub(super) fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

/// Whether a name may go on with this without quotes.
pub(super) fn continues_name(c: char) -> bool {
    begins_name(c) || c.is_alphanumeric()
}

/// Whether a word has a meaning of its own, so that a name must be quoted.
pub(super) fn is_reserved(text: &str) -> bool {
    text == PAYLOAD || Word::of(text).is_some()
}

/// What the lowest integer is without its sign.
pub(super) const MINUS_MIN: u64 = i64::MIN.unsigned_abs();

/// Longer ones first.
const SYMBOLS: &[&str] = &["<>", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "(", ")", ","];

const REFUSED: &[(&str, FaultKind)] = &[
    ("!=", FaultKind::NotEqual),
    ("==", FaultKind::DoubleEqual),
    ("%", FaultKind::Remainder),
    ("--", FaultKind::Comment),
    ("/*", FaultKind::Comment),
    ("//", FaultKind::Comment),
];

const WORDS: &[(&str, Word)] = &[
    ("AND", Word::And),
    ("OR", Word::Or),
    ("NOT", Word::Not),
    ("BETWEEN", Word::Between),
    ("IN", Word::In),
    ("LIKE", Word::Like),
    ("ESCAPE", Word::Escape),
    ("IS", Word::Is),
    ("NULL", Word::Null),
    ("TRUE", Word::True),
    ("FALSE", Word::False),
];
