//! The client of the broker's API: asks, reads pages to their end, and turns a refusal into words. Knows no command.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use form_urlencoded::Serializer;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use ureq::http::{Method, Request, Response, Uri};
use ureq::{Agent, Body};

/// Parameters of a query; those without a value are left out.
pub(super) type Query<'a> = [(&'a str, Option<String>)];

/// The API of one broker.
#[derive(Debug)]
pub(super) struct Api {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// Why a running broker did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The URL is none.
    #[error("{0:?} is no URL of a broker's HTTP listener; write http://HOST:PORT, such as {DEFAULT_URL}")]
    Url(String),
    /// The file with the token cannot be used.
    #[error("the token file {path} cannot be used: {why}", path = .0.display(), why = .1)]
    TokenFile(PathBuf, String),
    /// Nobody answers.
    #[error(
        "nobody listens at {url} ({why})\n  is the broker running, and its HTTP listener there (http.address)? \
         name another place with --api or REWINDMQ_API"
    )]
    Nobody {
        /// Where.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The connection broke, or nothing came in time.
    #[error("{url} did not answer: {why}")]
    NoAnswer {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// Something else listens there.
    #[error("what answers at {0} is no RewindMQ API of this version; is --api right?")]
    NotTheApi(String),
    /// The API refuses it.
    #[error("{what}{}", .hint.as_ref().map(|hint| format!("\n  {hint}")).unwrap_or_default())]
    Refused {
        /// What is wrong.
        what: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// Nobody can be asked whether it is meant.
    #[error("{0}\n  there is no terminal to ask at: say --yes if it is meant")]
    NeedsYes(String),
    /// It is not meant.
    #[error("nothing was done")]
    Declined,
    /// The terminal cannot be used.
    #[error("the terminal cannot be used: {0}")]
    Terminal(std::io::Error),
}

impl Api {
    /// At a URL, with the token of a file.
    pub fn new(url: &str, token_file: Option<&Path>) -> Result<Self, OpsError> {
        let url = url.trim_end_matches('/');
        let parsed: Option<Uri> = url.parse().ok();
        let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        if !parsed.as_ref().is_some_and(is_http) {
            return Err(OpsError::Url(url.to_owned()));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_PATIENCE))
            // The token goes to whom it was given for, and to nobody else.
            .max_redirects(0)
            .proxy(None);
        Ok(Self {
            agent: config.build().new_agent(),
            url: url.to_owned(),
            token: token_file.map(read_token).transpose()?,
        })
    }

    /// Where the broker's HTTP listener is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What stands at a path.
    pub fn read(&self, path: &str, query: &Query<'_>) -> Result<Value, OpsError> {
        self.json(self.send(&Method::GET, path, query, None)?)
    }

    /// Changes something, which may take as long as it likes.
    pub fn change(
        &self,
        method: &Method,
        path: &str,
        query: &Query<'_>,
        body: Option<&Value>,
    ) -> Result<Value, OpsError> {
        self.json(self.send(method, path, query, body)?)
    }

    /// All pages of a list as one, or the first so many of it.
    pub fn list(&self, path: &str, query: &Query<'_>, limit: Option<u64>) -> Result<Value, OpsError> {
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let left = limit.map_or(PAGE, |limit| (limit - items.len() as u64).min(PAGE));
            let page = [("limit", Some(left.to_string())), ("cursor", next.take())];
            let query: Vec<_> = query.iter().cloned().chain(page).collect();
            let mut page = self.read(path, &query)?;
            let Some(found) = page["items"].as_array_mut() else {
                return Err(OpsError::NotTheApi(self.url.clone()));
            };
            items.append(found);
            next = page["next"].as_str().map(str::to_owned);
            let enough = limit.is_some_and(|limit| items.len() as u64 >= limit);
            if next.is_none() || enough {
                return Ok(json!({ "items": items, "next": next }));
            }
        }
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        query: &Query<'_>,
        body: Option<&Value>,
    ) -> Result<Response<Body>, OpsError> {
        let mut url = format!("{}/api/v1{path}", self.url);
        let given: Vec<_> = query
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_ref()?)))
            .collect();
        if !given.is_empty() {
            url += "?";
            url = Serializer::for_suffix(url.clone(), url.len())
                .extend_pairs(given)
                .finish();
        }
        let mut request = Request::builder().method(method.clone()).uri(&url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let sent = match body {
            None => request.body(Vec::new()),
            Some(body) => request
                .header("Content-Type", "application/json")
                .body(body.to_string().into_bytes()),
        };
        let sent = sent.map_err(|fault| OpsError::NoAnswer {
            url: url.clone(),
            why: fault.to_string(),
        })?;
        let sent = match *method {
            // What only looks is not waited for as long as what changes something.
            Method::GET => self
                .agent
                .configure_request(sent)
                .timeout_recv_response(Some(PATIENCE))
                .build(),
            _ => sent,
        };
        self.agent.run(sent).map_err(|fault| self.no_answer(fault))
    }

    fn json(&self, mut response: Response<Body>) -> Result<Value, OpsError> {
        let bytes = response.body_mut().with_config().limit(MOST_ANSWER_BYTES).read_to_vec();
        let bytes = bytes.map_err(|fault| self.no_answer(fault))?;
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        let other = || OpsError::NotTheApi(self.url.clone());
        let answer = answer.ok_or_else(other)?;
        if response.status().is_success() {
            return Ok(answer);
        }
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        Err(OpsError::Refused {
            what: text("what").ok_or_else(other)?,
            hint: match answer["error"].as_str() {
                Some("unauthorized") => Some(TOKEN_HINT.to_owned()),
                _ => text("hint"),
            },
        })
    }

    fn no_answer(&self, fault: ureq::Error) -> OpsError {
        let (url, why) = (self.url.clone(), fault.to_string());
        match fault {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => OpsError::Nobody { url, why },
            ureq::Error::Timeout(ureq::Timeout::Connect) => OpsError::Nobody { url, why },
            ureq::Error::Io(fault) if fault.kind() == ErrorKind::ConnectionRefused => OpsError::Nobody { url, why },
            _ => OpsError::NoAnswer { url, why },
        }
    }
}

/// A path of the API, with names in it percent-encoded.
pub(super) fn path(parts: &[&str]) -> String {
    let mut path = String::new();
    for part in parts {
        path.push('/');
        // A proxy or a client would take these two away.
        match *part {
            "." => path.push_str("%2E"),
            ".." => path.push_str("%2E%2E"),
            part => path.extend(utf8_percent_encode(part, ENCODED)),
        }
    }
    path
}

fn read_token(file: &Path) -> Result<String, OpsError> {
    let unusable = |why: String| OpsError::TokenFile(file.to_owned(), why);
    let text = std::fs::read_to_string(file).map_err(|fault| unusable(fault.to_string()))?;
    let token = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    let token = token.ok_or_else(|| unusable("it holds no token".to_owned()))?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable("a token has only visible ASCII characters".to_owned()));
    }
    Ok(token.to_owned())
}

/// Where a broker without a configuration serves its API.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:9883";
const TOKEN_HINT: &str = "name a file with a token that the broker knows (a line of its http.token_file): --token-file FILE or REWINDMQ_TOKEN_FILE";
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How long a listener may take to accept.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the API gives at most in one page.
const PAGE: u64 = 1_000;
/// A page of the longest topics is smaller.
const MOST_ANSWER_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_path_are_encoded() {
        assert_eq!(path(&["channels", "a/b c%ü"]), "/channels/a%2Fb%20c%25%C3%BC");
        assert_eq!(path(&["clients", "..", "."]), "/clients/%2E%2E/%2E");
    }

    #[test]
    fn only_urls_of_http_are_taken() {
        for url in ["127.0.0.1:9883", "localhost", "mqtt://a", "http://", ""] {
            assert!(matches!(Api::new(url, None), Err(OpsError::Url(_))), "{url}");
        }
        let api = Api::new("https://broker.example/", None).expect("a URL");
        assert_eq!(api.url, "https://broker.example");
    }

    #[test]
    fn the_first_token_of_a_file_is_taken() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "# of the dashboard\n\n  0123456789abcdef \nother\n").expect("written");
        assert_eq!(read_token(file.path()).expect("good"), "0123456789abcdef");
        std::fs::write(file.path(), "a token\n").expect("written");
        assert!(read_token(file.path()).is_err());
    }
}
