//! How a client reached the broker: from where, through which listener, and who the transport says it is.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::auth::Identity;
use crate::config::Versions;

/// What is known of a client before its CONNECT.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Where it comes from.
    pub peer: Peer,
    /// What its listener asks of clients.
    pub gate: Arc<Gate>,
    /// Who its TLS certificate says it is, where the listener takes that for an identity.
    pub certificate: Option<Identity>,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An IP address and a port; behind a trusted proxy, those that the proxy named.
    Ip(SocketAddr),
    /// A program on this machine, over a Unix socket.
    Unix,
}

/// What a listener asks of the clients that reach it.
#[derive(Debug)]
pub struct Gate {
    /// The listener's name, for the log.
    pub listener: String,
    /// Whether clients that prove nothing may come in.
    pub anonymous: bool,
    /// The protocol versions that it speaks.
    pub versions: Versions,
    /// Whether rules of access do not hold: for the administration, which comes in without a listener.
    pub unrestricted: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            listener: "default".to_owned(),
            anonymous: true,
            versions: Versions::default(),
            unrestricted: false,
        }
    }
}

impl Arrival {
    /// The administration's.
    pub fn administrator(address: SocketAddr) -> Self {
        let gate = Gate {
            listener: "http".to_owned(),
            unrestricted: true,
            ..Gate::default()
        };
        Self {
            gate: Arc::new(gate),
            ..Self::from(address)
        }
    }
}

impl From<SocketAddr> for Arrival {
    fn from(address: SocketAddr) -> Self {
        Self {
            peer: Peer::Ip(address),
            gate: Arc::default(),
            certificate: None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => fmt::Display::fmt(address, f),
            Self::Unix => f.write_str("unix"),
        }
    }
}
