//! Tokens that prove who a client is: JSON Web Tokens (RFC 7519), signed by a key that is known. Reads no file, no clock.

mod claims;
mod jwks;
mod key;
mod keys;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::identity::Identity;
use crate::types::Timestamp;
pub use claims::Expectations;
use key::Algorithm;
pub use keys::{KeyFault, Keys};

/// Checks tokens.
#[derive(Debug)]
pub struct Tokens {
    keys: Keys,
    expected: Expectations,
}

/// What a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Who the client is.
    pub identity: Identity,
    /// When this stops being true, the leeway included: the connection must not outlive it.
    pub until: Timestamp,
}

/// Why a token proves nothing; holds nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is no token.
    #[error("not a JSON Web Token of at most {LONGEST} bytes")]
    Form,
    /// Its algorithm is none of those that are taken, `none` among them.
    #[error("its algorithm is none of HS256, RS256 and ES256")]
    Algorithm,
    /// It has extensions that must be understood (RFC 7515, 4.1.11).
    #[error("its header has crit, and no extension is known")]
    Extension,
    /// There is no key for it.
    #[error("no key fits its algorithm and key identifier")]
    NoKey,
    /// No key that fits has signed it.
    #[error("its signature is wrong")]
    Signature,
    /// A claim is missing or of another type.
    #[error("its claim {0} is missing or has another form")]
    Claim(&'static str),
    /// The claim that names the user is missing or cannot be a name.
    #[error("the claim that names the user is missing or cannot be a name")]
    Name,
    /// The claim that names the groups has another form.
    #[error("the claim that names the groups is no text and no list of texts")]
    Groups,
    /// It comes from elsewhere.
    #[error("its issuer is another")]
    Issuer,
    /// It is meant for somebody else.
    #[error("it is meant for another audience")]
    Audience,
    /// Its time has not come.
    #[error("it is not valid yet")]
    TooEarly,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
}

impl Tokens {
    /// Tokens signed by one of these keys that say what is expected.
    pub fn new(keys: Keys, expected: Expectations) -> Self {
        Self { keys, expected }
    }

    /// What the token proves. The signature is looked at before any claim is.
    ///
    /// # Errors
    /// If it proves nothing.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Proven, TokenFault> {
        if token.len() > LONGEST {
            return Err(TokenFault::Form);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Form)?;
        let header = object(header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenFault::Form)?;
        self.check_signature(&header, signed.as_bytes(), &signature)?;
        self.expected.check(object(claims)?, now)
    }

    /// The key decides on the algorithm: one made for RS256 never checks what the header calls HS256.
    fn check_signature(&self, header: &Map<String, Value>, signed: &[u8], signature: &[u8]) -> Result<(), TokenFault> {
        if header.contains_key("crit") {
            return Err(TokenFault::Extension);
        }
        let name = header.get("alg").and_then(Value::as_str).ok_or(TokenFault::Form)?;
        let algorithm = Algorithm::named(name).ok_or(TokenFault::Algorithm)?;
        let id = header.get("kid").and_then(Value::as_str);
        let mut fitting = self.keys.fitting(algorithm, id).peekable();
        if fitting.peek().is_none() {
            return Err(TokenFault::NoKey);
        }
        let proved = fitting.any(|key| key.has_signed(signed, signature));
        proved.then_some(()).ok_or(TokenFault::Signature)
    }
}

fn object(part: &str) -> Result<Map<String, Value>, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenFault::Form)
}

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;
