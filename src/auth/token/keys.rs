//! All keys that tokens may be signed with, and the texts that hold them: a secret, PEM (RFC 7468), a JWK set. Reads no file.

use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::jwks;
use super::key::{Algorithm, Key, LONGEST_RSA, SHORTEST_RSA, SHORTEST_SECRET};

/// The keys, at least one and at most 64.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

/// Why a text is no key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// A secret that is too easy to guess.
    #[error(
        "the secret has {0} bytes, but HS256 needs at least {SHORTEST_SECRET}; `openssl rand -base64 48` makes one"
    )]
    ShortSecret(usize),
    /// A PEM file where a secret is expected.
    #[error("this is a PEM file, which is no secret; give it as the file of public keys")]
    PemAsSecret,
    /// Neither PEM nor JSON.
    #[error("expected public keys in PEM (BEGIN PUBLIC KEY) or a JWK set (a JSON object with \"keys\")")]
    Form,
    /// A private key, which must not lie here.
    #[error("this is a private key; the broker needs the public one: `openssl pkey -in <file> -pubout`")]
    Private,
    /// PEM or JSON that is broken.
    #[error("{0}")]
    Text(String),
    /// An RSA key of another length.
    #[error("an RSA key of {0} bits; RS256 is taken with {SHORTEST_RSA} to {LONGEST_RSA}")]
    RsaBits(usize),
    /// An RSA key that nobody should use.
    #[error("an RSA key whose exponent is even, 1, or longer than 32 bits")]
    RsaExponent,
    /// Another curve than ES256's, or a compressed point.
    #[error("an elliptic curve key that is no uncompressed point of P-256, the curve of ES256")]
    Point,
    /// A key of a kind that no algorithm here uses.
    #[error("a key that is neither RSA (RS256) nor of the curve P-256 (ES256)")]
    Kind,
    /// A key in a set is wrong.
    #[error("key {number} of the set: {fault}")]
    InSet {
        /// Which, counted from 1.
        number: usize,
        /// What is wrong.
        fault: Box<KeyFault>,
    },
    /// A text without a key.
    #[error("there is no key in it that signs with HS256, RS256 or ES256")]
    None,
    /// Too many.
    #[error("more than {MOST} keys")]
    TooMany,
}

impl Keys {
    /// One secret for HS256; a newline at its end is not part of it.
    ///
    /// # Errors
    /// If it is too short, or a PEM file.
    pub fn secret(bytes: &[u8]) -> Result<Self, KeyFault> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Self(vec![Key::secret(bytes)?]))
    }

    /// Keys in PEM or as a JWK set.
    ///
    /// # Errors
    /// If one of them cannot be used, or there is none.
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        let keys = match text.trim_start() {
            json if json.starts_with('{') => jwks::parse(json)?,
            _ if text.contains("PRIVATE KEY-----") => return Err(KeyFault::Private),
            _ if text.contains("-----BEGIN") => pem(text)?,
            _ => return Err(KeyFault::Form),
        };
        match keys.len() {
            0 => Err(KeyFault::None),
            1..=MOST => Ok(Self(keys)),
            _ => Err(KeyFault::TooMany),
        }
    }

    /// The keys of both, as long as they are not too many.
    ///
    /// # Errors
    /// If they are.
    pub fn and(mut self, others: Self) -> Result<Self, KeyFault> {
        self.0.extend(others.0);
        let is_bounded = self.0.len() <= MOST;
        is_bounded.then_some(self).ok_or(KeyFault::TooMany)
    }

    /// Those for an algorithm; where the token names a key, the one of that name and those without a name.
    pub(super) fn fitting(&self, algorithm: Algorithm, id: Option<&str>) -> impl Iterator<Item = &Key> {
        let named = move |key: &Key| id.is_none_or(|id| key.id.as_deref().is_none_or(|own| own == id));
        self.0
            .iter()
            .filter(move |key| key.algorithm() == algorithm && named(key))
    }
}

fn pem(text: &str) -> Result<Vec<Key>, KeyFault> {
    let mut keys = Vec::new();
    for der in SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes()) {
        let der = der.map_err(|fault| KeyFault::Text(format!("this is no PEM: {fault}")))?;
        keys.push(public(&der)?);
    }
    Ok(keys)
}

fn public(der: &[u8]) -> Result<Key, KeyFault> {
    let broken = |_| KeyFault::Text("a public key in it is no SubjectPublicKeyInfo".to_owned());
    let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(broken)?;
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => Key::rsa(key.modulus, key.exponent),
        Ok(PublicKey::EC(point)) if is_p256(&info) => Key::point(point.data()),
        Ok(PublicKey::EC(_)) => Err(KeyFault::Point),
        _ => Err(KeyFault::Kind),
    }
}

fn is_p256(info: &SubjectPublicKeyInfo<'_>) -> bool {
    let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    curve.is_some_and(|curve| curve.to_id_string() == P256)
}

/// prime256v1.
const P256: &str = "1.2.840.10045.3.1.7";
/// How many keys may be known: each may be tried for one token.
pub(super) const MOST: usize = 64;
