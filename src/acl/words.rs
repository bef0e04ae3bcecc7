//! Cuts a line of an access control file into words, and knows the column of each.

use super::AclFault;

/// What is left of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    line: &'a str,
    number: u32,
    rest: &'a str,
}

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Without the quotes that may be around it.
    pub text: String,
    /// The byte of the line where it begins.
    pub at: usize,
    pub is_quoted: bool,
}

impl<'a> Words<'a> {
    pub fn new(line: &'a str, number: u32) -> Self {
        Self {
            line,
            number,
            rest: line,
        }
    }

    /// The next word: up to white space or one of `ends`, or in double quotes.
    pub fn next(&mut self, ends: &[char]) -> Result<Option<Word>, AclFault> {
        self.skip_space();
        let at = self.at();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            return self.quoted(quoted, at).map(Some);
        }
        let end = self.rest.find(|c: char| c.is_whitespace() || ends.contains(&c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let word = Word {
            text: word.to_owned(),
            at,
            is_quoted: false,
        };
        Ok((!word.text.is_empty()).then_some(word))
    }

    fn quoted(&mut self, quoted: &'a str, at: usize) -> Result<Word, AclFault> {
        let (mut text, mut chars) = (String::new(), quoted.char_indices());
        while let Some((index, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = &quoted[index + 1..];
                    return Ok(Word {
                        text,
                        at,
                        is_quoted: true,
                    });
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        Err(self.fault(at, "this quotation mark has no other; write \"name\""))
    }

    /// Goes past a sign, if it is the next thing that is no white space.
    pub fn skip(&mut self, sign: char) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Everything that is left, without white space around it, and where it stands.
    pub fn remainder(&mut self) -> (&'a str, usize) {
        self.skip_space();
        let at = self.at();
        (std::mem::take(&mut self.rest).trim_end(), at)
    }

    /// The byte of the line that comes next.
    pub fn at(&self) -> usize {
        self.line.len() - self.rest.len()
    }

    /// A fault at a byte of the line.
    pub fn fault(&self, at: usize, what: impl Into<String>) -> AclFault {
        let before = self.line.get(..at).unwrap_or(self.line);
        AclFault {
            line: self.number,
            column: u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX),
            what: what.into(),
        }
    }
}

/// The lines that say something, with their numbers; a comment has a line of its own.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = (1..).zip(text.lines());
    numbered.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}
