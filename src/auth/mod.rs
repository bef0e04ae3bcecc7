//! Who a client is: users with their secrets, and the exchange that proves one of them. Knows no packet, no socket, no clock.

mod file;
mod message;
mod scram;
mod secret;
#[cfg(test)]
mod tests;
mod users;

use std::fmt;
use std::sync::Arc;

pub use file::{UsersFileError, load_users, remove_user, set_user};
pub use scram::{Exchange, METHOD, Refusal, Step, nonce};
pub use secret::{DEFAULT_ITERATIONS, Secret, SecretError, Work, prepare_name};
pub use users::{Users, UsersError};

/// The name of an authenticated user, in the form that is compared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Identity {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
