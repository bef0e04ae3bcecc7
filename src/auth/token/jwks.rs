//! JWK sets (RFC 7517). Keys for other uses and algorithms are passed over, as a set of an identity provider has them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::key::Key;
use super::keys::KeyFault;

pub(super) fn parse(text: &str) -> Result<Vec<Key>, KeyFault> {
    let broken = |fault: serde_json::Error| {
        let (line, column) = (fault.line(), fault.column());
        KeyFault::Text(format!("this is no JSON: line {line}, column {column}"))
    };
    let set: Map<String, Value> = serde_json::from_str(text).map_err(broken)?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or(KeyFault::Form)?;
    let mut found = Vec::new();
    for (number, key) in (1..).zip(keys) {
        let in_set = |fault| KeyFault::InSet {
            number,
            fault: Box::new(fault),
        };
        let key = key.as_object().ok_or_else(|| in_set(KeyFault::Form))?;
        found.extend(read(key).map_err(in_set)?);
    }
    Ok(found)
}

/// The key, if tokens can be signed with it.
fn read(key: &Map<String, Value>) -> Result<Option<Key>, KeyFault> {
    if text(key, "use").is_some_and(|usage| usage != "sig") {
        return Ok(None);
    }
    let is_for = |algorithm| text(key, "alg").is_none_or(|named| named == algorithm);
    let read = match text(key, "kty") {
        Some("RSA" | "EC") if key.contains_key("d") => Err(KeyFault::Private),
        Some("RSA") if is_for("RS256") => Key::rsa(&bytes(key, "n")?, &bytes(key, "e")?),
        Some("EC") if is_for("ES256") && text(key, "crv") == Some("P-256") => point(key),
        Some("oct") if is_for("HS256") => Key::secret(&bytes(key, "k")?),
        _ => return Ok(None),
    };
    let id = text(key, "kid").map(str::to_owned);
    read.map(|key| Some(key.named(id)))
}

fn point(key: &Map<String, Value>) -> Result<Key, KeyFault> {
    let coordinates = [bytes(key, "x")?, bytes(key, "y")?];
    if coordinates.iter().any(|coordinate| coordinate.len() != 32) {
        return Err(KeyFault::Point);
    }
    Key::point(&[&[4], coordinates[0].as_slice(), coordinates[1].as_slice()].concat())
}

fn bytes(key: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyFault> {
    let fault = || KeyFault::Text(format!("expected \"{name}\" in base64url without padding"));
    let text = text(key, name).ok_or_else(fault)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| fault())
}

fn text<'a>(key: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    key.get(name).and_then(Value::as_str)
}
