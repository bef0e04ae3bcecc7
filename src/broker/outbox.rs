//! Where others leave what is meant for one session. Only the session's own task takes it out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ahash::AHashMap;
use tokio::sync::Notify;

use super::lane::{Lane, LaneItem, Tail};
use crate::auth::Identity;
use crate::router::SubscriberId;
use crate::session::{Delivery, Fault, PublishOutcome, PublishToken, Source, SubscriptionKey};
use crate::topic::TopicFilter;
use crate::types::{ClientId, PacketId, Position, QoS};

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
    limits: OutboxLimits,
    connected: AtomicBool,
    /// A durable session needs no record of its plain subscriptions up to here.
    floor: AtomicU64,
    /// More waits for a durable session than may, and the publishers are to be told.
    over_limit: AtomicBool,
    load: AtomicUsize,
    inner: Mutex<Inner>,
    wake: Notify,
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
    live: VecDeque<Delivery>,
    live_bytes: usize,
    lanes: AHashMap<SubscriptionKey, Lane>,
    /// The plain subscriptions of a durable session.
    place: Option<Tail>,
    is_idle_asked: bool,
    replies: Vec<Reply>,
    order: Option<Fault>,
}

/// The end of something that the session asked for.
#[derive(Debug)]
pub enum Reply {
    /// What became of a PUBLISH that went through the log; no token at QoS 0.
    Publish(Option<PublishToken>, PublishOutcome),
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
}

/// One thing to put into an outbox.
#[derive(Debug)]
pub enum Item {
    /// A message for a plain or shared subscription.
    Live(Delivery),
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

/// What `take` found.
#[derive(Debug, Default)]
pub struct Taken {
    /// Messages for plain subscriptions.
    pub live: VecDeque<Delivery>,
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
            limits,
            connected: AtomicBool::new(true),
            floor: AtomicU64::new(0),
            over_limit: AtomicBool::new(false),
            load: AtomicUsize::new(0),
            inner: Mutex::default(),
            wake: Notify::new(),
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
        let mut refused = Refused::default();
        let mut inner = self.lock();
        for item in items.drain(..) {
            match item {
                Item::Live(delivery) => inner.push_live(delivery, self, &mut refused),
                Item::Lane(key, item) => inner.push_lane(key, item, self.limits.max_bytes, &mut refused),
                Item::Reply(reply) => inner.replies.push(reply),
                Item::Wake => {}
            }
        }
        let load = inner.live.len();
        drop(inner);
        self.load.fetch_max(load, Ordering::Relaxed);
        self.wake.notify_one();
        refused
    }

    /// Orders the session's connection to end.
    pub fn order(&self, fault: Fault) {
        self.lock().order.get_or_insert(fault);
        self.wake.notify_one();
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
        if let Some(order) = inner.order.take() {
            return Taken {
                order: Some(order),
                ..Taken::default()
            };
        }
        let live = if with_live {
            inner.live_bytes = 0;
            std::mem::take(&mut inner.live)
        } else {
            VecDeque::new()
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
    pub fn waiting(&self) -> usize {
        self.lock().live.len()
    }

    /// Puts messages back that the connection could not send, before newer ones.
    pub fn put_back(&self, deliveries: VecDeque<Delivery>) {
        let mut inner = self.lock();
        for delivery in deliveries.into_iter().rev() {
            inner.live_bytes += delivery.cost();
            inner.live.push_front(delivery);
        }
    }

    /// Waits until something was put in.
    pub async fn woken(&self) {
        self.wake.notified().await;
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
        if !std::mem::replace(&mut self.lock().is_idle_asked, true) {
            self.wake.notify_one();
        }
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
        let queued = inner.live.iter().any(|delivery| delivery.source.has_cursor());
        !queued && inner.place.as_ref().is_some_and(|tail| !tail.is_behind())
    }

    /// A durable session has everything up to `read_to`: if that is all there is, what comes from now on is queued.
    pub fn try_live_place(&self, read_to: Position) -> bool {
        let mut inner = self.lock();
        inner.place.as_mut().is_some_and(|tail| tail.try_live(read_to))
    }

    /// The log holds records up to here that nobody noted while the session was away.
    pub fn note(&self, seen: Position) {
        let mut inner = self.lock();
        for lane in inner.lanes.values_mut() {
            lane.note(seen);
        }
        if let Some(tail) = &mut inner.place {
            tail.note(seen);
        }
    }

    /// Adds a lane for a replay subscription that reads from the log up to `seen` at least.
    pub fn open_lane(&self, key: SubscriptionKey, seen: Position) {
        let lane = Lane::new(seen);
        self.lock().lanes.insert(key, lane);
    }

    /// Removes a lane.
    pub fn close_lane(&self, key: SubscriptionKey) {
        self.lock().lanes.remove(&key);
    }

    /// The reader has everything up to `read_to`: if that is all there is, the lane goes live, and what
    /// comes from now on is queued. Returns whether it did.
    pub fn try_live(&self, key: SubscriptionKey, read_to: Position) -> bool {
        let mut inner = self.lock();
        inner.lanes.get_mut(&key).is_some_and(|lane| lane.try_live(read_to))
    }

    /// Takes what is queued for a lane; `None` for the queue if the lane fell behind: read the log again.
    pub fn take_lane(&self, key: SubscriptionKey) -> Option<VecDeque<LaneItem>> {
        let mut inner = self.lock();
        let lane = inner.lanes.get_mut(&key)?;
        let queue = lane.take();
        (!lane.is_behind() || !queue.is_empty()).then_some(queue)
    }

    /// Sends all readers back to the log: the connection is gone.
    pub fn fall_behind(&self) {
        let mut inner = self.lock();
        for lane in inner.lanes.values_mut() {
            lane.fall_behind();
        }
        inner.place_falls_behind();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn place_falls_behind(&mut self) {
        if let Some(tail) = &mut self.place {
            tail.fall_behind();
            self.live.retain(|delivery| !delivery.source.has_cursor());
            self.live_bytes = self.live.iter().map(Delivery::cost).sum();
        }
    }

    fn push_live(&mut self, delivery: Delivery, outbox: &Outbox, refused: &mut Refused) {
        let limits = &outbox.limits;
        if let Source::Session(position) = delivery.source {
            let full = self.live.len() >= limits.max_messages || self.live_bytes >= limits.max_bytes;
            let Some(tail) = &mut self.place else { return };
            tail.note(position);
            if full || tail.is_behind() {
                // The log has it.
                tail.fall_behind();
                return;
            }
        } else if delivery.qos == QoS::AtMostOnce {
            if !outbox.is_connected() {
                refused.absent += 1;
                return;
            }
            if self.live_bytes >= limits.qos0_bytes {
                refused.slow += 1;
                return;
            }
        } else if self.live.len() >= limits.max_messages || self.live_bytes >= limits.max_bytes {
            refused.full += 1;
            return;
        }
        self.live_bytes += delivery.cost();
        self.live.push_back(delivery);
    }

    fn push_lane(&mut self, key: SubscriptionKey, item: LaneItem, max_bytes: usize, refused: &mut Refused) {
        if let Some(lane) = self.lanes.get_mut(&key)
            && !lane.push(item, max_bytes)
        {
            refused.full += 1;
        }
    }
}

#[cfg(test)]
mod place_tests;
#[cfg(test)]
mod tests;
