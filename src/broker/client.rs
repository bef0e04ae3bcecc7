//! One client as its connection's task holds it: the session, its subscriptions, its mailbox. Nobody else touches it.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use bytes::BytesMut;

use super::OUTPUT_LIMIT;
use super::access::Guard;
use super::ack::AwaitedAck;
use super::arrival::{Gate, Peer};
use super::authenticate::Credentials;
use super::durable::Durable;
use super::group::Group;
use super::outbox::Outbox;
use super::queue::{Queue, Queued};
use super::replay::ReplaySubscription;
use super::subscription::{Subscription, SubscriptionOptions, SubscriptionPath};
use super::tally::Tally;
use super::turn::Turn;
use super::unwritten::Unwritten;
use super::will::Will;
use crate::auth::Identity;
use crate::codec::Packet;
use crate::log::{Command, SessionRecord, SubscriptionKind, SubscriptionRecord};
use crate::selector::Selector;
use crate::session::{Delivery, Session, Source, SubscriptionKey};
use crate::topic::TopicFilter;
use crate::types::{HasEmpty, Position, Rare, SessionId, SmallMap, Timestamp, Version};

/// A client with everything that is its own.
#[derive(Debug)]
pub struct Client {
    pub(super) session: Session,
    pub(super) outbox: Arc<Outbox>,
    /// What a durable session has beyond others.
    pub(super) durable: Option<Box<Durable>>,
    pub(super) subscriptions: SmallMap<SubscriptionPath, Subscription, 8>,
    pub(super) replays: Vec<ReplaySubscription>,
    pub(super) groups: Rare<Vec<GroupMembership>>,
    /// QoS 1 and 2 messages that came when the client took no more; older than `waiting`.
    pub(super) blocked: Rare<Queue>,
    /// Messages that are sent next.
    pub(super) waiting: Queue,
    /// QoS 0 deliveries with a cursor in the output that is not written yet.
    pub(super) unwritten: Rare<Unwritten>,
    /// PUBLISH packets that are on their way through the log.
    pub(super) commits_awaited: usize,
    pub(super) acks: Vec<AwaitedAck>,
    pub(super) next_ack: u64,
    pub(super) next_key: u32,
    pub(super) will: Option<Box<Will>>,
    /// When the identity stops being proved.
    pub(super) valid_until: Option<NonZeroU64>,
    /// What a connection with an Authentication Method can prove again.
    pub(super) credentials: Option<Box<Credentials>>,
    /// Whether its messages have to be looked at one by one, if that is known.
    pub(super) guard: Option<Box<Guard>>,
    pub(super) session_expiry_secs: u32,
    pub(super) assigned_id: bool,
    /// How and when it connected last.
    pub(super) reached: Option<Reached>,
    pub(super) turn: Turn,
    pub(super) tally: Tally,
}

/// How and when a client connected.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    pub peer: Peer,
    pub gate: Arc<Gate>,
    pub since: Timestamp,
}

/// A subscription to a group with a cursor.
#[derive(Debug)]
pub(super) struct GroupMembership {
    pub key: SubscriptionKey,
    pub group: Arc<Group>,
    pub options: SubscriptionOptions,
}

impl HasEmpty for Vec<GroupMembership> {
    fn empty() -> &'static Self {
        const EMPTY: &Vec<GroupMembership> = &Vec::new();
        EMPTY
    }
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

    /// Says when a turn begins whether anybody traces.
    pub fn set_traced(&mut self, traced: bool) {
        self.turn.traced = traced;
    }

    /// Whether anybody traces.
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.turn.traced
    }

    /// The bytes to be written to the connection.
    pub fn output(&mut self) -> &mut BytesMut {
        self.session.output()
    }

    /// The mailbox that wakes the connection.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// A durable session that has taken everything that was handed out up to a position needs nothing of it again.
    pub(super) fn note_idle(&mut self, handed_out: Position) {
        if let Some(durable) = &mut self.durable
            && !durable.behind
            && !self.blocked.has_cursor()
            && !self.waiting.has_cursor()
            && self.outbox.is_place_idle()
        {
            durable.place.skip_to(handed_out);
        }
    }

    /// The subscription at a path, if it is of this kind.
    pub(super) fn subscription(&self, path: &SubscriptionPath, kind: SubscriptionKind) -> Option<Subscription> {
        self.subscriptions
            .get(path)
            .cloned()
            .filter(|subscription| subscription.kind == kind)
    }

    /// A subscription that is there was asked for again with these options and this selector.
    pub(super) fn note_options(
        &mut self,
        path: &SubscriptionPath,
        options: SubscriptionOptions,
        selector: Option<Arc<Selector>>,
    ) {
        if let Some(subscription) = self.subscriptions.get_mut(path) {
            subscription.options = options;
            subscription.selector = selector;
        }
    }

    /// Whether a durable session has read the log up to a position, or reads on there: whatever is queued comes from the
    /// log as well.
    pub(super) fn has_read(&self, position: Position) -> bool {
        self.durable
            .as_ref()
            .is_some_and(|durable| durable.reader.is_some() || position <= durable.place.read_to())
    }

    /// Whether the log brings this as well.
    pub(super) fn is_read(&self, queued: &Queued) -> bool {
        match queued {
            Queued::One(delivery) => match delivery.source {
                Source::Session(position) => self.has_read(position),
                _ => false,
            },
            Queued::Run(_) => false,
        }
    }

    /// What was blocked, or what is sent next.
    pub(super) fn queue(&mut self, blocked: bool) -> &mut Queue {
        if blocked { &mut self.blocked } else { &mut self.waiting }
    }

    /// Whether it fits behind what is in the output already, so that buffers keep their size.
    pub(super) fn has_room(&mut self, queued: &Queued) -> bool {
        let output = self.session.output();
        match queued {
            Queued::One(_) => true,
            Queued::Run(run) => output.is_empty() || output.len() + run.bytes().len() <= OUTPUT_LIMIT,
        }
    }

    /// Whether the session could send the first of this now.
    pub(super) fn can_send_first(&self, queued: &Queued) -> bool {
        match queued {
            Queued::One(delivery) => self.can_send(delivery),
            Queued::Run(run) => self.session.can_send(run.qos()),
        }
    }

    /// Whether the session could send this now.
    pub(super) fn can_send(&self, delivery: &Delivery) -> bool {
        let of_place = matches!(delivery.source, Source::Session(_));
        let has_room = !of_place || self.durable.as_ref().is_some_and(|durable| durable.has_room());
        has_room && self.session.can_send(delivery.qos)
    }

    /// A record of the log was sent to a durable session, or will not be.
    pub(super) fn passed(&mut self, position: Option<Position>, sent: bool) {
        match (&mut self.durable, position) {
            (Some(durable), Some(position)) if sent => durable.place.sent(position),
            (Some(durable), Some(position)) => durable.place.skip_to(position),
            _ => {}
        }
    }

    /// The name of a durable session on disk.
    pub(super) fn durable_id(&self) -> Option<SessionId> {
        self.durable.as_ref().map(|durable| durable.id)
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

    /// When what the client proved stops being true, and its connection has to end.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until.map(|until| Timestamp(until.get()))
    }

    /// The user whose session it is, for the log.
    pub fn user(&self) -> Option<&str> {
        self.outbox.owner().map(Identity::as_str)
    }

    /// The listener that its connection came through, for the log.
    pub fn listener(&self) -> Option<&str> {
        self.reached.as_ref().map(|reached| &*reached.gate.listener)
    }

    /// Where its connection comes from.
    pub fn peer(&self) -> Option<Peer> {
        self.reached.as_ref().map(|reached| reached.peer)
    }

    /// Writes a packet.
    pub fn write(&mut self, packet: Packet<'_>) {
        self.session.write(packet);
    }

    /// The plain subscriptions are others now: a durable session that reads the log begins anew where it has got to.
    pub(super) fn plain_changed(&mut self) {
        if let Some(durable) = self.durable.as_mut().filter(|durable| durable.behind) {
            durable.fall_behind();
        }
    }

    /// The command that saves a durable session; `disconnected` is since when nobody is connected.
    pub(super) fn session_command(&self, disconnected: Option<Timestamp>) -> Option<Command> {
        let durable = self.durable.as_ref()?;
        let record = SessionRecord {
            id: durable.id,
            client_id: self.client_id().to_owned(),
            expiry_secs: self.session_expiry_secs,
            created: durable.created,
            disconnected,
            owner: self.outbox.owner().map(|owner| owner.as_str().to_owned()),
        };
        Some(Command::SaveSession(Box::new(record)))
    }

    /// The command that brings the will on disk, or takes an earlier one off it, for a durable session.
    pub(super) fn will_command(&mut self, now: Timestamp) -> Option<Command> {
        let durable = self.durable.as_mut()?;
        let had_will = std::mem::replace(&mut durable.has_will, self.will.is_some());
        match &self.will {
            Some(will) => Some(Command::SaveWill(Box::new(will.record(durable.id, now)))),
            None => had_will.then_some(Command::DeleteWill(durable.id)),
        }
    }

    /// The name of the session, if its will is on disk; the will is taken off it by the publish.
    pub(super) fn saved_will(&mut self) -> Option<SessionId> {
        let durable = self.durable.as_mut()?;
        std::mem::take(&mut durable.has_will).then_some(durable.id)
    }

    /// A plain subscription has ended: the log need not keep what is in flight because of it.
    pub(super) fn keep_in_flight(&mut self, filter: &TopicFilter) {
        if let Some(durable) = &mut self.durable {
            for position in self.session.make_own(|topic| filter.matches(topic)) {
                durable.place.acked(position);
            }
        }
    }

    /// The command that saves a subscription of a durable session.
    pub(super) fn save_subscription(&self, path: &SubscriptionPath) -> Option<Command> {
        let subscription = self.subscriptions.get(path)?;
        let options = subscription.options;
        let record = SubscriptionRecord {
            session: self.durable_id()?,
            number: subscription.key.0,
            kind: subscription.kind,
            group: path.group.as_ref().map(|group| group.to_string()),
            filter: path.filter.as_str().to_owned(),
            qos: options.qos,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            id: options.id.map(NonZeroU32::get),
            since: subscription.since,
            selector: subscription
                .selector
                .as_ref()
                .map(|selector| selector.text().to_owned()),
        };
        Some(Command::SaveSubscription(Box::new(record)))
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
