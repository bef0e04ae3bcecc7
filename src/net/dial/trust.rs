//! Whom a client trusts over TLS, and what it shows of itself.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::net::TlsFileError;
use crate::net::tls::files::{self, refuse};

/// The files of a client's side of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The authorities that may vouch for the broker; `None` are those of the system.
    pub authorities: Option<PathBuf>,
    /// The client's certificate with its chain, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] TlsFileError),
    /// The system knows no authority.
    #[error("no certificates of authorities are installed on this system{0}; name the broker's by --ca-file")]
    NoAuthorities(String),
    /// The TLS library has something against it.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// Reads the files. `protocol` is what is offered to the broker (ALPN).
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn client_config(&self, protocol: &[u8]) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(self.roots()?);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let certificates = files::certificates(chain)?;
                let what = |fault| {
                    refuse(
                        key,
                        format!("does not go with the certificate in {}: {fault}", chain.display()),
                    )
                };
                builder
                    .with_client_auth_cert(certificates, files::private_key(key)?)
                    .map_err(what)?
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, TrustError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.authorities {
            for certificate in files::certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|fault| refuse(path, fault.to_string()))?;
            }
            return Ok(roots);
        }
        let found = rustls_native_certs::load_native_certs();
        // Of the hundreds of a system some may be of a kind that is not understood.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|fault| format!(" ({fault})"));
            return Err(TrustError::NoAuthorities(why.unwrap_or_default()));
        }
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        let trust = Trust {
            authorities: Some(file.clone()),
            certificate: None,
        };
        let fault = trust.client_config(b"mqtt").expect_err("no file").to_string();
        assert!(fault.starts_with(&file.display().to_string()), "{fault}");
        std::fs::write(&file, "no PEM").expect("written");
        let fault = trust.client_config(b"mqtt").expect_err("no certificate").to_string();
        assert!(fault.contains("holds no certificate"), "{fault}");
    }
}
