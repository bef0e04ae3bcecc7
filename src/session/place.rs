//! What a durable session must have on disk before it goes on, and what waits for that. Knows no disk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Source, SubscriptionIds};
use crate::types::{Message, PacketId, QoS};

/// A packet in flight as it is kept while its client is away, or on disk: its message is in the log.
#[derive(Clone, Debug)]
pub struct InFlightPlace {
    /// Its packet identifier.
    pub packet_id: PacketId,
    /// The QoS it was sent with.
    pub qos: QoS,
    /// Where its message comes from.
    pub source: Source,
    /// The RETAIN flag it was sent with.
    pub retain: bool,
    /// The subscription identifiers it was sent with.
    pub subscription_ids: SubscriptionIds,
    /// PUBREC has come: what is sent again is PUBREL.
    pub completing: bool,
    /// The message, if no log has it.
    pub message: Option<Arc<Message>>,
}

/// Counts the changes of what is in flight, and keeps back the packets that need a change to be on disk.
#[derive(Debug, Default)]
pub(super) struct Saving {
    changes: u64,
    /// The last change that should not wait: an identifier that the client has seen or is to see.
    urgent: u64,
    waiting: VecDeque<(u64, Waiting)>,
}

/// A packet that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The PUBLISH with this identifier.
    Publish(PacketId),
    /// The PUBREL with this identifier.
    Release(PacketId),
}

impl Saving {
    /// Something is no longer in flight.
    pub fn acknowledged(&mut self) {
        self.changes += 1;
    }

    /// A packet went out whose identifier is to be on disk soon.
    pub fn sent(&mut self) {
        self.changes += 1;
        self.urgent = self.changes;
    }

    /// A packet goes out when what is in flight now is on disk.
    pub fn wait(&mut self, waiting: Waiting) {
        self.sent();
        self.waiting.push_back((self.changes, waiting));
    }

    /// Whether messages wait; those behind them wait too, so that the order holds.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a PUBREL of this identifier waits.
    pub fn waits_for_release(&self, packet_id: PacketId) -> bool {
        self.waiting
            .iter()
            .any(|(_, waiting)| *waiting == Waiting::Release(packet_id))
    }

    /// The number of the last change.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The number of the last change that should not wait.
    pub fn urgent(&self) -> u64 {
        self.urgent
    }

    /// The next packet whose change is on disk, now that those up to `saved` are.
    pub fn next_saved(&mut self, saved: u64) -> Option<Waiting> {
        let (change, waiting) = *self.waiting.front()?;
        (change <= saved).then(|| {
            self.waiting.pop_front();
            waiting
        })
    }

    /// The connection is gone: nothing waits for it any more.
    pub fn connection_lost(&mut self) {
        self.waiting.clear();
    }
}
