//! Where others leave what is meant for one session. Only the session's own task takes it out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use ahash::AHashMap;
use tokio::sync::{Notify, oneshot};

use super::access::Held;
use super::drops::{Drops, beginning};
use super::lane::{Lane, LaneItem, Tail};
use super::manage::{ClientDetails, CursorReset};
use super::queue::{Queue, Queued};
use crate::auth::Identity;
use crate::codec::{self, DecodeLimits, Packet, Run, RunBuilder};
use crate::metrics::DropReason;
use crate::router::SubscriberId;
use crate::session::{Delivery, Fault, PublishOutcome, PublishToken, Source, SubscriptionKey};
use crate::topic::TopicFilter;
use crate::types::{ClientId, PacketId, Position, QoS, Timestamp, Version};

/// The mailbox of one session.
#[derive(Debug)]
pub struct Outbox {
    /// The session's client identifier.
    pub client_id: ClientId,
    /// The session's name in the router.
    pub subscriber: SubscriberId,
    /// Whether the session is durable: what it has not acknowledged is kept in the log.
    pub durable: bool,
    /// Whose the session is, if somebody has authenticated for it.
    owner: OnceLock<Identity>,
    /// What it may do.
    pub(super) access: Held,
    limits: OutboxLimits,
    connected: AtomicBool,
    /// Whether its client speaks MQTT 5.
    is_v5: AtomicBool,
    /// A durable session needs no record of its plain subscriptions up to here.
    floor: AtomicU64,
    /// More waits for a durable session than may, and the publishers are to be told.
    over_limit: AtomicBool,
    /// The last position that a selector skipped for a replay subscription since that was asked last; 0 is none.
    skipped: AtomicU64,
    load: AtomicUsize,
    inner: Mutex<Inner>,
    released: Notify,
}

/// What a session may leave waiting.
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// QoS 0 beyond this many waiting bytes is dropped.
    pub qos0_bytes: usize,
    /// QoS 1 and 2 beyond this many waiting messages are dropped.
    pub max_messages: usize,
    /// QoS 1 and 2 beyond this many waiting bytes are dropped.
    pub max_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    live: Queue,
    /// Of replay subscriptions, which few sessions have.
    lanes: Option<Box<AHashMap<SubscriptionKey, Lane>>>,
    /// The plain subscriptions of a durable session.
    place: Option<Tail>,
    is_idle_asked: bool,
    replies: Vec<Reply>,
    order: Option<Box<Fault>>,
    /// Whether something was put in that was not looked at.
    is_woken: bool,
    waker: Option<Waker>,
}

/// The end of something that the session asked for.
#[derive(Debug)]
pub enum Reply {
    /// What became of a PUBLISH that went through the log; no token at QoS 0.
    Publish(Option<PublishToken>, PublishOutcome),
    /// The PUBLISH of the reply before was read at this time; it is to be seen how long it waited for its acknowledgement.
    Timed(Timestamp),
    /// A change of a cursor or a subscription that a SUBACK or UNSUBACK waits for; the text is the fault.
    Changed(u64, Result<(), String>),
    /// The session's place is on disk with all changes up to this number, or could not be written.
    PlaceSaved(u64, bool),
    /// The packet identifier of a QoS 2 message is gone from the disk, or could not be taken off it.
    Released(PacketId, bool),
    /// The session's place is to be saved: it moved some time ago.
    SavePlace,
    /// It is to be seen whether more waits for the session than may.
    LimitPending,
    /// The live group became one with a cursor: the member joins it.
    JoinGroup(Arc<str>, TopicFilter),
    /// The administration asks what the client stands at.
    Describe(oneshot::Sender<Box<ClientDetails>>),
    /// The administration moves a replay subscription's cursor.
    Reset(Box<CursorReset>),
}

/// One thing to put into an outbox.
#[derive(Debug)]
pub enum Item {
    /// A message for a plain or shared subscription.
    Live(Delivery),
    /// Packets for a plain subscription, gathered for this session alone.
    Packets(RunBuilder),
    /// Packets for a plain subscription that others get as well.
    Run(Run),
    /// A message for a replay subscription.
    Lane(SubscriptionKey, LaneItem),
    /// The end of something that the session asked for.
    Reply(Reply),
    /// Nothing but the wake-up: a group has something for the session.
    Wake,
}

/// How many messages an outbox refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// QoS 0 for a client that is away.
    pub absent: u64,
    /// QoS 0 for a client that reads too slowly.
    pub slow: u64,
    /// QoS 1 and 2 beyond the bounds.
    pub full: u64,
}

/// What an outbox refused of a batch.
#[derive(Debug, Default)]
struct Refusals {
    counts: Refused,
    /// The topic of the first.
    topic: Option<String>,
}

impl Refusals {
    fn note(&mut self, topic: &str) {
        self.topic.get_or_insert_with(|| beginning(topic).to_owned());
    }

    /// The first packet of a run is looked at only if it is refused.
    fn note_run(&mut self, run: &Run) {
        if self.topic.is_none() {
            self.topic = first_topic(run);
        }
    }
}

fn first_topic(run: &Run) -> Option<String> {
    let limits = DecodeLimits {
        max_packet_size: u32::MAX,
    };
    match codec::decode_from_server(run.first()?.bytes, run.version(), &limits) {
        Ok(Some((Packet::Publish(publish), _))) => Some(beginning(publish.topic).to_owned()),
        _ => None,
    }
}

/// What `take` found.
#[derive(Debug, Default)]
pub struct Taken {
    /// Messages for plain subscriptions.
    pub live: Queue,
    /// Ends of requests.
    pub replies: Vec<Reply>,
    /// The order to end the connection.
    pub order: Option<Fault>,
    /// Whether a durable session has to read its messages from the log.
    pub place_behind: bool,
    /// Whether it is asked if it has taken everything: the log waits for its place, which has not moved.
    pub is_idle_asked: bool,
}

impl Outbox {
    /// An empty mailbox of a connected session.
    pub fn new(client_id: ClientId, subscriber: SubscriberId, limits: OutboxLimits, durable: bool) -> Arc<Self> {
        Arc::new(Self {
            client_id,
            subscriber,
            durable,
            owner: OnceLock::new(),
            access: Held::default(),
            limits,
            connected: AtomicBool::new(true),
            is_v5: AtomicBool::new(true),
            floor: AtomicU64::new(0),
            over_limit: AtomicBool::new(false),
            skipped: AtomicU64::new(0),
            load: AtomicUsize::new(0),
            inner: Mutex::default(),
            released: Notify::new(),
        })
    }

    /// The session belongs to this user from now on, if it belongs to nobody yet.
    pub fn own(&self, identity: Identity) {
        self.owner.get_or_init(|| identity);
    }

    /// Whose the session is.
    pub fn owner(&self) -> Option<&Identity> {
        self.owner.get()
    }

    /// Whether the client of `newcomer` may have this session, or end it.
    pub fn may_be_taken_by(&self, newcomer: &Self) -> bool {
        self.owner().is_none() || self.owner() == newcomer.owner()
    }

    /// Whether the session has a connection.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Tells others whether the session has a connection.
    pub fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
        if !connected {
            // The task that is to end would be kept by it.
            self.lock().waker = None;
        }
    }

    /// The protocol version that packets for the session are best encoded in: that of its last connection.
    pub fn version(&self) -> Version {
        if self.is_v5.load(Ordering::Relaxed) {
            Version::V5
        } else {
            Version::V3
        }
    }

    /// Tells others the protocol version of the session's connection.
    pub fn set_version(&self, version: Version) {
        self.is_v5.store(version == Version::V5, Ordering::Relaxed);
    }

    /// Up to where a durable session needs no record any more.
    pub fn floor(&self) -> Position {
        Position(self.floor.load(Ordering::Acquire))
    }

    /// Tells others up to where a durable session needs no record any more.
    pub fn set_floor(&self, floor: Position) {
        self.floor.store(floor.0, Ordering::Release);
    }

    /// Whether publishers are refused because too much waits for the session.
    pub fn is_over_limit(&self) -> bool {
        self.over_limit.load(Ordering::Acquire)
    }

    /// Says whether publishers are refused. Returns what was said before.
    pub fn set_over_limit(&self, over: bool) -> bool {
        self.over_limit.swap(over, Ordering::AcqRel)
    }

    /// A selector skipped a record for a replay subscription. Returns whether it is the first since that was asked.
    pub fn note_skipped(&self, position: Position) -> bool {
        self.skipped.fetch_max(position.0, Ordering::AcqRel) == 0
    }

    /// The last record that was skipped; from now on the next one is the first.
    pub fn take_skipped(&self) -> Position {
        Position(self.skipped.swap(0, Ordering::AcqRel))
    }

    /// How many messages wait here or for the client's acknowledgement; roughly.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Tells others how many messages wait for the client.
    pub fn set_load(&self, load: usize) {
        self.load.store(load, Ordering::Relaxed);
    }

    /// Puts in a batch and wakes the session once.
    pub fn push(&self, items: &mut Vec<Item>) -> Refused {
        self.put(items).counts
    }

    /// The same; what is refused is noted.
    pub fn push_noted(&self, items: &mut Vec<Item>, drops: &Drops) -> Refused {
        let refused = self.put(items);
        if let Some(topic) = refused.topic {
            let Refused { absent, slow, full } = refused.counts;
            let reason = match () {
                () if full > 0 => DropReason::QueueFull,
                () if slow > 0 => DropReason::SlowReader,
                () => DropReason::Qos0Offline,
            };
            drops.note(&self.client_id, reason, &topic, absent + slow + full);
        }
        refused.counts
    }

    fn put(&self, items: &mut Vec<Item>) -> Refusals {
        let mut refused = Refusals::default();
        let mut inner = self.lock();
        for item in items.drain(..) {
            match item {
                Item::Live(delivery) => inner.push_live(delivery, self, &mut refused),
                Item::Packets(packets) => {
                    let run = packets.finish(!inner.live.is_empty());
                    inner.push_run(run, self, &mut refused);
                }
                Item::Run(run) => inner.push_run(run, self, &mut refused),
                Item::Lane(key, item) => inner.push_lane(key, item, self.limits.max_bytes, &mut refused),
                Item::Reply(reply) => inner.replies.push(reply),
                Item::Wake => {}
            }
        }
        let load = inner.live.len();
        let waker = inner.wake();
        drop(inner);
        self.load.fetch_max(load, Ordering::Relaxed);
        wake(waker);
        refused
    }

    /// Orders the session's connection to end.
    pub fn order(&self, fault: Fault) {
        let mut inner = self.lock();
        inner.order.get_or_insert(Box::new(fault));
        let waker = inner.wake();
        drop(inner);
        wake(waker);
    }

    /// A connection has taken the session on. An order that came too late for the one before it does not count, and
    /// who gave it is told to look again.
    pub fn begin_connection(&self) {
        self.set_connected(true);
        self.lock().order = None;
        self.released.notify_waiters();
    }

    /// Takes out what is there; messages only if `with_live`. Beside an order everything stays: it is for the next
    /// connection.
    pub fn take(&self, with_live: bool) -> Taken {
        let mut inner = self.lock();
        inner.is_woken = false;
        if let Some(order) = inner.order.take() {
            return Taken {
                order: Some(*order),
                ..Taken::default()
            };
        }
        let live = if with_live {
            std::mem::take(&mut inner.live)
        } else {
            Queue::default()
        };
        Taken {
            live,
            replies: std::mem::take(&mut inner.replies),
            order: None,
            place_behind: inner.place.as_ref().is_some_and(Tail::is_behind),
            is_idle_asked: std::mem::take(&mut inner.is_idle_asked),
        }
    }

    /// How many messages wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.lock().live.len()
    }

    /// Takes out what waits: the session has ended.
    pub fn take_rest(&self) -> Queue {
        std::mem::take(&mut self.lock().live)
    }

    /// Puts messages back that the connection could not send, before newer ones.
    pub fn put_back(&self, mut unsent: Queue) {
        let mut inner = self.lock();
        unsent.append(&mut inner.live);
        inner.live = unsent;
    }

    /// Ready when something was put in since the last [`Self::take`]; else the task is woken when something is.
    pub fn poll_woken(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if std::mem::take(&mut inner.is_woken) {
            return Poll::Ready(());
        }
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until the connection has left the session.
    pub fn released(&self) -> &Notify {
        &self.released
    }

    /// A durable session reads the log up to `seen` at least.
    pub fn open_place(&self, seen: Position) {
        self.lock().place = Some(Tail::new(seen));
    }

    /// Asks a durable session whether it has taken everything.
    pub fn ask_idle(&self) {
        let mut inner = self.lock();
        let was_asked = std::mem::replace(&mut inner.is_idle_asked, true);
        let waker = if was_asked { None } else { inner.wake() };
        drop(inner);
        wake(waker);
    }

    /// Sends a durable session back to the log, which has what is queued for it.
    pub fn place_falls_behind(&self) {
        self.lock().place_falls_behind();
    }

    /// Whether a durable session has to read the log.
    pub fn is_place_behind(&self) -> bool {
        self.lock().place.as_ref().is_some_and(Tail::is_behind)
    }

    /// Whether a durable session follows what arrives and has taken out all of it.
    pub fn is_place_idle(&self) -> bool {
        let inner = self.lock();
        !inner.live.has_cursor() && inner.place.as_ref().is_some_and(|tail| !tail.is_behind())
    }

    /// A durable session has everything up to `read_to`: if that is all there is, what comes from now on is queued.
    pub fn try_live_place(&self, read_to: Position) -> bool {
        let mut inner = self.lock();
        inner.place.as_mut().is_some_and(|tail| tail.try_live(read_to))
    }

    /// The log holds records up to here that nobody noted while the session was away.
    pub fn note(&self, seen: Position) {
        let mut inner = self.lock();
        for lane in inner.lanes.iter_mut().flat_map(|lanes| lanes.values_mut()) {
            lane.note(seen);
        }
        if let Some(tail) = &mut inner.place {
            tail.note(seen);
        }
    }

    /// Adds a lane for a replay subscription that reads from the log up to `seen` at least.
    pub fn open_lane(&self, key: SubscriptionKey, seen: Position) {
        let lane = Lane::new(seen);
        self.lock().lanes.get_or_insert_default().insert(key, lane);
    }

    /// Removes a lane.
    pub fn close_lane(&self, key: SubscriptionKey) {
        if let Some(lanes) = &mut self.lock().lanes {
            lanes.remove(&key);
        }
    }

    /// The reader has everything up to `read_to`: if that is all there is, the lane goes live, and what
    /// comes from now on is queued. Returns whether it did.
    pub fn try_live(&self, key: SubscriptionKey, read_to: Position) -> bool {
        let mut inner = self.lock();
        inner.lane(key).is_some_and(|lane| lane.try_live(read_to))
    }

    /// Takes what is queued for a lane; `None` for the queue if the lane fell behind: read the log again.
    pub fn take_lane(&self, key: SubscriptionKey) -> Option<VecDeque<LaneItem>> {
        let mut inner = self.lock();
        let lane = inner.lane(key)?;
        let queue = lane.take();
        (!lane.is_behind() || !queue.is_empty()).then_some(queue)
    }

    /// Sends all readers back to the log: the connection is gone.
    pub fn fall_behind(&self) {
        let mut inner = self.lock();
        for lane in inner.lanes.iter_mut().flat_map(|lanes| lanes.values_mut()) {
            lane.fall_behind();
        }
        inner.place_falls_behind();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn lane(&mut self, key: SubscriptionKey) -> Option<&mut Lane> {
        self.lanes.as_mut()?.get_mut(&key)
    }

    /// Who is to be woken, once the lock is given back.
    fn wake(&mut self) -> Option<Waker> {
        self.is_woken = true;
        self.waker.take()
    }

    fn place_falls_behind(&mut self) {
        if let Some(tail) = &mut self.place {
            tail.fall_behind();
            self.live.drop_with_cursor();
        }
    }

    fn push_live(&mut self, delivery: Delivery, outbox: &Outbox, refused: &mut Refusals) {
        let limits = &outbox.limits;
        if let Source::Session(position) = delivery.source {
            let full = self.live.len() >= limits.max_messages || self.live.bytes() >= limits.max_bytes;
            let Some(tail) = &mut self.place else { return };
            tail.note(position);
            if full || tail.is_behind() {
                // The log has it.
                tail.fall_behind();
                return;
            }
        } else if delivery.qos == QoS::AtMostOnce {
            if !outbox.is_connected() {
                refused.counts.absent += 1;
                return refused.note(delivery.message.topic());
            }
            if self.live.bytes() >= limits.qos0_bytes {
                refused.counts.slow += 1;
                return refused.note(delivery.message.topic());
            }
        } else if self.live.len() >= limits.max_messages || self.live.bytes() >= limits.max_bytes {
            refused.counts.full += 1;
            return refused.note(delivery.message.topic());
        }
        self.live.push_back(delivery);
    }

    fn push_run(&mut self, mut run: Run, outbox: &Outbox, refused: &mut Refusals) {
        let limits = &outbox.limits;
        let packets = run.packets();
        if run.qos() == QoS::AtMostOnce {
            if !outbox.is_connected() {
                refused.counts.absent += packets as u64;
                return refused.note_run(&run);
            }
            if self.live.bytes() >= limits.qos0_bytes {
                refused.counts.slow += packets as u64;
                return refused.note_run(&run);
            }
        } else {
            debug_assert!(!outbox.durable, "what a durable session must not lose is in the log");
            let has_bytes = self.live.bytes() < limits.max_bytes;
            let room = limits.max_messages.saturating_sub(self.live.len());
            let kept = if has_bytes { room.min(packets) } else { 0 };
            if kept < packets {
                refused.note_run(&run);
                refused.counts.full += run.truncate(kept) as u64;
            }
        }
        if run.packets() > 0 {
            self.live.push_back(Queued::Run(run));
        }
    }

    fn push_lane(&mut self, key: SubscriptionKey, item: LaneItem, max_bytes: usize, refused: &mut Refusals) {
        let Some(lane) = self.lane(key) else { return };
        if let Some(item) = lane.push(item, max_bytes) {
            refused.counts.full += 1;
            refused.note(item.message.topic());
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod place_tests;
#[cfg(test)]
mod tests;
