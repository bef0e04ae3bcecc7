//! TLS of one listener: its certificates, and what it asks of those of clients. Opens no file.

use std::path::PathBuf;

use serde::Serialize;

use super::reader::{Reader, Section};
use super::value::{self, Words};

/// TLS of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// PEM files, each with a certificate and those that sign it up to the CA; the first answers where no name fits.
    pub certificates: Vec<PathBuf>,
    /// PEM files with their keys, in the same order.
    pub keys: Vec<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Whether clients show a certificate.
    pub client_certificate: ClientCertificate,
    /// PEM file with the CAs that sign certificates of clients.
    pub client_ca: Option<PathBuf>,
    /// PEM files with the revocation lists of these CAs.
    pub client_crl: Vec<PathBuf>,
    /// Which part of a client's certificate is its user name.
    pub client_identity: Identified,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsVersion {
    /// 1.2.
    #[default]
    V12,
    /// 1.3.
    V13,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// They are not asked for one.
    #[default]
    None,
    /// One that is shown must be valid.
    Optional,
    /// Who shows no valid one is refused.
    Required,
}

/// Which part of a certificate names its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identified {
    /// None: the certificate only lets in the connection.
    None,
    /// The common name of its subject.
    #[default]
    CommonName,
    /// Its first DNS name.
    Dns,
    /// Its first e-mail address.
    Email,
    /// Its first URI.
    Uri,
}

impl Tls {
    /// Whether every client that comes in has a name by its certificate.
    pub fn identifies(&self) -> bool {
        self.client_certificate == ClientCertificate::Required && self.client_identity.is_wanted()
    }
}

impl ClientCertificate {
    /// Whether clients may show one.
    pub fn is_asked_for(self) -> bool {
        self != Self::None
    }
}

impl Identified {
    /// Whether a certificate gives its client a name.
    pub fn is_wanted(self) -> bool {
        self != Self::None
    }
}

impl Section for Tls {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.require("certificate");
        reader.require("key");
        reader.option("certificate", &mut self.certificates, value::list(value::path));
        reader.option("key", &mut self.keys, value::list(value::path));
        reader.option("min_version", &mut self.min_version, value::word);
        reader.option("client_certificate", &mut self.client_certificate, value::word);
        reader.option("client_ca", &mut self.client_ca, value::optional_path);
        reader.option("client_crl", &mut self.client_crl, value::list(value::path));
        reader.option("client_identity", &mut self.client_identity, value::word);
    }
}

impl Words for TlsVersion {
    const WORDS: &'static [(&'static str, Self)] = &[("1.2", Self::V12), ("1.3", Self::V13)];
}

impl Words for ClientCertificate {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("optional", Self::Optional),
        ("required", Self::Required),
    ];
}

impl Words for Identified {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("common_name", Self::CommonName),
        ("dns", Self::Dns),
        ("email", Self::Email),
        ("uri", Self::Uri),
    ];
}
