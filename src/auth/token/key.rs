//! One key and the one algorithm that it is for (RFC 7518). Knows no file format.

use std::fmt;

use ring::hmac;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

use super::keys::KeyFault;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
}

/// A key and what it is called.
pub(super) struct Key {
    pub(super) id: Option<String>,
    material: Material,
}

enum Material {
    Secret(hmac::Key),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// A point of P-256, not compressed.
    Point(Vec<u8>),
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

impl Key {
    /// A secret for HS256, at least as long as what it makes (RFC 7518, 3.2).
    pub(super) fn secret(bytes: &[u8]) -> Result<Self, KeyFault> {
        if bytes.len() < SHORTEST_SECRET {
            return Err(KeyFault::ShortSecret(bytes.len()));
        }
        // Whoever knows a public key could sign with it as a secret.
        if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(KeyFault::PemAsSecret);
        }
        Ok(Self::of(Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes))))
    }

    /// Modulus and exponent, for RS256.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyFault> {
        let (n, e) = (without_zeros(modulus), without_zeros(exponent));
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !(SHORTEST_RSA..=LONGEST_RSA).contains(&bits) {
            return Err(KeyFault::RsaBits(bits));
        }
        // As the check of signatures wants it: odd, from 3 to 33 bits.
        let is_fit = e.len() <= 4 && e.last().is_some_and(|last| last % 2 == 1) && e != [1];
        if !is_fit {
            return Err(KeyFault::RsaExponent);
        }
        let components = RsaPublicKeyComponents {
            n: n.to_vec(),
            e: e.to_vec(),
        };
        Ok(Self::of(Material::Rsa(components)))
    }

    /// A point of P-256, for ES256.
    pub(super) fn point(bytes: &[u8]) -> Result<Self, KeyFault> {
        let is_point = bytes.len() == 65 && bytes.first() == Some(&4);
        let point = is_point.then(|| Self::of(Material::Point(bytes.to_vec())));
        point.ok_or(KeyFault::Point)
    }

    fn of(material: Material) -> Self {
        Self { id: None, material }
    }

    pub(super) fn named(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa(_) => Algorithm::Rs256,
            Material::Point(_) => Algorithm::Es256,
        }
    }

    /// Whether the signature is this key's, in a time that does not depend on how much of it is right.
    pub(super) fn has_signed(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(key) => hmac::verify(key, signed, signature).is_ok(),
            Material::Rsa(key) => {
                let parameters = &signature::RSA_PKCS1_2048_8192_SHA256;
                key.verify(parameters, signed, signature).is_ok()
            }
            Material::Point(point) => {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed, signature).is_ok()
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {:?})", self.algorithm(), self.id)
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// In bytes.
pub(super) const SHORTEST_SECRET: usize = 32;
/// In bits.
pub(super) const SHORTEST_RSA: usize = 2048;
/// In bits: longer ones cost the broker too much.
pub(super) const LONGEST_RSA: usize = 8192;
