//! One client as its connection's task holds it: the session, its subscriptions, its mailbox. Nobody else touches it.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::AHashMap;
use bytes::BytesMut;

use super::group::Group;
use super::outbox::Outbox;
use super::replay::ReplaySubscription;
use super::route::SubscriptionOptions;
use super::turn::Turn;
use super::will::Will;
use crate::codec::{Packet, SubAck};
use crate::session::{Delivery, Session, Source, SubscriptionKey};
use crate::topic::TopicFilter;
use crate::types::Version;

/// A client with everything that is its own.
#[derive(Debug)]
pub struct Client {
    pub(super) session: Session,
    pub(super) outbox: Arc<Outbox>,
    pub(super) subscriptions: AHashMap<SubscriptionPath, Subscription>,
    pub(super) replays: Vec<ReplaySubscription>,
    pub(super) groups: Vec<GroupMembership>,
    /// QoS 1 and 2 messages that came when the client took no more; older than `waiting`.
    pub(super) held: VecDeque<Delivery>,
    /// Messages that are sent next.
    pub(super) waiting: VecDeque<Delivery>,
    /// QoS 0 deliveries with a cursor in the output that is not written yet.
    pub(super) unwritten: Unwritten,
    /// PUBLISH packets that are on their way through the log.
    pub(super) commits_awaited: usize,
    pub(super) acks: Vec<AwaitedAck>,
    pub(super) next_ack: u64,
    pub(super) next_key: u32,
    pub(super) will: Option<Will>,
    pub(super) session_expiry_secs: u32,
    pub(super) assigned_id: bool,
    pub(super) turn: Turn,
}

/// Deliveries that count as acknowledged when they are written, by where they end in all that is ever written.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    written: u64,
    ends: VecDeque<(u64, Source)>,
}

impl Unwritten {
    /// A delivery ends where the output, now of `output_len` bytes, does.
    pub fn push(&mut self, source: Source, output_len: usize) {
        self.ends.push_back((self.written + output_len as u64, source));
    }

    /// So many more bytes were written.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// The next delivery that is written in full.
    pub fn next_written(&mut self) -> Option<Source> {
        let (end, source) = *self.ends.front()?;
        (end <= self.written).then(|| {
            self.ends.pop_front();
            source
        })
    }
}

/// What names a subscription within a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SubscriptionPath {
    pub group: Option<Arc<str>>,
    pub filter: TopicFilter,
}

/// What a session holds of one subscription.
#[derive(Debug)]
pub(super) enum Subscription {
    Live,
    Share,
    Replay(SubscriptionKey),
    Group(SubscriptionKey),
}

/// A subscription to a group with a cursor.
#[derive(Debug)]
pub(super) struct GroupMembership {
    pub key: SubscriptionKey,
    pub group: Arc<Group>,
    pub options: SubscriptionOptions,
}

/// A SUBACK or UNSUBACK that waits until cursor changes are durable.
#[derive(Debug)]
pub(super) struct AwaitedAck {
    pub number: u64,
    pub left: usize,
    pub is_subscribe: bool,
    pub packet: SubAck,
    /// The filters, by index, whose cursor changes are awaited; they fail if the change does.
    pub changes: Vec<(usize, SubscriptionPath)>,
    /// Sent right after a SUBACK.
    pub retained: Vec<Delivery>,
}

impl Client {
    /// The client identifier.
    pub fn client_id(&self) -> &str {
        self.session.client_id().as_str()
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.session.version()
    }

    /// The bytes to be written to the connection.
    pub fn output(&mut self) -> &mut BytesMut {
        self.session.output()
    }

    /// The mailbox that wakes the connection.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Whether the connection should not read now: too many messages of the client wait for their commit.
    pub fn is_busy(&self) -> bool {
        self.commits_awaited >= MAX_COMMITS_AWAITED
    }

    /// Writes a packet.
    pub fn write(&mut self, packet: Packet<'_>) {
        self.session.write(packet);
    }

    pub(super) fn new_key(&mut self) -> SubscriptionKey {
        self.next_key += 1;
        SubscriptionKey(self.next_key)
    }
}

/// PUBLISH packets of one client that may be on their way through the log.
const MAX_COMMITS_AWAITED: usize = 4096;
