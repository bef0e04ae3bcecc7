//! What all connections of one listener share: what it asks of them, and how many there are. Opens none.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use ipnet::IpNet;

use super::tls::Certificates;
use crate::broker::{Gate, Peer};
use crate::config::{Listener, Transport};

/// One listener, as its connections see it.
#[derive(Debug)]
pub(super) struct Door {
    pub gate: Arc<Gate>,
    pub transport: Transport,
    /// The path of a WebSocket listener.
    pub path: String,
    pub tls: Option<Arc<Certificates>>,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    trusted_proxies: Vec<IpNet>,
    max_connections: u64,
    connections: AtomicU64,
}

impl Door {
    /// `address`: the one that it got. `authenticates`: whether clients can prove who they are, beside certificates.
    pub fn new(config: &Listener, address: &str, tls: Option<Arc<Certificates>>, authenticates: bool) -> Self {
        Self {
            gate: Arc::new(Gate {
                listener: config.name.clone().unwrap_or_else(|| address.to_owned()),
                anonymous: config.lets_in_anonymous(authenticates),
                versions: config.versions,
                unrestricted: false,
            }),
            transport: config.transport,
            path: config.path.clone(),
            tls,
            proxy_protocol: config.proxy_protocol,
            trusted_proxies: config.trusted_proxies.clone(),
            max_connections: config.max_connections.unwrap_or(u64::MAX),
            connections: AtomicU64::new(0),
        }
    }

    /// Whether nothing has to be exchanged before CONNECT.
    pub fn is_plain(&self) -> bool {
        self.transport == Transport::Tcp && self.tls.is_none()
    }

    /// Whether this peer may say for whom it speaks. Who may open a Unix socket is up to its permissions.
    pub fn trusts(&self, peer: Peer) -> bool {
        let Peer::Ip(address) = peer else { return true };
        let ip = address.ip().to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&ip))
    }

    /// Room for one more connection, if there is any.
    pub fn seat(self: &Arc<Self>) -> Option<Seat> {
        let seat = Seat(self.clone());
        // The seat counts itself out again if it was one too many.
        (self.connections.fetch_add(1, Ordering::Relaxed) < self.max_connections).then_some(seat)
    }
}

/// Room for one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<Door>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection on its seat.
pub(super) struct Seated<F> {
    pub serving: F,
    pub _seat: Seat,
}

impl<F: Future + Unpin> Future for Seated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.serving).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(change: impl FnOnce(&mut Listener)) -> Arc<Door> {
        let mut config = Listener::default();
        change(&mut config);
        Arc::new(Door::new(&config, "127.0.0.1:1883", None, false))
    }

    #[test]
    fn a_seat_that_is_left_is_free_again() {
        let door = door(|config| config.max_connections = Some(2));
        let first = door.seat().expect("a seat");
        let _second = door.seat().expect("a seat");
        assert!(door.seat().is_none());
        assert!(door.seat().is_none());
        drop(first);
        assert!(door.seat().is_some());
    }

    #[test]
    fn only_named_networks_are_trusted_also_where_ipv4_comes_as_ipv6() {
        let door = door(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a network")]);
        for (peer, trusted) in [
            ("10.1.2.3:5", true),
            ("[::ffff:10.1.2.3]:5", true),
            ("11.1.2.3:5", false),
            ("[::1]:5", false),
        ] {
            assert_eq!(
                door.trusts(Peer::Ip(peer.parse().expect("an address"))),
                trusted,
                "{peer}"
            );
        }
    }
}
