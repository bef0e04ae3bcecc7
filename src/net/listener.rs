//! Accepts connections and hands each to a worker in turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use super::connection::serve_opened;
use crate::broker::{Arrival, Broker, Counted, TooMany};
use crate::config::Address;
use crate::metrics::{Limit, RefusalReason};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", hint(source))]
pub struct ListenError {
    address: String,
    source: std::io::Error,
}

/// What to do about it, where that is known.
fn hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another program has that port: stop it, or choose another with --listen or --http"
        }
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        std::io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

impl ListenError {
    /// The address, and what the system says.
    pub fn new(address: String, source: std::io::Error) -> Self {
        Self { address, source }
    }
}

/// A TCP socket that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds to an address.
    pub async fn bind(address: &Address) -> Result<Self, ListenError> {
        let fault = |source| ListenError::new(address.to_string(), source);
        let socket = TcpListener::bind((address.host.as_str(), address.port))
            .await
            .map_err(fault)?;
        let local = socket.local_addr().map_err(fault)?;
        Ok(Self { socket, address: local })
    }

    /// The address with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until the task is dropped; each runs on the next worker.
    pub async fn accept(self, broker: Arc<Broker>, workers: Vec<Handle>) {
        for worker in workers.iter().cycle() {
            let (stream, peer, counted) = loop {
                let (stream, peer) = self.next_connection().await;
                if let Some(counted) = count(&broker, peer) {
                    break (stream, peer, counted);
                }
            };
            let broker = broker.clone();
            worker.spawn(serve_opened(open(stream, peer), broker, counted));
        }
    }

    async fn next_connection(&self) -> (std::net::TcpStream, SocketAddr) {
        loop {
            match self
                .socket
                .accept()
                .await
                .and_then(|(stream, peer)| Ok((stream.into_std()?, peer)))
            {
                Ok(connection) => return connection,
                Err(fault) => {
                    // Out of file descriptors, most likely: others will close theirs.
                    tracing::warn!(address = %self.address, %fault, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Counts a connection for its address; `None` if that has too many. Then it is closed before anything is read from it: a
/// flood must cost no more than that.
fn count(broker: &Arc<Broker>, peer: SocketAddr) -> Option<Counted> {
    let (limit, first, what) = match broker.addresses().enter(peer.ip(), broker.clock().now()) {
        Ok(counted) => return Some(counted),
        Err(TooMany::Connections { first }) => (
            Limit::AddressConnections,
            first,
            "the address has as many connections as allowed (limits.max_connections_per_address)",
        ),
        Err(TooMany::Rate { first }) => (
            Limit::ConnectionRate,
            first,
            "the address opens connections faster than allowed (limits.connection_rate)",
        ),
    };
    broker.metrics().limited.of(limit).increment(1);
    broker
        .metrics()
        .connections_refused
        .of(RefusalReason::Limit)
        .increment(1);
    if first {
        tracing::warn!(address = %peer.ip(), "{what}; further ones are closed without a line");
    }
    None
}

/// Registers the socket with the reactor of the worker that this runs on.
async fn open(stream: std::net::TcpStream, peer: SocketAddr) -> Option<(TcpStream, Arrival)> {
    let stream = TcpStream::from_std(stream)
        .inspect_err(|fault| tracing::warn!(%peer, %fault, "a connection could not be taken over"))
        .ok()?;
    // Output is gathered before it is written; waiting for more would only delay it.
    if let Err(fault) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %fault, "TCP_NODELAY could not be set");
    }
    Some((stream, peer.into()))
}

/// How long accepting pauses after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
