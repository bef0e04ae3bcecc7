//! What is said and counted when a connection is refused before its client is let in.

use std::fmt::Display;

use crate::broker::{Broker, Peer};
use crate::metrics::{Label, RefusalReason};

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

/// Who is refused, as far as that is known.
#[derive(Debug, Default)]
pub(super) struct Who {
    pub client: Option<String>,
    pub user: Option<String>,
}

/// Counts a refusal and writes it to the log, unless there are too many like it.
pub(super) fn note(broker: &Broker, listener: &str, peer: Peer, who: &Who, reason: RefusalReason, what: &dyn Display) {
    broker.metrics().connections_refused.of(reason).increment(1);
    if broker.floods().refused(reason).admits(broker.clock().now()) {
        let (client, user, kind) = (who.client.as_deref(), who.user.as_deref(), reason.text());
        // As text, which is quoted: it may have something of the client's in it.
        let reason = what.to_string();
        tracing::info!(client, address = %peer, user, listener, kind, reason, "connection refused");
    }
}
