//! Passwords as `mosquitto_passwd` keeps them: `$7$<iterations>$<salt>$<hash>` (PBKDF2 with HMAC-SHA-512) and the older
//! `$6$<salt>$<hash>` (SHA-512 of password and salt).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use super::secret::SecretError;

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct MosquittoSecret {
    /// Of PBKDF2; `None` is the older form.
    iterations: Option<u32>,
    salt: Vec<u8>,
    hash: [u8; 64],
}

impl MosquittoSecret {
    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let (iterations, rest) = match text.strip_prefix("$7$") {
            Some(rest) => {
                let (iterations, rest) = rest.split_once('$').ok_or(SecretError::MosquittoForm)?;
                let number = iterations
                    .parse()
                    .ok()
                    .filter(|number| (1..=MOST_ITERATIONS).contains(number));
                (Some(number.ok_or(SecretError::MosquittoIterations)?), rest)
            }
            None => (None, text.strip_prefix("$6$").ok_or(SecretError::MosquittoForm)?),
        };
        let (salt, hash) = rest.split_once('$').ok_or(SecretError::MosquittoForm)?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| (1..=64).contains(&salt.len()));
        let hash = STANDARD.decode(hash).ok().and_then(|hash| hash.try_into().ok());
        Ok(Self {
            iterations,
            salt: salt.ok_or(SecretError::Bytes("salt", "1 to 64 bytes"))?,
            hash: hash.ok_or(SecretError::Bytes("hash", "64 bytes"))?,
        })
    }

    /// Whether a stolen file gives the passwords away to whoever guesses fast: the older form costs one hash a guess.
    pub fn is_fast(&self) -> bool {
        self.iterations.is_none()
    }

    /// Whether this is the password.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let mut hash = [0; 64];
        match self.iterations {
            Some(iterations) => pbkdf2::pbkdf2_hmac::<Sha512>(password, &self.salt, iterations, &mut hash),
            None => {
                hash = Sha512::new_with_prefix(password)
                    .chain_update(&self.salt)
                    .finalize()
                    .into()
            }
        }
        hash.ct_eq(&self.hash).into()
    }
}

/// More would be an attempt of seconds.
const MOST_ITERATIONS: u32 = 10_000_000;
