//! The bytes under a connection: TCP, or TLS over it. Knows no packet.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::error::BenchError;

/// A stream to a broker.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over it.
    Tls(Box<TlsStream<TcpStream>>),
}

/// How all connections of this process are made.
static TLS: OnceLock<TlsConnector> = OnceLock::new();

/// From now on connections speak TLS, with brokers whose certificate this authority signed.
///
/// # Errors
/// If the file holds no certificate.
pub fn use_tls(authority: &Path) -> Result<(), BenchError> {
    let what = || format!("cannot use {}", authority.display());
    let other = |error| BenchError::io(what())(io::Error::other(error));
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority).map_err(|error| other(error.to_string()))?;
    roots.add(certificate).map_err(|error| other(error.to_string()))?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // It is set once: a process runs one scenario.
    let _ = TLS.set(TlsConnector::from(Arc::new(config)));
    Ok(())
}

impl Stream {
    /// Connects.
    pub async fn connect(broker: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(broker).await?;
        // A batch is written at once; waiting for more would only delay it.
        stream.set_nodelay(true)?;
        match TLS.get() {
            None => Ok(Self::Plain(stream)),
            Some(connector) => {
                let name = ServerName::IpAddress(broker.ip().into());
                Ok(Self::Tls(Box::new(connector.connect(name, stream).await?)))
            }
        }
    }

    /// Reads.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    /// Writes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Sends what was written.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }
}
