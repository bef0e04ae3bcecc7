//! Everything that can say who a client is, loaded from what the configuration names. Knows no client.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metrics::Gauge;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::file::{UsersFileError, load_users};
use super::hook::Hook;
use super::pool::{Pool, PoolLimits};
use super::token::{Expectations, KeyFault, Keys, Tokens};
use super::users::Users;
use crate::config::{self, AuthHttp, Jwt};

/// What clients can prove themselves by.
#[derive(Clone, Debug, Default)]
pub struct Backends {
    /// Users with passwords.
    pub users: Option<Arc<Users>>,
    /// Tokens in the place of a password.
    pub tokens: Option<Arc<Tokens>>,
    /// A service that is asked.
    pub hook: Option<Arc<Hook>>,
}

/// Why what the configuration names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackendsError {
    /// The users file.
    #[error(transparent)]
    Users(#[from] UsersFileError),
    /// A file with keys for tokens cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file with certificates is faulty.
    #[error("{}: no certificates in PEM: {what}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The address of the service is none.
    #[error("auth.http.url: {0:?} is no address such as \"https://auth.example.com/mqtt\"")]
    Url(String),
    /// The system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
    /// A file with keys for tokens is faulty.
    #[error("{}: {source}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyFault,
    },
}

impl Backends {
    /// Loads everything. `queue_length` counts the clients that wait for the service.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn load(config: &config::Auth, queue_length: &Gauge) -> Result<Self, BackendsError> {
        let users = config.users_file.as_deref().map(load_users).transpose()?;
        Ok(Self {
            users: users.map(Arc::new),
            tokens: load_tokens(&config.jwt)?.map(Arc::new),
            hook: load_hook(config, queue_length)?.map(Arc::new),
        })
    }

    /// Whether there is something that a user name and a password can be shown to.
    pub fn take_passwords(&self) -> bool {
        self.users.is_some() || self.tokens.is_some() || self.hook.is_some()
    }
}

impl From<Users> for Backends {
    fn from(users: Users) -> Self {
        Self {
            users: Some(Arc::new(users)),
            ..Self::default()
        }
    }
}

fn load_hook(auth: &config::Auth, queue_length: &Gauge) -> Result<Option<Hook>, BackendsError> {
    let config = &auth.http;
    let Some(url) = &config.url else { return Ok(None) };
    let parsed: Option<ureq::http::Uri> = url.parse().ok();
    let is_http = |uri: &ureq::http::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if !parsed.as_ref().is_some_and(is_http) {
        return Err(BackendsError::Url(url.clone()));
    }
    let tls = TlsConfig::builder().root_certs(roots(config)?).build();
    let agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(config.timeout))
        .http_status_as_error(false)
        // The password goes to the service that was named and to nobody else.
        .max_redirects(0)
        .proxy(None)
        .build();
    let limits = PoolLimits {
        threads: config.max_concurrent,
        queued: auth.max_queued,
        queued_per_source: auth.max_queued_per_address,
    };
    let pool = Pool::new("auth-http", limits, queue_length.clone());
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(BackendsError::Random)?;
    let memory = (config.cache_ttl, config.cache_entries);
    Ok(Some(Hook::new(agent.new_agent(), url.clone(), pool, memory, random)))
}

fn roots(config: &AuthHttp) -> Result<RootCerts, BackendsError> {
    let Some(path) = &config.ca_file else {
        return Ok(RootCerts::WebPki);
    };
    let fault = |what: String| BackendsError::Certificates {
        path: path.clone(),
        what,
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|what| fault(what.to_string()))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|what| fault(what.to_string()))?;
    if found.is_empty() {
        return Err(fault("there is none".to_owned()));
    }
    let certificates = found.iter().map(|der| Certificate::from_der(der).to_owned());
    Ok(certificates.into())
}

fn load_tokens(config: &Jwt) -> Result<Option<Tokens>, BackendsError> {
    let secret = config.secret_file.as_deref().map(|path| load_keys(path, Keys::secret));
    let keys = config.keys_file.as_deref().map(|path| {
        load_keys(path, |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| KeyFault::Form)?;
            Keys::parse(text)
        })
    });
    let keys = match (secret.transpose()?, keys.transpose()?) {
        (None, None) => return Ok(None),
        (Some(keys), None) | (None, Some(keys)) => keys,
        (Some(secret), Some(keys)) => secret.and(keys).map_err(|source| BackendsError::Keys {
            path: config.keys_file.clone().unwrap_or_default(),
            source,
        })?,
    };
    let expected = Expectations {
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
        leeway: config.leeway,
        name_claim: config.name_claim.clone(),
        groups_claim: config.groups_claim.clone(),
    };
    Ok(Some(Tokens::new(keys, expected)))
}

fn load_keys(path: &Path, parse: impl Fn(&[u8]) -> Result<Keys, KeyFault>) -> Result<Keys, BackendsError> {
    let bytes = fs::read(path).map_err(|source| BackendsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes).map_err(|source| BackendsError::Keys {
        path: path.to_owned(),
        source,
    })
}
