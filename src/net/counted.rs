//! Counts a connection for its address, before anything is read from it. Closes none.

use crate::broker::{Broker, Counted, Peer, TooMany};
use crate::metrics::{Limit, RefusalReason};

/// Counts a connection for its address; `None` if that has too many. Then it
/// is to be closed without a word: a flood must cost no more than that.
pub(super) fn count(broker: &Broker, peer: Peer) -> Option<Counted> {
    let Peer::Ip(address) = peer else {
        return Some(Counted::default());
    };
    let (limit, first, what) = match broker.addresses().enter(address.ip(), broker.clock().now()) {
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
        tracing::warn!(address = %address.ip(), "{what}; further ones are closed without a line");
    }
    None
}
