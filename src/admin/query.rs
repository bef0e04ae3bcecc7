//! Reads what a request says: its query, its path and its JSON body, each strictly.

use std::str::FromStr;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use super::answer::Problem;
use crate::topic::TopicFilter;

/// The parameters of the query.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

/// A part of the path, decoded.
#[derive(Debug)]
pub(super) struct PathPart(pub String);

/// Two parts of the path, decoded.
#[derive(Debug)]
pub(super) struct PathParts(pub String, pub String);

/// A JSON body; an empty one is an empty object.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl Query {
    /// Refuses parameters that the path does not know, and those that are given twice.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let hint = match known {
                    [] => "this path takes no parameters".to_owned(),
                    known => format!("this path takes {}", known.join(", ")),
                };
                return Err(Problem::invalid(format!("unknown parameter {name:?}")).hint(hint));
            }
            if self.0[..at].iter().any(|(other, _)| other == name) {
                return Err(Problem::invalid(format!("parameter {name} is given twice")));
            }
        }
        Ok(())
    }

    /// A parameter as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter as something else.
    pub fn parse<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = text.parse();
        value
            .map(Some)
            .map_err(|_| Problem::invalid(format!("parameter {name}: expected {expected}, found {text:?}")))
    }

    /// A parameter that is true or false.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.parse(name, "true or false")
    }

    /// How many are wanted at most.
    pub fn limit(&self) -> Result<usize, Problem> {
        let limit = self.parse("limit", "a number from 1 to 1000")?.unwrap_or(DEFAULT_LIMIT);
        if (1..=MOST).contains(&limit) {
            return Ok(limit);
        }
        Err(Problem::invalid(format!(
            "parameter limit: expected a number from 1 to {MOST}, found {limit}"
        )))
    }

    /// How many of the largest by `key` are wanted, if the list is to be sorted by it; such a list has one page.
    pub fn worst(&self, key: &str) -> Result<Option<usize>, Problem> {
        match self.text("sort") {
            None => return Ok(None),
            Some(given) if given == key => {}
            Some(given) => {
                return Err(Problem::invalid(format!(
                    "parameter sort: expected {key}, found {given:?}"
                )));
            }
        }
        if self.text("cursor").is_some() {
            return Err(Problem::invalid(format!(
                "parameter cursor: a list with sort={key} has one page"
            )));
        }
        let limit = self.parse("limit", "a number from 1 to 100")?.unwrap_or(MOST_SORTED);
        if (1..=MOST_SORTED).contains(&limit) {
            return Ok(Some(limit));
        }
        Err(Problem::invalid(format!(
            "parameter limit: expected a number from 1 to {MOST_SORTED} with sort={key}, found {limit}"
        )))
    }

    /// A topic filter.
    pub fn filter(&self, name: &str) -> Result<Option<TopicFilter>, Problem> {
        self.text(name).map(|text| read_filter(name, text)).transpose()
    }

    /// Where a list goes on, as [`cursor`] wrote it.
    pub fn cursor(&self) -> Result<Option<Vec<String>>, Problem> {
        let Some(text) = self.text("cursor") else {
            return Ok(None);
        };
        let refusal = || {
            Problem::invalid("parameter cursor: this is none that a list gave")
                .hint("take `next` of the answer before, with the same other parameters")
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refusal())?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| refusal())
    }

    /// Where a list goes on, if that is a number.
    pub fn number_cursor<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        let Some(parts) = self.cursor()? else { return Ok(None) };
        match &parts[..] {
            [one] => one.parse().map(Some).map_err(|_| wrong_cursor()),
            _ => Err(wrong_cursor()),
        }
    }

    /// Where a list goes on, if that is one text.
    pub fn text_cursor(&self) -> Result<Option<String>, Problem> {
        match self.cursor()?.as_deref() {
            None => Ok(None),
            Some([one]) => Ok(Some(one.clone())),
            Some(_) => Err(wrong_cursor()),
        }
    }
}

/// A mark at which a list goes on; opaque to who asks.
pub(super) fn cursor(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(parts).expect("texts are JSON"))
}

pub(super) fn wrong_cursor() -> Problem {
    Problem::invalid("parameter cursor: this is one of another list").hint("take `next` of the answer before")
}

/// A topic filter without prefixes.
pub(super) fn read_filter(name: &str, text: &str) -> Result<TopicFilter, Problem> {
    TopicFilter::parse(text).map_err(|fault| Problem::invalid(format!("{name}: {fault}")))
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        Ok(Self(pairs.into_owned().collect()))
    }
}

async fn path_parts<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<String>, Problem> {
    let found = RawPathParams::from_request_parts(parts, state).await;
    let found = found.map_err(|_| Problem::invalid("the path is not percent-encoded UTF-8"))?;
    Ok(found.iter().map(|(_, value)| value.to_owned()).collect())
}

impl<S: Send + Sync> FromRequestParts<S> for PathPart {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut found = path_parts(parts, state).await?;
        found
            .pop()
            .map(Self)
            .ok_or_else(|| Problem::invalid("the path lacks a part"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathParts {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = path_parts(parts, state).await?;
        match <[String; 2]>::try_from(found) {
            Ok([first, second]) => Ok(Self(first, second)),
            Err(_) => Err(Problem::invalid("the path lacks a part")),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // A page of another site cannot send this type without asking first: no form can.
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::not_json());
        }
        let bytes = read_body(request.into_body()).await?;
        let bytes = if bytes.iter().all(u8::is_ascii_whitespace) {
            b"{}".to_vec()
        } else {
            bytes
        };
        let value = serde_json::from_slice(&bytes);
        value
            .map(Self)
            .map_err(|fault| Problem::invalid(format!("the body cannot be read: {fault}")))
    }
}

async fn read_body(body: Body) -> Result<Vec<u8>, Problem> {
    let bytes = to_bytes(body, MAX_BODY).await;
    bytes
        .map(Vec::from)
        .map_err(|_| Problem::too_large(format!("the body is cut off, or larger than {MAX_BODY} bytes")))
}

const DEFAULT_LIMIT: usize = 100;
/// What a sorted list has at most.
const MOST_SORTED: usize = 100;
/// The most things of one list.
const MOST: usize = 1_000;
/// The largest body, bytes: a message of 16 MiB in base64, and what stands beside it.
const MAX_BODY: usize = 24 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Query(pairs.collect())
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        assert!(query(&[("a", "1")]).only(&["a"]).is_ok());
        assert!(query(&[("b", "1")]).only(&["a"]).is_err());
        assert!(query(&[("a", "1"), ("a", "1")]).only(&["a"]).is_err());
    }

    #[test]
    fn limits_have_bounds() {
        for (text, right) in [
            ("1", true),
            ("1000", true),
            ("0", false),
            ("1001", false),
            ("x", false),
            ("-1", false),
        ] {
            assert_eq!(query(&[("limit", text)]).limit().is_ok(), right, "{text}");
        }
        assert_eq!(query(&[]).limit().ok(), Some(DEFAULT_LIMIT));
    }

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let text = cursor(&["a/b", "é\0"]);
        let parts = query(&[("cursor", &text)]).cursor().expect("ours");
        assert_eq!(parts, Some(vec!["a/b".to_owned(), "é\0".to_owned()]));
        assert!(query(&[("cursor", "!")]).cursor().is_err());
        assert!(query(&[("cursor", &text)]).number_cursor::<u64>().is_err());
    }
}
