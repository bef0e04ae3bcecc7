//! What the API answers: JSON, or a fault with what is wrong and what would be right.

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::broker::manage::ManageError;

/// What a handler gives.
pub(super) type Answer = Result<Json, Problem>;

/// A JSON document with its status.
#[derive(Debug)]
pub(super) struct Json {
    status: StatusCode,
    body: Vec<u8>,
}

/// Why a request is refused.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    header: Option<(HeaderName, &'static str)>,
    error: &'static str,
    what: String,
    hint: Option<String>,
}

impl Json {
    /// A document that is there.
    pub fn ok(value: &impl Serialize) -> Self {
        Self::with_status(StatusCode::OK, value)
    }

    /// A document with another status.
    pub fn with_status(status: StatusCode, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("what the API shows has only names as keys");
        Self { status, body }
    }
}

impl Problem {
    fn new(status: StatusCode, error: &'static str, what: impl Into<String>) -> Self {
        Self {
            status,
            header: None,
            error,
            what: what.into(),
            hint: None,
        }
    }

    /// The request cannot be read or asks for what cannot be (400).
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", what)
    }

    /// There is no such thing (404).
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what)
    }

    /// It is in a state that does not allow it (409).
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", what)
    }

    /// Who asks must not (403).
    pub fn forbidden(what: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", what)
    }

    /// Who asks has not said who it is (401).
    pub fn unauthorized(what: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", what);
        problem.header = Some((WWW_AUTHENTICATE, "Bearer realm=\"rewindmq\""));
        problem
    }

    /// The path has no such method (405).
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let what = format!("this path takes {allowed}");
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", what);
        problem.header = Some((ALLOW, allowed));
        problem
    }

    /// The body is too large (413).
    pub fn too_large(what: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", what)
    }

    /// The body is no JSON (415).
    pub fn not_json() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "a request that changes something needs Content-Type: application/json",
        )
    }

    /// The store or the broker cannot do it now (503).
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", what)
    }

    /// Too many of it are under way (429).
    pub fn too_many(what: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", what)
    }

    /// What to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Self {
        match error {
            ManageError::Invalid(what) => Self::invalid(what),
            ManageError::NotFound(what) => Self::not_found(what),
            ManageError::Conflict(what) => Self::conflict(what),
            ManageError::Unavailable(what) => Self::unavailable(what),
        }
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (self.status, headers, self.body).into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Json::with_status(self.status, &self).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
