//! Who may come in: where the users and keys are, and what checking a client may cost. Reads no user.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::reader::{Reader, Section};
use super::value::{self, Given, Words};

/// Authentication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Auth {
    /// The file with the users and their secrets; `None`: enhanced authentication is not offered.
    pub users_file: Option<PathBuf>,
    /// The file that says who may do what; `None`: everybody may do everything.
    pub acl_file: Option<PathBuf>,
    /// The same in mosquitto's syntax, in the place of `acl_file`.
    pub mosquitto_acl_file: Option<PathBuf>,
    /// Whether a client whose certificate is an identity has to show that user's password as well.
    pub certificate_needs_password: bool,
    /// How many threads check passwords.
    pub threads: usize,
    /// How many clients may wait for that, in all.
    pub max_queued: usize,
    /// How many clients of one address may wait for that.
    pub max_queued_per_address: usize,
    /// Tokens in the place of passwords.
    pub jwt: Jwt,
    /// A service that is asked.
    pub http: AuthHttp,
}

/// JSON Web Tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwt {
    /// The file with the secret of HS256.
    pub secret_file: Option<PathBuf>,
    /// The file with the public keys of RS256 and ES256, in PEM or as a JWK set.
    pub keys_file: Option<PathBuf>,
    /// What `iss` must be; `None`: anything.
    pub issuer: Option<String>,
    /// What `aud` must be or hold; `None`: anything.
    pub audience: Option<String>,
    /// How far the clocks may be apart.
    pub leeway: Duration,
    /// The claim with the user's name.
    pub name_claim: String,
    /// The claim with the user's groups.
    pub groups_claim: String,
    /// What the user name of CONNECT must be.
    pub user_name: TokenUserName,
}

/// An HTTP service that says who a client is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthHttp {
    /// Where to POST; `None`: nobody is asked.
    pub url: Option<String>,
    /// The certificates that the service's must come from; `None`: those of the web.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many requests there may be at a time.
    pub max_concurrent: usize,
    /// How long an answer holds for the same question; zero: once.
    pub cache_ttl: Duration,
    /// How many answers are kept.
    pub cache_entries: usize,
}

/// What the user name of a CONNECT with a token must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenUserName {
    /// The name in the token, or empty, or not there.
    Same,
    /// Anything.
    Any,
}

impl Words for TokenUserName {
    const WORDS: &'static [(&'static str, Self)] = &[("same", Self::Same), ("any", Self::Any)];
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            users_file: None,
            acl_file: None,
            mosquitto_acl_file: None,
            certificate_needs_password: false,
            threads: 2,
            max_queued: 4_096,
            max_queued_per_address: 1_024,
            jwt: Jwt::default(),
            http: AuthHttp::default(),
        }
    }
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            secret_file: None,
            keys_file: None,
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(10),
            name_claim: "sub".to_owned(),
            groups_claim: "groups".to_owned(),
            user_name: TokenUserName::Same,
        }
    }
}

impl Default for AuthHttp {
    fn default() -> Self {
        Self {
            url: None,
            ca_file: None,
            timeout: Duration::from_secs(5),
            max_concurrent: 8,
            cache_ttl: Duration::from_secs(30),
            cache_entries: 10_000,
        }
    }
}

impl Auth {
    /// Whether there is a way for clients to prove who they are, beside certificates.
    pub fn is_configured(&self) -> bool {
        self.users_file.is_some() || self.jwt.is_configured() || self.http.url.is_some()
    }
}

impl Jwt {
    /// Whether there are keys.
    pub fn is_configured(&self) -> bool {
        self.secret_file.is_some() || self.keys_file.is_some()
    }
}

impl Section for Auth {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("users_file", &mut self.users_file, value::optional_path);
        reader.option("acl_file", &mut self.acl_file, value::optional_path);
        reader.option("mosquitto_acl_file", &mut self.mosquitto_acl_file, value::optional_path);
        let needs_password = &mut self.certificate_needs_password;
        reader.option("certificate_needs_password", needs_password, value::boolean);
        reader.option("threads", &mut self.threads, value::integer(1..=64));
        let queued = || value::integer(1..=1_000_000);
        reader.option("max_queued", &mut self.max_queued, queued());
        reader.option("max_queued_per_address", &mut self.max_queued_per_address, queued());
        reader.section("jwt", &mut self.jwt);
        reader.section("http", &mut self.http);
    }
}

impl Section for Jwt {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("secret_file", &mut self.secret_file, value::optional_path);
        reader.option("keys_file", &mut self.keys_file, value::optional_path);
        reader.option("issuer", &mut self.issuer, value::optional_text);
        reader.option("audience", &mut self.audience, value::optional_text);
        let leeway = value::duration(Duration::ZERO..=Duration::from_secs(3_600));
        reader.option("leeway", &mut self.leeway, leeway);
        reader.option("name_claim", &mut self.name_claim, claim);
        reader.option("groups_claim", &mut self.groups_claim, claim);
        reader.option("user_name", &mut self.user_name, value::word);
    }
}

impl Section for AuthHttp {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("url", &mut self.url, value::optional_text);
        reader.option("ca_file", &mut self.ca_file, value::optional_path);
        let timeout = value::duration(Duration::from_millis(10)..=Duration::from_secs(60));
        reader.option("timeout", &mut self.timeout, timeout);
        reader.option("max_concurrent", &mut self.max_concurrent, value::integer(1..=256));
        let ttl = value::duration(Duration::ZERO..=Duration::from_secs(86_400));
        reader.option("cache_ttl", &mut self.cache_ttl, ttl);
        reader.option("cache_entries", &mut self.cache_entries, value::integer(1..=1_000_000));
    }
}

fn claim(given: &Given<'_>) -> Result<String, String> {
    match value::optional_text(given) {
        Ok(Some(name)) => Ok(name),
        _ => Err(given.instead_of("the name of a claim")),
    }
}
