//! Passwords kept by Argon2id (RFC 9106), in the PHC form `$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>`.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

use super::secret::SecretError;

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ArgonSecret {
    params: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl ArgonSecret {
    /// Makes the secret of a password. Takes its time and 19 MiB of memory, on purpose: never where others wait.
    ///
    /// # Errors
    /// If the password is empty.
    pub fn derive(password: &str, salt: &[u8; 16]) -> Result<Self, SecretError> {
        if password.is_empty() {
            return Err(SecretError::Password);
        }
        let mut secret = Self {
            params: Params::new(NEW_MEMORY_KIB, NEW_PASSES, 1, Some(HASH_BYTES)).map_err(|_| SecretError::ArgonCost)?,
            salt: salt.to_vec(),
            hash: Vec::new(),
        };
        secret.hash = secret.of(password.as_bytes()).ok_or(SecretError::ArgonCost)?;
        Ok(secret)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, SecretError> {
        let mut parts = text
            .strip_prefix("$argon2id$v=19$")
            .ok_or(SecretError::ArgonForm)?
            .split('$');
        let (Some(cost), Some(salt), Some(hash), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SecretError::ArgonForm);
        };
        let salt = bytes(salt, 8..=64).ok_or(SecretError::Bytes("salt", "8 to 64 bytes, without padding"))?;
        let hash = bytes(hash, 16..=64).ok_or(SecretError::Bytes("hash", "16 to 64 bytes, without padding"))?;
        let params = params(cost, hash.len())?;
        Ok(Self { params, salt, hash })
    }

    /// Whether this is the password.
    pub(super) fn accepts(&self, password: &[u8]) -> bool {
        self.of(password)
            .is_some_and(|hash| hash.as_slice().ct_eq(&self.hash).into())
    }

    fn of(&self, password: &[u8]) -> Option<Vec<u8>> {
        let length = self.params.output_len().unwrap_or(HASH_BYTES);
        let mut hash = vec![0; length];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        argon.hash_password_into(password, &self.salt, &mut hash).ok()?;
        Some(hash)
    }
}

impl fmt::Display for ArgonSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (m, t, p) = (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        let (salt, hash) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.hash));
        write!(f, "$argon2id$v=19$m={m},t={t},p={p}${salt}${hash}")
    }
}

/// `m=<KiB>,t=<passes>,p=<lanes>`, within what one attempt to log in may cost.
fn params(text: &str, hash_bytes: usize) -> Result<Params, SecretError> {
    let mut parts = text.split(',');
    let mut number = |name: &str| {
        let digits = parts.next()?.strip_prefix(name)?;
        digits.parse::<u32>().ok().filter(|_| !digits.starts_with('+'))
    };
    let cost = (number("m="), number("t="), number("p="));
    let (Some(m), Some(t), Some(p)) = cost else {
        return Err(SecretError::ArgonForm);
    };
    if parts.next().is_some() {
        return Err(SecretError::ArgonForm);
    }
    let bounded = m <= MOST_MEMORY_KIB && t <= MOST_PASSES && p <= MOST_LANES;
    let params = bounded.then(|| Params::new(m, t, p, Some(hash_bytes)).ok()).flatten();
    params.ok_or(SecretError::ArgonCost)
}

/// Base64 without padding, as the PHC form has it; padding is passed over.
fn bytes(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<Vec<u8>> {
    let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    lengths.contains(&bytes.len()).then_some(bytes)
}

/// What `rewindmq passwd --argon2` uses: the smallest cost that OWASP advises.
const NEW_MEMORY_KIB: u32 = 19 * 1024;
const NEW_PASSES: u32 = 2;
const HASH_BYTES: usize = 32;
/// Each thread that checks passwords may need this much.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 16;
