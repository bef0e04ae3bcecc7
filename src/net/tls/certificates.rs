//! The TLS side of one listener, made anew when its files change; connections that are open keep what they have.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use metrics::Gauge;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};

use super::files::{self, Loaded, TlsFileError};
use super::names::ByName;
use crate::config::{Identified, Listener, Tls, TlsVersion, Transport};
use crate::types::Timestamp;

/// The certificates of one listener, and what it asks of those of clients.
#[derive(Debug)]
pub struct Certificates {
    listener: String,
    tls: Tls,
    protocol: &'static [u8],
    current: RwLock<Current>,
    /// What the files looked like when they were read last, also where they were faulty.
    seen: Mutex<Seen>,
    expiry: Gauge,
}

#[derive(Debug)]
struct Current {
    server: Arc<ServerConfig>,
    expires_secs: i64,
}

/// Length, time and inode of each file; `None` where there is none.
type Seen = Vec<Option<(u64, Option<SystemTime>, u64)>>;

impl Certificates {
    /// Reads the files of a listener; `None` if it has no TLS.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn load(config: &Listener, expiry: impl FnOnce(&str) -> Gauge) -> Result<Option<Self>, TlsFileError> {
        let Some(tls) = config.tls.clone() else { return Ok(None) };
        let protocol: &[u8] = match config.transport {
            Transport::Tcp => b"mqtt",
            Transport::WebSocket => b"http/1.1",
        };
        let seen = Mutex::new(look(&tls));
        let current = read(&tls, protocol)?;
        let listener = config.name();
        let certificates = Self {
            expiry: expiry(&listener),
            listener,
            tls,
            protocol,
            current: RwLock::new(current),
            seen,
        };
        certificates.tell();
        Ok(Some(certificates))
    }

    /// What new connections are served with.
    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .server
            .clone()
    }

    pub(super) fn identified(&self) -> Identified {
        self.tls.client_identity
    }

    /// Whether the files could be read again now.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), TlsFileError> {
        read(&self.tls, self.protocol).map(drop)
    }

    /// Reads the files again. If one of them cannot be used, what was read before stays in force. Returns whether the new
    /// ones are; the log says why not.
    pub fn reload(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = look(&self.tls);
        match read(&self.tls, self.protocol) {
            Ok(current) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
                tracing::info!(listener = self.listener, "certificates loaded");
                self.tell();
                true
            }
            Err(fault) => {
                let listener = &*self.listener;
                tracing::error!(listener, %fault, "certificates not loaded: those from before stay in force");
                false
            }
        }
    }

    /// The same, if a file was changed since it was read last.
    pub fn reload_if_changed(&self) {
        let is_changed = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != look(&self.tls);
        if is_changed {
            self.reload();
        }
    }

    /// Warns if a certificate is about to expire.
    pub fn warn_of_expiry(&self, now: Timestamp) {
        let expires_secs = self.expires_secs();
        let left_secs = expires_secs.saturating_sub_unsigned(now.0 / 1_000_000_000);
        let (listener, days) = (&*self.listener, left_secs / DAY_SECS);
        if left_secs <= 0 {
            tracing::error!(listener, "the certificate has expired: clients refuse it");
        } else if days < WARNING_DAYS {
            tracing::warn!(listener, days, "the certificate expires soon");
        }
    }

    fn expires_secs(&self) -> i64 {
        self.current.read().unwrap_or_else(PoisonError::into_inner).expires_secs
    }

    fn tell(&self) {
        self.expiry.set(self.expires_secs() as f64);
    }
}

fn read(tls: &Tls, protocol: &[u8]) -> Result<Current, TlsFileError> {
    let provider = Arc::new(ring::default_provider());
    let loaded: Vec<Loaded> = tls
        .certificates
        .iter()
        .zip(&tls.keys)
        .map(|(chain, key)| files::certificate(chain, key, &provider))
        .collect::<Result<_, _>>()?;
    let expires_secs = loaded.iter().map(|one| one.expires_secs).min().unwrap_or(0);
    let names = ByName(loaded.into_iter().map(|one| one.named).collect());
    let verifier = files::verifier(tls, &provider)?;
    let versions = match tls.min_version {
        TlsVersion::V12 => rustls::ALL_VERSIONS,
        TlsVersion::V13 => &[&rustls::version::TLS13],
    };
    let mut server = builder(provider, versions)
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(names));
    server.alpn_protocols = vec![protocol.to_vec()];
    // Sessions are resumed by tickets that the clients keep. Their keys go with this configuration, so that a session from
    // before a certificate was revoked is not resumed after it.
    match ring::Ticketer::new() {
        Ok(ticketer) => server.ticketer = ticketer,
        Err(fault) => tracing::warn!(%fault, "no random bytes for session tickets: sessions are not resumed"),
    }
    let server = Arc::new(server);
    Ok(Current { server, expires_secs })
}

fn builder(
    provider: Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("ring has suites for TLS 1.2 and 1.3")
}

fn look(tls: &Tls) -> Seen {
    let files = tls.certificates.iter().chain(&tls.keys);
    let files = files.chain(&tls.client_ca).chain(&tls.client_crl);
    files.map(|path| look_at(path)).collect()
}

fn look_at(path: &Path) -> Option<(u64, Option<SystemTime>, u64)> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok(), found.ino()))
}

const DAY_SECS: i64 = 24 * 3_600;
/// So many days before the end the log begins to warn.
const WARNING_DAYS: i64 = 30;
