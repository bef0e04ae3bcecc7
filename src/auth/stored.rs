//! A user's entry in the users file, in whichever form it is kept.

use std::fmt;

use super::argon::ArgonSecret;
use super::mosquitto::MosquittoSecret;
use super::secret::{Secret, SecretError};

/// What proves a password without being it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Stored {
    /// Serves the exchange, and a plain password as well.
    Scram(Secret),
    /// Serves a plain password.
    Argon(ArgonSecret),
    /// Serves a plain password.
    Mosquitto(MosquittoSecret),
}

impl Stored {
    /// Reads the text behind a user's name.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        match text {
            _ if text.starts_with("$argon2") => ArgonSecret::parse(text).map(Self::Argon),
            _ if text.starts_with("$6$") || text.starts_with("$7$") => {
                MosquittoSecret::parse(text).map(Self::Mosquitto)
            }
            _ => Secret::parse(text).map(Self::Scram),
        }
    }

    /// Whether this is the password. Takes its time, on purpose: never where others wait.
    pub fn accepts(&self, password: &[u8]) -> bool {
        match self {
            Self::Scram(secret) => secret.accepts_password(password),
            Self::Argon(secret) => secret.accepts(password),
            Self::Mosquitto(secret) => secret.accepts(password),
        }
    }

    /// Whether guessing the password from a stolen file costs next to nothing.
    pub fn is_fast(&self) -> bool {
        matches!(self, Self::Mosquitto(secret) if secret.is_fast())
    }
}

impl fmt::Debug for Stored {
    /// Tells nothing: it might get into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored(..)")
    }
}
