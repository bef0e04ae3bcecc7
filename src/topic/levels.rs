//! Every level text once, as a number, for as long as someone refers to it. Knows no filter.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use ahash::RandomState;

use crate::types::shrink;

/// The number of a level text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LevelId(u32);

/// The texts of levels, counted by who refers to them.
#[derive(Default)]
pub(super) struct Levels {
    table: HashMap<LevelText, Level, RandomState>,
    free: Vec<LevelId>,
}

struct Level {
    id: LevelId,
    references: u32,
}

impl Levels {
    /// The number of a text that someone refers to.
    pub(super) fn find(&self, text: &str) -> Option<LevelId> {
        self.table.get(text.as_bytes()).map(|level| level.id)
    }

    /// The number of a text, with one reference more.
    pub(super) fn acquire(&mut self, text: &str) -> LevelId {
        if let Some(level) = self.table.get_mut(text.as_bytes()) {
            level.references += 1;
            return level.id;
        }
        // Where no number is free, those in use are 0 to len - 1.
        let id = self.free.pop().unwrap_or_else(|| {
            let count = u32::try_from(self.table.len());
            LevelId(count.expect("memory ends before 2^32 levels"))
        });
        self.table.insert(LevelText::from(text), Level { id, references: 1 });
        id
    }

    /// Gives one reference back; the last takes the text with it.
    pub(super) fn release(&mut self, text: &str) {
        let level = self.table.get_mut(text.as_bytes());
        let level = level.expect("what is released was acquired");
        level.references -= 1;
        if level.references == 0 {
            self.free.push(level.id);
            self.table.remove(text.as_bytes());
            shrink(&mut self.table);
        }
    }

    /// All texts by number, for walking a whole structure.
    pub(super) fn texts(&self) -> HashMap<LevelId, &str, RandomState> {
        self.table
            .iter()
            .map(|(text, level)| (level.id, text.as_str()))
            .collect()
    }

    /// How many texts there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

const SHORT: usize = 22;

/// A level's text; most are short enough to need no allocation.
enum LevelText {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl LevelText {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(text) => text.as_bytes(),
        }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("copied from a str")
    }
}

impl From<&str> for LevelText {
    fn from(text: &str) -> Self {
        match u8::try_from(text.len()) {
            Ok(len) if text.len() <= SHORT => {
                let mut bytes = [0; SHORT];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                Self::Short { len, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }
}

// Keys are looked up by bytes, so that no look-up checks UTF-8 again: equality and hash are those of the bytes.
impl Borrow<[u8]> for LevelText {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for LevelText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for LevelText {}

impl Hash for LevelText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_lives_as_long_as_its_references() {
        let mut levels = Levels::default();
        let long = "é".repeat(40);
        let a = levels.acquire("a");
        let b = levels.acquire(&long);
        assert_eq!(levels.acquire("a"), a);
        assert_ne!(a, b);
        levels.release("a");
        assert_eq!(levels.find("a"), Some(a));
        levels.release("a");
        assert_eq!(levels.find("a"), None);
        assert_eq!(levels.find(&long), Some(b));
        assert_eq!(levels.acquire(""), a);
        assert_eq!((levels.texts()[&a], levels.texts()[&b]), ("", &*long));
        assert_eq!(levels.len(), 2);
    }

    #[test]
    fn a_level_costs_32_bytes_in_its_table() {
        assert_eq!(size_of::<(LevelText, Level)>(), 32);
    }
}
