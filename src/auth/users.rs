//! All users with their secrets, by name, and the text that holds them. Knows no file.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Identity;
use super::secret::{Secret, SecretError, prepare_name};
use super::stored::Stored;

/// Who may come in.
#[derive(Debug)]
pub struct Users {
    by_name: HashMap<Arc<str>, Stored>,
    /// Their names in the order of the file.
    names: Vec<Arc<str>>,
    /// The first secret of the exchange: those of users that are not there are made to look like it.
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
            names: Vec::new(),
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
        let stored = Stored::parse(secret.trim_end()).map_err(|fault: SecretError| format!("{name}: {fault}"))?;
        if let (None, Stored::Scram(secret)) = (&self.first, &stored) {
            self.first = Some(secret.clone());
        }
        let prepared: Arc<str> = prepared.as_ref().into();
        self.names.push(prepared.clone());
        match self.by_name.insert(prepared, stored) {
            None => Ok(()),
            Some(_) => Err(format!("{name}: stands twice; keep one of the lines")),
        }
    }

    /// Whether there is a user of this name.
    pub fn has(&self, name: &str) -> bool {
        prepare_name(name).is_ok_and(|name| self.by_name.contains_key(&*name))
    }

    /// Who it is, if the password is that user's. Takes its time, on purpose, and as long for somebody who is not there:
    /// never where others wait.
    pub fn check_password(&self, name: &str, password: &[u8]) -> Option<Identity> {
        let prepared = prepare_name(name).ok();
        let known = prepared.as_deref().and_then(|name| self.by_name.get_key_value(name));
        let Some((name, stored)) = known else {
            // The work of somebody else, always the same one's for a name.
            let _ = self.stand_in(prepared.as_deref().unwrap_or(name))?.accepts(password);
            return None;
        };
        stored.accepts(password).then(|| Identity::from(&**name))
    }

    fn stand_in(&self, name: &str) -> Option<&Stored> {
        let first = self.names.first()?;
        let digest = Sha256::new_with_prefix(first.as_bytes()).chain_update(name).finalize();
        let draw = digest.iter().take(8).fold(0, |draw, byte| draw << 8 | u64::from(*byte));
        let count = self.names.len() as u64;
        let index = usize::try_from(draw % count).unwrap_or(0);
        self.by_name.get(&self.names[index])
    }

    /// Users whose passwords a stolen file would give away at once.
    pub fn weakly_kept(&self) -> impl Iterator<Item = &str> {
        let names = self.names.iter();
        names
            .filter(|name| self.by_name.get(*name).is_some_and(Stored::is_fast))
            .map(|name| &**name)
    }

    /// The secret of a user for the exchange; the name as [`prepare_name`] gives it.
    pub(super) fn find(&self, name: &str) -> Option<&Secret> {
        match self.by_name.get(name)? {
            Stored::Scram(secret) => Some(secret),
            Stored::Argon(_) | Stored::Mosquitto(_) => None,
        }
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
pub(super) fn with_user(text: &str, name: &str, secret: Option<&str>) -> String {
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
