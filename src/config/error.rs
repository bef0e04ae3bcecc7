//! What is wrong with a configuration, and where: one shape for every fault.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where a fault stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file, at a line counted from 1, or in all of it.
    File(PathBuf, Option<usize>),
    /// In an environment variable.
    Variable(String),
    /// In what all sources make together.
    Whole,
}

/// One fault: `conf/x.toml:12: store.max_byts: unknown key; did you mean `max_bytes`?`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {}{what}", key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default())]
pub struct ConfigError {
    /// Where it stands.
    pub place: Place,
    /// The full key; `None` where the fault is not in one.
    pub key: Option<String>,
    /// What is wrong and what would be right.
    pub what: String,
}

/// All faults that one run found; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self {
            place: Place::File(path.to_owned(), None),
            key: None,
            what: format!("cannot be read: {error}"),
        }
    }

    pub(super) fn whole(key: &str, what: String) -> Self {
        Self {
            place: Place::Whole,
            key: Some(key.to_owned()),
            what,
        }
    }
}

impl ConfigErrors {
    /// The faults, in the order in which they are reported.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    pub(super) fn unless_empty(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        errors.sort_by(|a, b| a.place.cmp(&b.place));
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    /// One fault per line, without a last line break.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(out, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, Some(line)) => write!(out, "{}:{line}", path.display()),
            Self::File(path, None) => write!(out, "{}", path.display()),
            Self::Variable(name) => out.write_str(name),
            Self::Whole => out.write_str("configuration"),
        }
    }
}
