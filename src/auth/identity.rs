//! Who a client is, and what its proof says of it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An authenticated user: a name in the form that is compared, and the groups and claims that came with the proof. Two are
/// the same if their names are.
#[derive(Clone)]
pub struct Identity(Arc<Known>);

struct Known {
    name: Box<str>,
    groups: Vec<String>,
    claims: BTreeMap<String, String>,
}

impl Identity {
    /// A user of whom the proof says more than the name.
    pub fn new(name: &str, groups: Vec<String>, claims: BTreeMap<String, String>) -> Self {
        Self(Arc::new(Known {
            name: name.into(),
            groups,
            claims,
        }))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0.name
    }

    /// The groups that the proof names; an access control file may know more.
    pub fn groups(&self) -> &[String] {
        &self.0.groups
    }

    /// What the proof says under this name, as text.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.0.claims.get(name).map(String::as_str)
    }
}

impl From<&str> for Identity {
    fn from(name: &str) -> Self {
        Self::new(name, Vec::new(), BTreeMap::new())
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
