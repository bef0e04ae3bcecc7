//! One replay subscription: reads the log from its cursor, and goes on with what arrives when it has reached the tail.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::access::{self, LIVE, REPLAY};
use super::cursors::{CursorHolder, CursorKey, CursorTable, Saved};
use super::drops::Drops;
use super::lane::LaneItem;
use super::outbox::Outbox;
use super::reread::Way;
use super::select::{Subject, passes};
use super::subscription::SubscriptionOptions;
use super::tally::Tally;
use super::unwritten::Unwritten;
use super::{BATCH_BYTES, BATCH_RECORDS, BATCHES_PER_TURN};
use crate::acl::Rights;
use crate::cursor::AckFloor;
use crate::log::{Event, LogError, LogReader, Origin, Scan, Stored, TopicMatch};
use crate::metrics::{DeliveryKind, DropReason as Reason, Metrics, Unauthorized};
use crate::selector::Selector;
use crate::session::{DropReason, EventPlace, Sent, Session, Source, SubscriptionKey};
use crate::topic::TopicFilter;
use crate::types::{Position, QoS, Timestamp};

/// The place of one replay subscription; shared with the flush that saves it.
#[derive(Debug)]
pub struct ReplayCursor {
    key: CursorKey,
    state: Mutex<CursorState>,
}

#[derive(Debug)]
pub(super) struct CursorState {
    saved: Saved,
    pub(super) acks: AckFloor,
    moved: bool,
    /// Up to where the log was read; beyond it, events reach the subscription without the log while it is live.
    pub(super) scanned_to: Position,
    behind: bool,
}

impl ReplayCursor {
    /// A cursor that stands where it was saved.
    pub fn new(key: CursorKey, saved: Saved) -> Arc<Self> {
        let acks = AckFloor::restore(saved.record.floor, &saved.record.acked, saved.record.sent);
        Arc::new(Self {
            key,
            state: Mutex::new(CursorState {
                saved,
                scanned_to: acks.read_to(),
                acks,
                moved: false,
                behind: true,
            }),
        })
    }

    /// What names it.
    pub fn key(&self) -> &CursorKey {
        &self.key
    }

    /// Where it stands now.
    pub fn record(&self) -> crate::log::CursorRecord {
        self.lock().record()
    }

    /// An acknowledgement came, or a QoS 0 delivery was written.
    pub fn acked(self: &Arc<Self>, position: Position, table: &CursorTable) {
        self.change(table, |acks| {
            acks.acked(position);
        });
    }

    /// Deliveries that were not written before the connection was gone; they are sent again.
    pub fn released(self: &Arc<Self>, position: Position, table: &CursorTable) {
        self.change(table, |acks| {
            acks.released(position);
        });
    }

    /// An event was in flight when the broker ended. Gives whether it still is.
    pub fn restore_sent(self: &Arc<Self>, position: Position, table: &CursorTable) -> bool {
        let mut outstanding = false;
        self.change(table, |acks| {
            outstanding = !acks.is_acked(position);
            if outstanding {
                acks.sent(position);
            }
        });
        outstanding
    }

    fn next_released(&self) -> Option<Position> {
        self.lock().acks.next_released()
    }

    fn read_to(&self) -> Position {
        self.lock().acks.read_to()
    }

    fn change(self: &Arc<Self>, table: &CursorTable, change: impl FnOnce(&mut AckFloor)) {
        self.change_state(table, |state| change(&mut state.acks));
    }

    pub(super) fn change_state<T>(
        self: &Arc<Self>,
        table: &CursorTable,
        change: impl FnOnce(&mut CursorState) -> T,
    ) -> T {
        let (done, first) = {
            let mut state = self.lock();
            let done = change(&mut state);
            (done, !std::mem::replace(&mut state.moved, true))
        };
        if first {
            table.note_moved(self.clone());
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, CursorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CursorState {
    fn record(&self) -> crate::log::CursorRecord {
        let place = &self.acks;
        self.saved
            .record_at(place.floor(), place.acked_above(), place.highest_sent())
    }
}

impl CursorHolder for ReplayCursor {
    fn moved(&self) -> Option<crate::log::CursorRecord> {
        let mut state = self.lock();
        std::mem::take(&mut state.moved).then(|| state.record())
    }

    fn place(&self) -> crate::log::CursorRecord {
        self.record()
    }

    fn will_read(&self, position: Position) -> bool {
        let state = self.lock();
        let wanted = position >= state.saved.origin.first && !state.acks.is_acked(position);
        state.behind && position > state.scanned_to && wanted
    }
}

/// A replay subscription of a session.
pub struct ReplaySubscription {
    /// The session's name for it.
    pub key: SubscriptionKey,
    /// What the subscription asked for last.
    pub options: SubscriptionOptions,
    /// Which events it wants; all without one.
    pub selector: Option<Arc<Selector>>,
    filter: TopicFilter,
    pub(super) cursor: Arc<ReplayCursor>,
    pub(super) origin: Arc<Origin>,
    pub(super) scan: Scan,
    pub(super) scanned_to: Position,
    pub(super) redelivered_to: Position,
    behind: bool,
    buffer: VecDeque<LaneItem>,
}

/// What a reader works with.
pub struct PumpContext<'a> {
    /// The session to send to.
    pub session: &'a mut Session,
    /// The session's mailbox, which holds the lane.
    pub outbox: &'a Outbox,
    /// The log.
    pub reader: &'a LogReader,
    /// Where cursors are saved.
    pub table: &'a CursorTable,
    /// Where things are counted.
    pub metrics: &'a Metrics,
    pub(super) drops: &'a Drops,
    /// Where deliveries are counted.
    pub(super) tally: &'a mut Tally,
    /// QoS 0 deliveries that count as acknowledged once the output is written.
    pub(super) unwritten: &'a mut Unwritten,
    /// The time.
    pub now: Timestamp,
    /// Up to where records were handed out, seen before the lane is looked at.
    pub handed_out: Position,
    /// The output is full at this many bytes.
    pub output_limit: usize,
    /// What each message has to be looked at with, if the client may not have all that it subscribes to.
    pub guard: Option<Arc<Rights>>,
}

/// What became of a message for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// It is in the output.
    Sent,
    /// It will not be sent, and is counted.
    Dropped,
    /// The client takes no more now.
    Blocked,
}

impl PumpContext<'_> {
    /// Whether the client may have a message; one that it may not is counted.
    fn may(&self, item: &LaneItem, kind: DeliveryKind) -> bool {
        let actions = if kind == DeliveryKind::Live { LIVE } else { REPLAY };
        let may = access::may(self.guard.as_deref(), actions, item.message.topic());
        if !may {
            let id = &self.outbox.client_id;
            self.drops.count(id, Reason::Unauthorized, item.message.topic(), 1);
            self.metrics.unauthorized.of(Unauthorized::Delivery).increment(1);
        }
        may
    }

    /// Sends what a reader has for the client, as an event of a replay or as if it came live.
    pub(super) fn send(
        &mut self,
        options: &SubscriptionOptions,
        item: &LaneItem,
        source: Source,
        kind: DeliveryKind,
        redelivered: bool,
    ) -> Passed {
        if !self.may(item, kind) {
            return Passed::Dropped;
        }
        let mut delivery = options.delivery(&item.message, source);
        if kind == DeliveryKind::Live {
            delivery.retain = options.retain_as_published && item.message.retain();
        } else {
            delivery.event = item.stored.map(|stored| EventPlace {
                sequence: stored.sequence,
                time: stored.time,
                redelivered,
            });
        }
        let qos = delivery.qos;
        match self.session.send(delivery, self.now) {
            Sent::Blocked(_) => return Passed::Blocked,
            Sent::Dropped(reason, _) => {
                let id = &self.outbox.client_id;
                self.drops.count(id, metric_reason(reason), item.message.topic(), 1);
                return Passed::Dropped;
            }
            Sent::Written => {}
        }
        self.tally.sent(kind, qos, item.message.payload().len());
        if redelivered {
            self.tally.redelivered();
        }
        if qos == QoS::AtMostOnce && item.stored.is_some() {
            self.unwritten.push(source, self.session.output().len());
        }
        Passed::Sent
    }
}

/// Why a pump stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    /// Nothing more until something is put into the outbox, acknowledged or written.
    Idle,
    /// There is more to read at once; others get their turn first.
    More,
}

impl ReplaySubscription {
    /// A subscription that goes on where its cursor stands.
    pub fn new(
        key: SubscriptionKey,
        filter: &TopicFilter,
        cursor: Arc<ReplayCursor>,
        options: SubscriptionOptions,
        selector: Option<Arc<Selector>>,
        reader: &LogReader,
    ) -> Self {
        let (origin, read_to, redelivered_to) = {
            let state = cursor.lock();
            (
                state.saved.origin.clone(),
                state.acks.read_to(),
                state.acks.highest_sent(),
            )
        };
        let scan = reader.scan(Arc::new(filter.clone()), read_to);
        Self {
            key,
            options,
            selector,
            filter: filter.clone(),
            cursor,
            origin,
            scan,
            scanned_to: read_to,
            redelivered_to,
            behind: true,
            buffer: VecDeque::new(),
        }
    }

    /// The cursor.
    pub fn cursor(&self) -> &Arc<ReplayCursor> {
        &self.cursor
    }

    /// How many events wait, where that is cheap to tell: not if a selector would have to look at each.
    pub fn pending(&self, reader: &LogReader) -> Option<u64> {
        if self.selector.is_some() {
            return None;
        }
        reader.pending(&self.filter, Some(&self.origin), self.cursor.lock().acks.floor())
    }

    /// The connection is gone: what was not sent is read again from the log later.
    pub fn fall_behind(&mut self) {
        self.behind = true;
        self.buffer.clear();
        self.scanned_to = self.cursor.read_to();
        self.scan.seek(self.scanned_to);
        let mut state = self.cursor.lock();
        (state.behind, state.scanned_to) = (true, self.scanned_to);
    }

    /// Sends what there is, as far as the client and the output take it.
    pub fn pump(&mut self, context: &mut PumpContext<'_>) -> Result<Pumped, LogError> {
        let mut batches = 0;
        loop {
            if !self.drain_buffer(context) {
                return Ok(Pumped::Idle);
            }
            if let Some(first) = self.cursor.next_released() {
                self.read_released(first, context)?;
                continue;
            }
            if self.behind {
                if context.outbox.try_live(self.key, self.scanned_to) {
                    self.behind = false;
                    self.cursor.lock().behind = false;
                    continue;
                }
                if batches == BATCHES_PER_TURN {
                    return Ok(Pumped::More);
                }
                batches += 1;
                match self.way(context) {
                    Way::Straight => self.reread(context)?,
                    Way::Buffer => self.read_log(context.reader)?,
                    Way::Wait => return Ok(Pumped::Idle),
                }
                continue;
            }
            match context.outbox.take_lane(self.key) {
                Some(queue) if queue.is_empty() => {
                    self.pass_skipped(context);
                    return Ok(Pumped::Idle);
                }
                Some(queue) => self.buffer = queue,
                None => self.fall_behind(),
            }
        }
    }

    /// All that was handed out to this subscription is sent: what was handed out to others was skipped.
    fn pass_skipped(&mut self, context: &PumpContext<'_>) {
        let may_skip = self.selector.is_some() || context.guard.is_some();
        if may_skip && context.handed_out > self.cursor.read_to() {
            self.cursor
                .change(context.table, |acks| acks.skip_to(context.handed_out));
        }
    }

    /// Sends the buffer; `false` if the client or the output takes no more now.
    fn drain_buffer(&mut self, context: &mut PumpContext<'_>) -> bool {
        if self.buffer.is_empty() && !(self.behind && self.scanned_to > self.cursor.read_to()) {
            return true;
        }
        let cursor = self.cursor.clone();
        let mut drained = false;
        cursor.change(context.table, |acks| drained = self.drain_into(acks, context));
        drained
    }

    fn drain_into(&mut self, acks: &mut AckFloor, context: &mut PumpContext<'_>) -> bool {
        while let Some(item) = self.buffer.front_mut() {
            if context.session.output().len() >= context.output_limit {
                return false;
            }
            let wanted = item
                .stored
                .is_none_or(|Stored { position, .. }| position > acks.read_to() || acks.is_released(position));
            let own = self.options.no_local && item.message.publisher() == Some(context.session.client_id());
            let redelivered = item.stored.is_some_and(|stored| stored.position <= self.redelivered_to);
            let denied = wanted && !own && !context.may(item, DeliveryKind::Replay);
            let skipped =
                own || denied || wanted && !is_selected(item, self.selector.as_deref(), redelivered, context.metrics);
            if wanted && !skipped {
                if !context.session.can_send(self.options.qos.min(item.message.qos())) {
                    return false;
                }
                if !self.send(acks, context) {
                    return false;
                }
            }
            if let Some(stored) = self.buffer.pop_front().and_then(|item| item.stored) {
                acks.skip_to(stored.position);
                if wanted && skipped {
                    // One that was to be sent again is given up: the subscription has changed since.
                    acks.acked(stored.position);
                }
            }
        }
        if self.behind {
            acks.skip_to(self.scanned_to);
        }
        true
    }

    fn send(&self, acks: &mut AckFloor, context: &mut PumpContext<'_>) -> bool {
        let Some(item) = self.buffer.front() else { return true };
        let source = match item.stored {
            Some(stored) => Source::Replay(self.key, stored.position),
            None => Source::Live,
        };
        let redelivered = item.stored.is_some_and(|stored| stored.position <= self.redelivered_to);
        let passed = context.send(&self.options, item, source, DeliveryKind::Replay, redelivered);
        match (passed, item.stored) {
            (Passed::Blocked, _) => return false,
            (Passed::Sent, Some(stored)) => acks.sent(stored.position),
            (Passed::Dropped, Some(stored)) => {
                // One that was sent before is given up; a fresh one is skipped.
                acks.acked(stored.position);
            }
            (_, None) => {}
        }
        true
    }

    /// Reads again what was sent and not written. What is not in the log any more is given up.
    fn read_released(&mut self, first: Position, context: &PumpContext<'_>) -> Result<(), LogError> {
        self.scan.seek(Position(first.0.saturating_sub(1)));
        let mut events: Vec<Event> = Vec::new();
        let read_to = {
            let state = self.cursor.lock();
            let mut admit = |position, _, _| state.acks.is_released(position);
            self.scan
                .next_batch(context.reader, &mut admit, BATCH_RECORDS, BATCH_BYTES, &mut events)?
        };
        self.scan.seek(self.scanned_to);
        self.cursor.change(context.table, |acks| {
            let gone: Vec<Position> = acks
                .outstanding()
                .filter(|position| *position <= read_to && acks.is_released(*position))
                .filter(|position| events.binary_search_by_key(position, |event| event.position).is_err())
                .collect();
            for position in gone {
                acks.acked(position);
            }
        });
        self.buffer.extend(events.into_iter().map(LaneItem::from));
        Ok(())
    }

    fn read_log(&mut self, reader: &LogReader) -> Result<(), LogError> {
        let mut state = self.cursor.lock();
        let origin = &self.origin;
        let mut admit =
            |position, channel, sequence| origin.admits(position, channel, sequence) && !state.acks.is_acked(position);
        let mut events: Vec<Event> = Vec::new();
        self.scanned_to = self
            .scan
            .next_batch(reader, &mut admit, BATCH_RECORDS, BATCH_BYTES, &mut events)?;
        state.scanned_to = self.scanned_to;
        drop(state);
        self.buffer.extend(events.into_iter().map(LaneItem::from));
        Ok(())
    }
}

impl std::fmt::Debug for ReplaySubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplaySubscription")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl TopicMatch for TopicFilter {
    fn matches(&self, topic: &str) -> bool {
        Self::matches(self, topic)
    }

    fn exact(&self) -> Option<&str> {
        self.is_exact().then(|| self.as_str())
    }
}

/// Whether an item passes a selector; it remembers that it does.
fn is_selected(item: &mut LaneItem, selector: Option<&Selector>, redelivered: bool, metrics: &Metrics) -> bool {
    let Some(selector) = selector.filter(|selector| item.selected != selector.id()) else {
        return true;
    };
    let passes = passes(selector, &Subject::item(item, false, redelivered), metrics);
    if passes {
        item.selected = selector.id();
    }
    passes
}

/// The metric of a drop.
pub(super) fn metric_reason(reason: DropReason) -> Reason {
    match reason {
        DropReason::Expired => Reason::Expired,
        DropReason::TooLarge => Reason::TooLarge,
    }
}
