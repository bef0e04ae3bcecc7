//! A group with a cursor: one reading place, many members. Members ask it for work; it hands each event to one of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::AHashMap;

use super::cursors::{CursorHolder, CursorKey, CursorTable, Saved};
use super::lane::{Lane, LaneItem};
use super::outbox::Outbox;
use super::select::Subject;
use super::{BATCH_BYTES, BATCH_RECORDS, BATCHES_PER_TURN};
use crate::cursor::{GroupState, MemberId, Strategy};
use crate::log::{CursorOwner, CursorRecord, LogError, LogReader, Scan};
use crate::router::{SubscriberId, hash_topic};
use crate::selector::{Selector, Truth};
use crate::topic::TopicFilter;
use crate::types::{Position, Timestamp};

/// A group and its cursor.
pub struct Group {
    /// The group's name in the router.
    pub subscriber: SubscriberId,
    key: CursorKey,
    /// Whether it is a shared subscription without a start option that durable sessions are members of.
    share: bool,
    /// The last position that the selector skipped since that was asked last; 0 is none.
    skipped: AtomicU64,
    state: Mutex<State>,
}

struct State {
    saved: Saved,
    share: bool,
    /// Which messages the group wants; all without one.
    selector: Option<Arc<Selector>>,
    logic: GroupState,
    scan: Scan,
    scanned_to: Position,
    read_to: Position,
    lane: Lane,
    max_queue_bytes: usize,
    buffer: VecDeque<LaneItem>,
    in_flight: AHashMap<Position, LaneItem>,
    subscribed: Vec<SubscriberId>,
    members: Vec<Slot>,
    moved: bool,
}

/// A connected member.
struct Slot {
    id: MemberId,
    outbox: Arc<Outbox>,
    assigned: VecDeque<Assigned>,
}

/// Something for one member to send.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// The message.
    pub item: LaneItem,
    /// Whether another member, or an earlier connection, had it and did not acknowledge it.
    pub redelivered: bool,
}

/// Whether a session may have messages of a topic, where that has to be asked.
pub type May<'a> = Option<&'a dyn Fn(&Outbox, &str) -> bool>;

/// What a pump gives to the member that asked.
#[derive(Default)]
pub struct Work {
    /// For the member itself.
    pub assigned: VecDeque<Assigned>,
    /// Other members that got something.
    pub wake: Vec<Arc<Outbox>>,
    /// Events left out because they expired.
    pub expired: u64,
    /// Messages that no member may have.
    pub denied: u64,
    /// Messages that the selector looked at.
    pub evaluated: u64,
    /// Those of them that it let pass.
    pub passed: u64,
    /// There is more to read at once.
    pub more: bool,
}

impl Group {
    /// A group that goes on where its cursor stands, reading the log up to `seen` at least.
    pub fn new(
        subscriber: SubscriberId,
        key: CursorKey,
        filter: &TopicFilter,
        saved: Saved,
        strategy: Strategy,
        max_queue_bytes: usize,
        reader: &LogReader,
    ) -> Arc<Self> {
        let record = &saved.record;
        let floor = record.floor;
        let logic = GroupState::restore(strategy, floor, &record.acked, record.sent);
        let share = matches!(key.owner, CursorOwner::Share(_));
        let filter = Arc::new(filter.clone());
        let state = State {
            scan: if share {
                reader.scan_kept(filter, floor)
            } else {
                reader.scan(filter, floor)
            },
            saved,
            share,
            selector: None,
            logic,
            scanned_to: floor,
            read_to: floor,
            lane: Lane::new(Position(0)),
            max_queue_bytes,
            buffer: VecDeque::new(),
            in_flight: AHashMap::new(),
            subscribed: Vec::new(),
            members: Vec::new(),
            moved: false,
        };
        Arc::new(Self {
            subscriber,
            key,
            share,
            skipped: AtomicU64::new(0),
            state: Mutex::new(state),
        })
    }

    /// What names its cursor.
    pub fn key(&self) -> &CursorKey {
        &self.key
    }

    /// Whether it is a shared subscription without a start option: messages are as if each member had them live.
    pub fn is_share(&self) -> bool {
        self.share
    }

    /// Which messages the group wants; all without one.
    pub fn selector(&self) -> Option<Arc<Selector>> {
        self.lock().selector.clone()
    }

    /// Says which messages the group wants from now on; routes that are made already do not know.
    pub fn set_selector(&self, selector: Option<Arc<Selector>>) {
        self.lock().selector = selector;
    }

    /// The selector skipped a record that arrived. Returns whether it is the first since that was asked.
    pub fn note_skipped(&self, position: Position) -> bool {
        self.skipped.fetch_max(position.0, Ordering::AcqRel) == 0
    }

    /// The last record that was skipped; from now on the next one is the first.
    pub fn take_skipped(&self) -> Position {
        Position(self.skipped.swap(0, Ordering::AcqRel))
    }

    /// Moves the cursor past what was skipped up to a position to which everything was handed out. `false` if something
    /// else comes first.
    pub fn pass_skipped(self: &Arc<Self>, handed_out: Position, table: &CursorTable) -> bool {
        let first = {
            let mut state = self.lock();
            if state.lane.is_behind() {
                // The reader passes it.
                return true;
            }
            if !state.lane.is_empty() || !state.buffer.is_empty() {
                return false;
            }
            state.scanned_to = state.scanned_to.max(handed_out);
            state.skip_to_scanned();
            !std::mem::replace(&mut state.moved, true)
        };
        if first {
            table.note_moved(self.clone());
        }
        true
    }

    /// Up to where it needs no record any more.
    pub fn floor(&self) -> Position {
        self.lock().logic.floor()
    }

    /// The router sends its messages from now on; the log holds everything up to `watermark`.
    pub fn routed(&self, watermark: Position) {
        self.lock().lane.note(watermark);
    }

    /// How many sessions are subscribed.
    pub fn subscriptions(&self) -> usize {
        self.lock().subscribed.len()
    }

    /// A session subscribed.
    pub fn subscribe(&self, outbox: &Arc<Outbox>) {
        let mut state = self.lock();
        if !state.subscribed.contains(&outbox.subscriber) {
            state.subscribed.push(outbox.subscriber);
        }
        if outbox.is_connected() {
            state.connect(outbox, &self.key);
        }
    }

    /// A subscribed session has a connection again.
    pub fn connect(&self, outbox: &Arc<Outbox>) {
        self.lock().connect(outbox, &self.key);
    }

    /// A member's connection is lost: what it did not acknowledge goes to others. Returns whom to wake.
    pub fn connection_lost(&self, subscriber: SubscriberId) -> Option<Arc<Outbox>> {
        self.lock().disconnect(subscriber, &self.key)
    }

    /// A session unsubscribed or ended. Returns whom to wake and how many subscribed sessions are left.
    pub fn unsubscribe(&self, subscriber: SubscriberId) -> (Option<Arc<Outbox>>, usize) {
        let mut state = self.lock();
        state.subscribed.retain(|other| *other != subscriber);
        let wake = state.disconnect(subscriber, &self.key);
        (wake, state.subscribed.len())
    }

    /// Whether anybody but this session is subscribed.
    pub fn has_others(&self, subscriber: SubscriberId) -> bool {
        self.lock().subscribed.iter().any(|other| *other != subscriber)
    }

    /// A message arrived at the tail. Returns a member that can take it.
    pub fn arrived(&self, item: LaneItem) -> Option<Arc<Outbox>> {
        let mut state = self.lock();
        state.arrived(item);
        state.somebody_to_wake()
    }

    /// Hands out work: `credit` is how many messages the member can take now.
    pub fn pump(
        self: &Arc<Self>,
        member: SubscriberId,
        credit: usize,
        reader: &LogReader,
        table: &CursorTable,
        now: Timestamp,
        may: May<'_>,
    ) -> Result<Work, LogError> {
        let mut work = Work::default();
        let first = {
            let mut state = self.lock();
            state.offer(member, credit);
            let moved = state.hand_out(member, reader, now, may, &mut work)?;
            if let Some(slot) = state.slot(member) {
                work.assigned = std::mem::take(&mut slot.assigned);
            }
            moved && !std::mem::replace(&mut state.moved, true)
        };
        if first {
            table.note_moved(self.clone());
        }
        Ok(work)
    }

    /// A member acknowledged an event.
    pub fn acked(self: &Arc<Self>, member: SubscriberId, position: Position, table: &CursorTable) {
        let first = {
            let mut state = self.lock();
            if !state.logic.acked(MemberId(member.0), position) {
                return;
            }
            state.in_flight.remove(&position);
            !std::mem::replace(&mut state.moved, true)
        };
        if first {
            table.note_moved(self.clone());
        }
    }

    /// A member could not send what it was given. Returns another member that can take it.
    pub fn give_back(&self, member: SubscriberId, assigned: VecDeque<Assigned>) -> Option<Arc<Outbox>> {
        let mut state = self.lock();
        state.take_back(MemberId(member.0), assigned);
        state.logic.set_credit(MemberId(member.0), 0);
        state.somebody_to_wake().filter(|outbox| outbox.subscriber != member)
    }

    /// The connected members, by client identifier, with what each has in flight.
    pub fn members(&self) -> Vec<(String, Option<usize>)> {
        let state = self.lock();
        let members = state.members.iter().map(|slot| {
            let in_flight = state.logic.in_flight(slot.id);
            (slot.outbox.client_id.to_string(), Some(in_flight))
        });
        members.collect()
    }

    /// Begins anew at another cursor. Acknowledgements of what members have in flight count for nothing. Returns whom to
    /// wake.
    pub fn reset(&self, saved: Saved, strategy: Strategy) -> Vec<Arc<Outbox>> {
        let mut state = self.lock();
        let floor = saved.record.floor;
        state.saved = saved;
        state.logic = GroupState::restore(strategy, floor, &[], Position(0));
        state.in_flight.clear();
        state.read_to = floor;
        let State { logic, members, .. } = &mut *state;
        for slot in members.iter_mut() {
            logic.join(slot.id);
            slot.assigned.retain(|assigned| assigned.item.stored.is_none());
        }
        state.lane.fall_behind();
        state.read_again();
        state.members.iter().map(|slot| slot.outbox.clone()).collect()
    }

    /// Where the cursor stands now.
    pub fn record(&self) -> CursorRecord {
        self.lock().record()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell_member(what: &'static str, key: &CursorKey, member: &Outbox) {
    let (CursorOwner::Group(group) | CursorOwner::Share(group)) = &key.owner else {
        return;
    };
    let (client, filter) = (member.client_id.as_str(), &*key.filter);
    tracing::debug!(client, group, filter, "{what}");
}

impl State {
    fn connect(&mut self, outbox: &Arc<Outbox>, key: &CursorKey) {
        let id = MemberId(outbox.subscriber.0);
        if self.members.iter().all(|slot| slot.id != id) {
            tell_member("group member joined", key, outbox);
            self.logic.join(id);
            self.members.push(Slot {
                id,
                outbox: outbox.clone(),
                assigned: VecDeque::new(),
            });
        }
    }

    fn disconnect(&mut self, subscriber: SubscriberId, key: &CursorKey) -> Option<Arc<Outbox>> {
        let id = MemberId(subscriber.0);
        let index = self.members.iter().position(|slot| slot.id == id)?;
        let slot = self.members.remove(index);
        tell_member("group member left", key, &slot.outbox);
        self.take_back(id, slot.assigned);
        self.logic.leave(id);
        if self.members.is_empty() {
            // Nobody takes anything: the log keeps it.
            self.lane.fall_behind();
            self.read_again();
        }
        self.somebody_to_wake()
    }

    fn read_again(&mut self) {
        self.buffer.clear();
        self.scanned_to = self.read_to;
        self.scan.seek(self.read_to);
    }

    /// What was given to a member and not sent goes to the next that can take it; it is no redelivery.
    fn take_back(&mut self, member: MemberId, assigned: VecDeque<Assigned>) {
        for assigned in assigned.into_iter().rev() {
            match assigned.item.stored {
                Some(stored) => {
                    self.logic.unassign(member, stored.position);
                }
                None => self.buffer.push_front(assigned.item),
            }
        }
    }

    fn slot(&mut self, member: SubscriberId) -> Option<&mut Slot> {
        self.members.iter_mut().find(|slot| slot.id.0 == member.0)
    }

    fn offer(&mut self, member: SubscriberId, credit: usize) {
        let Some(slot) = self.slot(member) else { return };
        let (id, waiting) = (slot.id, slot.assigned.len());
        let credit = credit.min(MAX_CREDIT).saturating_sub(waiting);
        self.logic.set_credit(id, u32::try_from(credit).unwrap_or(u32::MAX));
    }

    fn somebody_to_wake(&self) -> Option<Arc<Outbox>> {
        let ready = self.members.iter().find(|slot| self.logic.credit(slot.id) > 0);
        ready.or(self.members.first()).map(|slot| slot.outbox.clone())
    }

    fn arrived(&mut self, item: LaneItem) {
        if self.members.is_empty() && item.stored.is_none() {
            return;
        }
        let was_behind = self.lane.is_behind();
        self.lane.push(item, self.max_queue_bytes);
        if self.lane.is_behind() && !was_behind {
            self.read_again();
        }
    }

    /// Gives events to members while they take them. Returns whether the cursor may have moved.
    fn hand_out(
        &mut self,
        asking: SubscriberId,
        reader: &LogReader,
        now: Timestamp,
        may: May<'_>,
        work: &mut Work,
    ) -> Result<bool, LogError> {
        let (mut moved, mut batches) = (false, 0);
        while self.logic.has_credit() {
            let redelivery = self.logic.next_redelivery();
            let item = match redelivery {
                Some(position) if self.skips_again(position, work) => {
                    moved = true;
                    continue;
                }
                Some(position) => self.in_flight.get(&position).cloned(),
                None => {
                    moved |= self.skip_unselected(work);
                    self.buffer.front().cloned()
                }
            };
            let Some(item) = item else {
                if batches == BATCHES_PER_TURN {
                    work.more = true;
                    break;
                }
                if !self.refill(reader, &mut batches)? {
                    break;
                }
                moved = true;
                continue;
            };
            let readers = match self.readers(&item, may) {
                Some(readers) if readers.is_empty() => {
                    self.deny(&item, redelivery.is_some(), work);
                    moved = true;
                    continue;
                }
                readers => readers,
            };
            match self.hand_out_one(item, redelivery.is_some(), readers.as_deref(), asking, now, work) {
                true => moved = true,
                false => break,
            }
        }
        Ok(moved)
    }

    /// Gives up an event that is to be delivered again and does not pass the selector: that may ask whether it is a
    /// redelivery, or be another one by now.
    fn skips_again(&mut self, position: Position, work: &mut Work) -> bool {
        let (Some(selector), Some(item)) = (&self.selector, self.in_flight.get(&position)) else {
            return false;
        };
        let redelivered = self.logic.redelivered(position);
        work.evaluated += 1;
        if selector.evaluate(&Subject::item(item, self.share, redelivered)) == Truth::True {
            work.passed += 1;
            return false;
        }
        self.in_flight.remove(&position);
        self.logic.skip(position);
        true
    }

    /// Removes from the front of the buffer what does not pass the selector. Returns whether anything was removed.
    fn skip_unselected(&mut self, work: &mut Work) -> bool {
        let Some(selector) = self.selector.clone() else {
            return false;
        };
        let mut skipped = false;
        while let Some(item) = self.buffer.front_mut().filter(|item| item.selected != selector.id()) {
            let position = item.stored.map(|stored| stored.position);
            if position.is_none_or(|position| position > self.read_to) {
                let redelivered = position.is_some_and(|position| self.logic.redelivered(position));
                work.evaluated += 1;
                if selector.evaluate(&Subject::item(item, self.share, redelivered)) == Truth::True {
                    work.passed += 1;
                    item.selected = selector.id();
                    break;
                }
            }
            if let Some(position) = position.filter(|position| *position > self.read_to) {
                self.read_to = position;
                self.logic.skip_to(position);
            }
            self.buffer.pop_front();
            skipped = true;
        }
        skipped
    }

    /// The members that may have a message; `None`: nobody need be asked.
    fn readers(&self, item: &LaneItem, may: May<'_>) -> Option<Vec<MemberId>> {
        let may = may?;
        let topic = item.message.topic();
        let readers = self.members.iter().filter(|slot| may(&slot.outbox, topic));
        Some(readers.map(|slot| slot.id).collect())
    }

    /// Gives up what no member may have.
    fn deny(&mut self, item: &LaneItem, redelivery: bool, work: &mut Work) {
        let position = item.stored.map(|stored| stored.position);
        if !redelivery {
            self.buffer.pop_front();
        }
        match position {
            Some(position) if redelivery => {
                self.in_flight.remove(&position);
                self.logic.skip(position);
                work.denied += 1;
            }
            Some(position) if position > self.read_to => {
                self.read_to = position;
                self.logic.skip_to(position);
                work.denied += 1;
            }
            Some(_) => {}
            None => work.denied += 1,
        }
    }

    /// Gives one event to a member; `false` if it has to wait.
    fn hand_out_one(
        &mut self,
        item: LaneItem,
        redelivery: bool,
        readers: Option<&[MemberId]>,
        asking: SubscriberId,
        now: Timestamp,
        work: &mut Work,
    ) -> bool {
        let seen_before = item.stored.is_some_and(|stored| stored.position <= self.read_to);
        if !redelivery && seen_before {
            self.buffer.pop_front();
            return true;
        }
        let topic_hash = hash_topic(item.message.topic_bytes());
        let Some(member) = (match readers {
            None => self.logic.choose(topic_hash, fastrand::u64(..)),
            Some(readers) => {
                let may = |member| readers.contains(&member);
                self.logic.choose_of(topic_hash, fastrand::u64(..), may)
            }
        }) else {
            return false;
        };
        if !redelivery {
            self.buffer.pop_front();
        }
        let expired = item.message.is_expired(now);
        work.expired += u64::from(expired);
        let mut redelivered = false;
        if let Some(stored) = item.stored {
            redelivered = self.logic.redelivered(stored.position);
            self.logic.assigned(stored.position, topic_hash, member);
            self.read_to = self.read_to.max(stored.position);
            if expired {
                self.logic.acked(member, stored.position);
                self.in_flight.remove(&stored.position);
            } else {
                self.in_flight.insert(stored.position, item.clone());
            }
        }
        if !expired {
            self.give(member, Assigned { item, redelivered }, asking, work);
        }
        true
    }

    fn give(&mut self, member: MemberId, assigned: Assigned, asking: SubscriberId, work: &mut Work) {
        let Some(slot) = self.members.iter_mut().find(|slot| slot.id == member) else {
            return;
        };
        slot.assigned.push_back(assigned);
        let other = member.0 != asking.0;
        if other && !work.wake.iter().any(|outbox| Arc::ptr_eq(outbox, &slot.outbox)) {
            work.wake.push(slot.outbox.clone());
        }
    }

    /// Gets more events; `false` if there are none now.
    fn refill(&mut self, reader: &LogReader, batches: &mut usize) -> Result<bool, LogError> {
        let behind = self.lane.is_behind();
        if behind && !self.lane.try_live(self.scanned_to) {
            *batches += 1;
            self.skip_to_scanned();
            let (logic, origin) = (&self.logic, &self.saved.origin);
            let mut admit =
                |position, channel, sequence| origin.admits(position, channel, sequence) && !logic.is_acked(position);
            let mut events = Vec::new();
            self.scanned_to = self
                .scan
                .next_batch(reader, &mut admit, BATCH_RECORDS, BATCH_BYTES, &mut events)?;
            self.buffer.extend(events.into_iter().map(LaneItem::from));
            return Ok(true);
        }
        if behind {
            self.skip_to_scanned();
        }
        let queue = self.lane.take();
        if queue.is_empty() {
            return Ok(false);
        }
        self.buffer = queue;
        Ok(true)
    }

    fn skip_to_scanned(&mut self) {
        if self.scanned_to > self.read_to {
            self.read_to = self.scanned_to;
            self.logic.skip_to(self.scanned_to);
        }
    }

    fn record(&self) -> CursorRecord {
        let place = &self.logic;
        self.saved
            .record_at(place.floor(), place.acked_above(), place.highest_sent())
    }
}

impl CursorHolder for Group {
    fn moved(&self) -> Option<CursorRecord> {
        let mut state = self.lock();
        std::mem::take(&mut state.moved).then(|| state.record())
    }

    fn place(&self) -> CursorRecord {
        self.record()
    }

    fn will_read(&self, position: Position) -> bool {
        let state = self.lock();
        let wanted = position >= state.saved.origin.first && !state.logic.is_acked(position);
        state.lane.is_behind() && position > state.scanned_to && wanted
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Messages that one member may hold unsent, so that a backlog is shared.
const MAX_CREDIT: usize = 64;
