//! What the claims of a token must say, and the identity that they make. Trusts that the signature was right.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Identity, Proven, TokenFault};
use crate::auth::prepare_name;
use crate::types::Timestamp;

/// What is expected of a token's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// What `iss` must be; `None`: anything, or nothing.
    pub issuer: Option<String>,
    /// What `aud` must be or hold; `None`: anything, or nothing.
    pub audience: Option<String>,
    /// How far the clocks may be apart.
    pub leeway: Duration,
    /// The claim with the user's name.
    pub name_claim: String,
    /// The claim with the user's groups: a list of texts, or one text.
    pub groups_claim: String,
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(10),
            name_claim: "sub".to_owned(),
            groups_claim: "groups".to_owned(),
        }
    }
}

impl Expectations {
    pub(super) fn check(&self, claims: Map<String, Value>, now: Timestamp) -> Result<Proven, TokenFault> {
        let until = self.check_time(&claims, now)?;
        self.check_origin(&claims)?;
        let name = claims.get(&self.name_claim).and_then(Value::as_str);
        let name = prepare_name(name.ok_or(TokenFault::Name)?).map_err(|_| TokenFault::Name)?;
        let groups = groups(claims.get(&self.groups_claim))?;
        let identity = Identity::new(&name, groups, texts(&claims));
        Ok(Proven { identity, until })
    }

    /// A token that never ends could never be taken back: `exp` is required.
    fn check_time(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, TokenFault> {
        let ends = time(claims, "exp")?.ok_or(TokenFault::Claim("exp"))?;
        let until = ends.saturating_add(self.leeway);
        if now >= until {
            return Err(TokenFault::Expired);
        }
        match time(claims, "nbf")? {
            Some(begins) if now.saturating_add(self.leeway) < begins => Err(TokenFault::TooEarly),
            _ => Ok(until),
        }
    }

    fn check_origin(&self, claims: &Map<String, Value>) -> Result<(), TokenFault> {
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(TokenFault::Issuer);
        }
        match &self.audience {
            Some(audience) if !is_for(claims.get("aud"), audience) => Err(TokenFault::Audience),
            _ => Ok(()),
        }
    }
}

/// A time in seconds since 1970, with or without a fraction (RFC 7519, section 2).
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, TokenFault> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let secs = value.as_f64().filter(|secs| *secs >= 0.0);
    let secs = secs.ok_or(TokenFault::Claim(name))?;
    let duration = Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX);
    Ok(Some(Timestamp::default().saturating_add(duration)))
}

fn is_for(claim: Option<&Value>, audience: &str) -> bool {
    match claim {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

fn groups(claim: Option<&Value>) -> Result<Vec<String>, TokenFault> {
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(many)) => {
            let texts = many.iter().map(|one| one.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or(TokenFault::Groups)
        }
        Some(_) => Err(TokenFault::Groups),
    }
}

/// Claims that can stand in a rule's filter; lists and objects cannot.
fn texts(claims: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    };
    let texts = claims
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)));
    texts.collect()
}
