//! The way to a broker: TCP, then TLS and WebSocket where they are asked for. Knows no packet.

mod trust;

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::opening::Stream;
use super::websocket;
use crate::broker::Peer;
use crate::codec::MAX_PACKET_SIZE;
use crate::config::Address;

pub use trust::{Trust, TrustError};

/// Where a broker is, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Host and port.
    pub address: Address,
    /// What TLS needs, where there is TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// The path of the WebSocket, where there is one.
    pub path: Option<String>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No TCP connection.
    #[error("cannot connect to {0}: {1}")]
    Tcp(Address, #[source] io::Error),
    /// The host can be no name in a certificate.
    #[error("{0:?} is no host name that a certificate can have")]
    Name(String),
    /// No TLS over it.
    #[error("{0}: TLS: {1}")]
    Tls(Address, #[source] io::Error),
    /// No WebSocket over it.
    #[error("{0}: WebSocket: {1}")]
    WebSocket(Address, String),
}

/// Connects.
///
/// # Errors
/// Which step failed, and why.
pub async fn dial(to: &Destination) -> Result<Box<dyn Stream>, DialError> {
    let address = &to.address;
    let tcp = |fault| DialError::Tcp(address.clone(), fault);
    let stream = TcpStream::connect((&*address.host, address.port)).await.map_err(tcp)?;
    stream.set_nodelay(true).map_err(tcp)?;
    let peer = Peer::Ip(stream.peer_addr().map_err(tcp)?);
    let Some(tls) = &to.tls else {
        return over(stream, to, peer).await;
    };
    let name = ServerName::try_from(address.host.clone()).map_err(|_| DialError::Name(address.host.clone()))?;
    let secured = TlsConnector::from(tls.clone()).connect(name, stream).await;
    over(
        secured.map_err(|fault| DialError::Tls(address.clone(), fault))?,
        to,
        peer,
    )
    .await
}

async fn over<S: Stream + 'static>(stream: S, to: &Destination, peer: Peer) -> Result<Box<dyn Stream>, DialError> {
    let Some(path) = &to.path else {
        return Ok(Box::new(stream));
    };
    let scheme = if to.tls.is_some() { "wss" } else { "ws" };
    let uri = format!("{scheme}://{}{path}", to.address);
    let opened = websocket::request(stream, &uri, MAX_PACKET_SIZE, peer).await;
    match opened {
        Ok(stream) => Ok(Box::new(stream)),
        Err(fault) => Err(DialError::WebSocket(to.address.clone(), fault)),
    }
}
