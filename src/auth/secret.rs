//! What is kept of a password (RFC 5802, RFC 7677), and its text: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What proves a password without being it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

/// How much work a password is to cost: to the client at each exchange, and to who guesses passwords from a stolen file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work(u32);

/// Why a text is no secret, or a name or password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text has another form.
    #[error(
        "expected SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, as `rewindmq passwd` writes it, \
         $argon2id$..., or $7$... as mosquitto_passwd writes it"
    )]
    Form,
    /// It begins like Argon2 and goes on otherwise.
    #[error(
        "expected $argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>, as `rewindmq passwd --argon2` writes it"
    )]
    ArgonForm,
    /// An attempt to log in would cost too much, or the numbers do not go together.
    #[error("the cost of argon2id must be at most m=262144 (256 MiB), t=64 and p=16, with m at least 8 times p")]
    ArgonCost,
    /// It begins like mosquitto's forms and goes on otherwise.
    #[error("expected $7$<iterations>$<salt>$<hash>, as mosquitto_passwd writes it")]
    MosquittoForm,
    /// The iterations of mosquitto's form are out of range.
    #[error("the iterations must be a number from 1 to 10000000")]
    MosquittoIterations,
    /// The iterations are out of range.
    #[error("the iterations must be a number from {} to {}", ITERATIONS.start(), ITERATIONS.end())]
    Iterations,
    /// Base64 that is none, or of another length.
    #[error("the {0} is not base64 of {1}")]
    Bytes(&'static str, &'static str),
    /// A name that cannot stand in the file or in an exchange.
    #[error("a user's name must have 1 to 255 bytes, without colon and control characters, and must not begin with #")]
    Name,
    /// A password that SASLprep (RFC 4013) refuses.
    #[error(
        "the password must not be empty, and must not hold control characters or characters that Unicode has not assigned"
    )]
    Password,
}

impl Work {
    /// So many iterations of PBKDF2.
    ///
    /// # Errors
    /// If they are fewer than RFC 7677 allows, or more than a client could be asked for.
    pub fn new(iterations: u32) -> Result<Self, SecretError> {
        let allowed = ITERATIONS.contains(&iterations);
        allowed.then_some(Self(iterations)).ok_or(SecretError::Iterations)
    }
}

impl Secret {
    /// Makes the secret of a password. Takes its time, on purpose: never where others wait.
    ///
    /// # Errors
    /// If the password cannot be used.
    pub fn derive(password: &str, salt: &[u8], work: Work) -> Result<Self, SecretError> {
        let prepared = prepare(password).ok_or(SecretError::Password)?;
        Ok(Self::of(prepared.as_bytes(), salt, work.0))
    }

    fn of(prepared: &[u8], salt: &[u8], iterations: u32) -> Self {
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(prepared, salt, iterations, &mut salted);
        let client_key = hmac(&salted, &[b"Client Key"]);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Whether this is the password, given plain. Takes as long for what cannot be one.
    pub(super) fn accepts_password(&self, password: &[u8]) -> bool {
        let prepared = std::str::from_utf8(password).ok().and_then(prepare);
        let tried = prepared.as_deref().map_or(password, str::as_bytes);
        let given = Self::of(tried, &self.salt, self.iterations);
        let is_same: bool = given.stored_key.ct_eq(&self.stored_key).into();
        is_same && prepared.is_some()
    }

    /// Reads the text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or(SecretError::Form)?;
        let (cost, keys) = rest.split_once('$').ok_or(SecretError::Form)?;
        let (iterations, salt) = cost.split_once(':').ok_or(SecretError::Form)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(SecretError::Form)?;
        let iterations = iterations.parse().map_err(|_| SecretError::Iterations)?;
        let salt = STANDARD
            .decode(salt)
            .ok()
            .filter(|salt| SALT_BYTES.contains(&salt.len()));
        Ok(Self {
            iterations: Work::new(iterations)?.0,
            salt: salt.ok_or(SecretError::Bytes("salt", "8 to 64 bytes"))?,
            stored_key: key(stored_key, "StoredKey")?,
            server_key: key(server_key, "ServerKey")?,
        })
    }

    /// The secret of a user that there is not: of the same look as those that are there, and always the same for a name,
    /// so that nobody learns from it who is there. `like` is one that is.
    pub(super) fn of_nobody(name: &str, like: Option<&Self>, random: &[u8; 32]) -> Self {
        let source = like.map_or(random, |secret| &secret.server_key);
        let hidden: [u8; 32] = Sha256::new_with_prefix(b"rewindmq: users that are not there")
            .chain_update(source)
            .finalize()
            .into();
        let salt_bytes = like.map_or(NEW_SALT_BYTES, |secret| secret.salt.len());
        let salt = hmac(&hidden, &[b"salt", name.as_bytes()]);
        let more = hmac(&hidden, &[b"more", name.as_bytes()]);
        Self {
            iterations: like.map_or(DEFAULT_ITERATIONS.0, |secret| secret.iterations),
            salt: salt.iter().chain(&more).copied().take(salt_bytes).collect(),
            stored_key: hmac(&hidden, &[b"key", name.as_bytes()]),
            server_key: hidden,
        }
    }

    pub(super) fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The salt in base64.
    pub(super) fn salt(&self) -> String {
        STANDARD.encode(&self.salt)
    }

    /// Whether the client's proof fits the messages of its exchange. Takes the same time whatever the proof is.
    pub(super) fn accepts(&self, proof: &[u8; 32], exchanged: &[&[u8]]) -> bool {
        let mut client_key = hmac(&self.stored_key, exchanged);
        for (byte, proof) in client_key.iter_mut().zip(proof) {
            *byte ^= proof;
        }
        Sha256::digest(client_key).as_slice().ct_eq(&self.stored_key).into()
    }

    /// What shows the client that the server has the secret, in base64.
    pub(super) fn server_signature(&self, exchanged: &[&[u8]]) -> String {
        STANDARD.encode(hmac(&self.server_key, exchanged))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (iterations, salt) = (self.iterations, self.salt());
        let (stored_key, server_key) = (STANDARD.encode(self.stored_key), STANDARD.encode(self.server_key));
        write!(f, "SCRAM-SHA-256${iterations}:{salt}${stored_key}:{server_key}")
    }
}

impl fmt::Debug for Secret {
    /// Tells nothing: it might get into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A user's name in the form that is compared.
///
/// # Errors
/// If it cannot be one.
pub fn prepare_name(name: &str) -> Result<Cow<'_, str>, SecretError> {
    let prepared = prepare(name).ok_or(SecretError::Name)?;
    let right =
        prepared.len() <= 255 && !prepared.contains(':') && !prepared.starts_with('#') && prepared.trim() == prepared;
    right.then_some(prepared).ok_or(SecretError::Name)
}

/// SASLprep; nothing where it refuses, or leaves nothing.
fn prepare(text: &str) -> Option<Cow<'_, str>> {
    stringprep::saslprep(text).ok().filter(|text| !text.is_empty())
}

fn key(text: &str, name: &'static str) -> Result<[u8; 32], SecretError> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(SecretError::Bytes(name, "32 bytes"))
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// What `rewindmq passwd` uses: as RFC 7677 advises for clients that are not small devices.
pub const DEFAULT_ITERATIONS: Work = Work(15_000);
/// From what RFC 7677 demands to what a client may be asked for.
const ITERATIONS: RangeInclusive<u32> = 4_096..=10_000_000;
const SALT_BYTES: RangeInclusive<usize> = 8..=64;
/// The length of new salts, bytes.
const NEW_SALT_BYTES: usize = 16;
