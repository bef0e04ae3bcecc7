//! One client as its connection's task holds it: the session, its subscriptions, its mailbox. Nobody else touches it.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::AHashMap;
use bytes::BytesMut;

use super::ack::AwaitedAck;
use super::group::Group;
use super::outbox::Outbox;
use super::replay::ReplaySubscription;
use super::subscription::SubscriptionOptions;
use super::tally::Tally;
use super::turn::Turn;
use super::unwritten::Unwritten;
use super::will::Will;
use crate::codec::Packet;
use crate::session::{Delivery, Session, SubscriptionKey};
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
    pub(super) tally: Tally,
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

    /// Whether packets of the client are handled now: not while too many of its messages wait for their commit, nor while
    /// it does not read the answers or the retained messages that it asked for.
    pub fn takes_input(&mut self) -> bool {
        !self.awaits_commits() && self.waiting.len() < MAX_WAITING && self.session.output().len() < MAX_UNREAD_BYTES
    }

    /// Whether so many messages of the client wait for their commit that no more are taken.
    pub fn awaits_commits(&self) -> bool {
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
/// Output that may wait for a client that does not read, bytes, before its packets wait as well.
const MAX_UNREAD_BYTES: usize = 256 << 10;
/// Messages that may be ready to be sent to a client before its packets wait.
const MAX_WAITING: usize = 16_384;
