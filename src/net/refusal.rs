//! What is said and counted when a connection is refused before its client is let in.

use std::fmt::Display;

use crate::broker::{Broker, Peer};
use crate::metrics::RefusalReason;

/// Why a connection is closed before its CONNECT.
#[derive(Debug)]
pub(super) struct Closed {
    pub reason: RefusalReason,
    pub what: String,
    /// Whether it is counted and in the log already.
    pub is_told: bool,
}

impl Closed {
    pub fn new(reason: RefusalReason, what: impl Into<String>) -> Self {
        Self {
            reason,
            what: what.into(),
            is_told: false,
        }
    }

    /// One that is counted and in the log already.
    pub fn told() -> Self {
        Self {
            is_told: true,
            ..Self::new(RefusalReason::Limit, "")
        }
    }
}

/// Counts a refusal and writes it to the log.
pub(super) fn note(broker: &Broker, listener: &str, peer: Peer, reason: RefusalReason, what: &dyn Display) {
    broker.metrics().connections_refused.of(reason).increment(1);
    tracing::info!(%peer, listener, reason = %what, "connection refused");
}
