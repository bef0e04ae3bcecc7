//! Everything that can say who a client is, loaded from what the configuration names. Knows no client.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{UsersFileError, load_users};
use super::token::{Expectations, KeyFault, Keys, Tokens};
use super::users::Users;
use crate::config::{self, Jwt};

/// What clients can prove themselves by.
#[derive(Clone, Debug, Default)]
pub struct Backends {
    /// Users with passwords.
    pub users: Option<Arc<Users>>,
    /// Tokens in the place of a password.
    pub tokens: Option<Arc<Tokens>>,
}

/// Why what the configuration names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackendsError {
    /// The users file.
    #[error(transparent)]
    Users(#[from] UsersFileError),
    /// A file with keys for tokens cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file with keys for tokens is faulty.
    #[error("{}: {source}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyFault,
    },
}

impl Backends {
    /// Loads everything.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn load(config: &config::Auth) -> Result<Self, BackendsError> {
        let users = config.users_file.as_deref().map(load_users).transpose()?;
        Ok(Self {
            users: users.map(Arc::new),
            tokens: load_tokens(&config.jwt)?.map(Arc::new),
        })
    }

    /// Whether there is something that a user name and a password can be shown to.
    pub fn take_passwords(&self) -> bool {
        self.users.is_some() || self.tokens.is_some()
    }
}

impl From<Users> for Backends {
    fn from(users: Users) -> Self {
        Self {
            users: Some(Arc::new(users)),
            ..Self::default()
        }
    }
}

fn load_tokens(config: &Jwt) -> Result<Option<Tokens>, BackendsError> {
    let secret = config.secret_file.as_deref().map(|path| load_keys(path, Keys::secret));
    let keys = config.keys_file.as_deref().map(|path| {
        load_keys(path, |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| KeyFault::Form)?;
            Keys::parse(text)
        })
    });
    let keys = match (secret.transpose()?, keys.transpose()?) {
        (None, None) => return Ok(None),
        (Some(keys), None) | (None, Some(keys)) => keys,
        (Some(secret), Some(keys)) => secret.and(keys).map_err(|source| BackendsError::Keys {
            path: config.keys_file.clone().unwrap_or_default(),
            source,
        })?,
    };
    let expected = Expectations {
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
        leeway: config.leeway,
        name_claim: config.name_claim.clone(),
        groups_claim: config.groups_claim.clone(),
    };
    Ok(Some(Tokens::new(keys, expected)))
}

fn load_keys(path: &Path, parse: impl Fn(&[u8]) -> Result<Keys, KeyFault>) -> Result<Keys, BackendsError> {
    let bytes = fs::read(path).map_err(|source| BackendsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes).map_err(|source| BackendsError::Keys {
        path: path.to_owned(),
        source,
    })
}
