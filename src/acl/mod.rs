//! Who may do what: the rules of an access control file, and which of them decides a request. Knows no session and no message.

mod coverage;
mod error;
mod mosquitto;
mod parse;
mod pattern;
mod rights;
mod rule;
#[cfg(test)]
mod tests;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use ahash::AHashMap;

pub use coverage::{Coverage, Deciding};
pub use error::{AclError, AclFault};
pub use rights::{Decision, Principal, Rights};
pub use rule::{Action, Effect, Rule, Who};

/// The syntax of an access control file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Our own: ordered rules, the first that matches decides.
    Own,
    /// That of mosquitto's `acl_file`.
    Mosquitto,
}

/// The rules of one file. What no rule speaks of is denied.
#[derive(Debug, Default)]
pub struct Acl {
    path: PathBuf,
    /// The first that matches decides.
    rules: Vec<Rule>,
    /// The groups that the file says a user is in.
    groups: AHashMap<String, Vec<String>>,
    index: Index,
}

/// Which rules may concern a client, in their order; a file may have rules for many thousand users.
#[derive(Debug, Default)]
struct Index {
    users: AHashMap<String, Vec<u32>>,
    clients: AHashMap<String, Vec<u32>>,
    groups: AHashMap<String, Vec<u32>>,
    anonymous: Vec<u32>,
    anyone: Vec<u32>,
}

/// Reads a file of rules in our own syntax.
///
/// # Errors
/// If it cannot be read, or with every line that is wrong.
pub fn load(path: &Path) -> Result<Acl, AclError> {
    load_as(path, Syntax::Own)
}

/// Reads a file of rules in one of the syntaxes.
///
/// # Errors
/// If it cannot be read, or with every line that is wrong.
pub fn load_as(path: &Path, syntax: Syntax) -> Result<Acl, AclError> {
    let bytes = fs::read(path).map_err(|source| AclError::Io {
        path: path.to_owned(),
        source,
    })?;
    let faulty = |faults| AclError::Lines {
        path: path.to_owned(),
        faults,
    };
    let text = String::from_utf8(bytes).map_err(|fault| faulty(vec![error::not_utf8(&fault)]))?;
    let mut acl = Acl::parse(&text, syntax).map_err(faulty)?;
    acl.path = path.to_owned();
    Ok(acl)
}

impl Acl {
    /// The rules of a text.
    ///
    /// # Errors
    /// With every line that is wrong.
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, Vec<AclFault>> {
        match syntax {
            Syntax::Own => parse::parse(text),
            Syntax::Mosquitto => mosquitto::parse(text),
        }
    }

    fn new(rules: Vec<Rule>, groups: AHashMap<String, Vec<String>>) -> Self {
        let mut index = Index::default();
        for (number, rule) in (0..).zip(&rules) {
            let numbers = match &rule.who {
                Who::User(name) => index.users.entry(name.clone()).or_default(),
                Who::Client(name) => index.clients.entry(name.clone()).or_default(),
                Who::Group(name) => index.groups.entry(name.clone()).or_default(),
                Who::Anonymous => &mut index.anonymous,
                Who::Anyone => &mut index.anyone,
            };
            numbers.push(number);
        }
        Self {
            path: PathBuf::new(),
            rules,
            groups,
            index,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rules in the order in which they are asked.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn rule(&self, number: u32) -> &Rule {
        &self.rules[number as usize]
    }

    /// The numbers of the rules that concern somebody, in order.
    fn concerning(&self, who: &Principal<'_>) -> Vec<u32> {
        let index = &self.index;
        let mut numbers = index.anyone.clone();
        numbers.extend(index.clients.get(who.client).into_iter().flatten());
        match who.user {
            None => numbers.extend(&index.anonymous),
            Some(user) => {
                numbers.extend(index.users.get(user).into_iter().flatten());
                let own = self.groups.get(user).into_iter().flatten();
                for group in own.chain(who.groups) {
                    numbers.extend(index.groups.get(group).into_iter().flatten());
                }
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}
