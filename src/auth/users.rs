//! All users with their secrets, by name, and the text that holds them. Knows no file.

use std::collections::HashMap;
use std::sync::Arc;

use super::secret::{Secret, SecretError, prepare_name};

/// Who may come in.
#[derive(Debug)]
pub struct Users {
    by_name: HashMap<Arc<str>, Secret>,
    /// The secret of the first line: those of users that are not there are made to look like it.
    first: Option<Secret>,
    random: [u8; 32],
}

/// A line that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {what}")]
pub struct UsersError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub what: String,
}

impl Users {
    /// Reads lines `name:secret`; empty ones, and those that begin with `#`, are passed over. `random` hides which users
    /// there are while there is none.
    ///
    /// # Errors
    /// All lines that are wrong; at least one.
    pub fn parse(text: &str, random: [u8; 32]) -> Result<Self, Vec<UsersError>> {
        let mut users = Self {
            by_name: HashMap::new(),
            first: None,
            random,
        };
        let mut faults = Vec::new();
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| is_entry(text)) {
            if let Err(what) = users.add(text) {
                faults.push(UsersError { line, what });
            }
        }
        if faults.is_empty() { Ok(users) } else { Err(faults) }
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let (name, secret) = line
            .split_once(':')
            .ok_or("expected <name>:<secret>, as `rewindmq passwd` writes it")?;
        let prepared = prepare_name(name).map_err(|fault| fault.to_string())?;
        let secret = Secret::parse(secret.trim_end()).map_err(|fault: SecretError| format!("{name}: {fault}"))?;
        if self.first.is_none() {
            self.first = Some(secret.clone());
        }
        match self.by_name.insert(prepared.as_ref().into(), secret) {
            None => Ok(()),
            Some(_) => Err(format!("{name}: stands twice; keep one of the lines")),
        }
    }

    /// The secret of a user; the name as [`prepare_name`] gives it.
    pub(super) fn find(&self, name: &str) -> Option<&Secret> {
        self.by_name.get(name)
    }

    /// What stands for the secret of somebody who is not there.
    pub(super) fn nobody(&self, name: &str) -> Secret {
        Secret::of_nobody(name, self.first.as_ref(), &self.random)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

/// The text with a user's line replaced, added, or with `None` removed. Everything else stays as it is.
pub(super) fn with_user(text: &str, name: &str, secret: Option<&Secret>) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut new = secret.map(|secret| format!("{name}:{secret}"));
    for line in text.lines() {
        if is_entry(line) && is_of(line, name) {
            lines.extend(new.take());
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.extend(new);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Whether a text has a line of this user.
pub(super) fn has_user(text: &str, name: &str) -> bool {
    text.lines().any(|line| is_entry(line) && is_of(line, name))
}

fn is_entry(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

fn is_of(line: &str, name: &str) -> bool {
    line.split_once(':')
        .and_then(|(there, _)| prepare_name(there).ok())
        .is_some_and(|there| there == name)
}
