//! Reads certificates, keys and revocation lists from PEM files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, server};
use rustls_pki_types::pem::{Error, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::names::Named;
use crate::config::{ClientCertificate, Tls};

/// Why a file of `[listeners.tls]` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct TlsFileError {
    path: PathBuf,
    what: String,
}

/// A certificate, and when the first of its chain expires, Unix seconds.
pub(super) struct Loaded {
    pub named: Named,
    pub expires_secs: i64,
}

/// Reads a certificate with its chain and its key.
pub(super) fn certificate(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<Loaded, TlsFileError> {
    let certificates = certificates(chain)?;
    let (names, expires_secs) = describe(chain, &certificates)?;
    let secret = private_key(key)?;
    let certified = CertifiedKey::from_der(certificates, secret, provider).map_err(|fault| {
        let what = format!("does not go with the certificate in {}: {fault}", chain.display());
        refuse(key, what)
    })?;
    let key = Arc::new(certified);
    Ok(Loaded {
        named: Named { names, key },
        expires_secs,
    })
}

/// What decides on certificates of clients.
pub(super) fn verifier(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
    let Some(ca) = tls
        .client_ca
        .as_deref()
        .filter(|_| tls.client_certificate.is_asked_for())
    else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots
            .add(certificate)
            .map_err(|fault| refuse(ca, format!("holds a certificate that is none of a CA: {fault}")))?;
    }
    let mut lists = Vec::new();
    for path in &tls.client_crl {
        lists.extend(revocation_lists(path)?);
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    if !lists.is_empty() {
        // A list that is out of date says nothing about what was revoked since.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    if tls.client_certificate == ClientCertificate::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|fault: server::VerifierBuilderError| {
        let path = tls.client_crl.first().map_or(ca, PathBuf::as_path);
        refuse(path, format!("cannot be used to verify clients: {fault}"))
    })
}

/// Reads a private key.
pub(in crate::net) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|fault| match fault {
        Error::NoItemsFound => refuse(path, NO_KEY),
        other => refuse(path, format!("cannot be read as PEM: {other}")),
    })
}

/// Reads certificates, at least one.
pub(in crate::net) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|fault| refuse(path, format!("cannot be read as PEM: {fault}")))?;
    if found.is_empty() {
        return Err(refuse(
            path,
            "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(found)
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFileError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|fault| refuse(path, format!("cannot be read as PEM: {fault}")))?;
    if found.is_empty() {
        return Err(refuse(
            path,
            "holds no revocation list in PEM (-----BEGIN X509 CRL-----)",
        ));
    }
    Ok(found)
}

/// The names of the first certificate, and when the first of all expires.
fn describe(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(Vec<String>, i64), TlsFileError> {
    let (mut names, mut expires_secs) = (Vec::new(), i64::MAX);
    for (index, der) in chain.iter().enumerate() {
        let parsed = X509Certificate::from_der(der);
        let (_, certificate) = parsed.map_err(|fault| refuse(path, format!("certificate {}: {fault}", index + 1)))?;
        expires_secs = expires_secs.min(certificate.validity().not_after.timestamp());
        if index == 0 {
            names = dns_names(&certificate);
        }
    }
    Ok((names, expires_secs))
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(dns).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).map_err(|fault| refuse(path, format!("cannot be read: {fault}")))
}

pub(in crate::net) fn refuse(path: &Path, what: impl Into<String>) -> TlsFileError {
    TlsFileError {
        path: path.to_owned(),
        what: what.into(),
    }
}

const NO_KEY: &str = "holds no key in PEM (-----BEGIN PRIVATE KEY-----); one with a passphrase cannot be used";
