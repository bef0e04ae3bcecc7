//! What a session is given to send. Knows no packet identifier: the session chooses that.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::types::{Message, Position, QoS, Sequence, Timestamp};

/// The subscription identifiers of one delivery; nearly always none or one.
pub type SubscriptionIds = SmallVec<[u32; 2]>;

/// One message on its way to one session.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message, shared by all who get it.
    pub message: Arc<Message>,
    /// The smaller of the published and the granted QoS.
    pub qos: QoS,
    /// The RETAIN flag as the subscriber shall see it.
    pub retain: bool,
    /// The identifiers of the subscriptions it answers.
    pub subscription_ids: SubscriptionIds,
    /// Where it comes from, and so what its acknowledgement moves.
    pub source: Source,
    /// Its place in the event store, for a replay subscription.
    pub event: Option<EventPlace>,
}

impl Delivery {
    /// What it costs in a bounded queue, bytes.
    pub fn cost(&self) -> usize {
        self.message.size() + DELIVERY_OVERHEAD
    }
}

/// Where a delivery comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A plain subscription: nothing but the packet identifier waits for the acknowledgement.
    Live,
    /// A live group, without a cursor: as `Live`, but another member may have it when the session ends.
    Shared(SubscriptionKey),
    /// A retained message sent because of a SUBSCRIBE.
    Retained,
    /// A replay subscription of this session; the acknowledgement moves its cursor.
    Replay(SubscriptionKey, Position),
    /// A group with a cursor; the acknowledgement is the group's.
    Group(SubscriptionKey, Position),
    /// The plain subscriptions of a durable session; the acknowledgement moves the session's place in the log.
    Session(Position),
}

impl Source {
    /// Whether a cursor waits for the acknowledgement.
    pub fn has_cursor(self) -> bool {
        matches!(self, Self::Replay(..) | Self::Group(..) | Self::Session(_))
    }
}

/// A session's own short name of one of its subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionKey(pub u32);

/// The place of an event, as told to the subscriber in `es-*` properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// Its number in its channel.
    pub sequence: Sequence,
    /// Its commit time.
    pub time: Timestamp,
    /// Whether it was sent before and not acknowledged.
    pub redelivered: bool,
}

const DELIVERY_OVERHEAD: usize = size_of::<Delivery>() + size_of::<Message>();
