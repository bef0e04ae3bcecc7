//! What the log tells: commits come back here, in order, and go to those who wait for them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::outbox::{Item, Outbox, Reply};
use super::turn::Turn;
use super::{Broker, LogTag};
use crate::log::{Command, Committed, LogError, LogObserver, Outcome, Sink};
use crate::metrics::{DeliveryPath, DropReason, Metrics, StoreFault};
use crate::session::PublishOutcome;
use crate::types::{Position, ReasonCode, Timestamp};

/// Takes commits from the log and routes them. The log is opened before the broker is complete, hence the slot.
#[derive(Debug, Default)]
pub(super) struct Dispatcher {
    broker: Arc<OnceLock<Weak<Broker>>>,
    turn: Turn,
    /// Commits so far.
    commits: usize,
}

impl Dispatcher {
    /// Where the broker is put once it is there.
    pub fn slot(&self) -> Arc<OnceLock<Weak<Broker>>> {
        self.broker.clone()
    }

    /// A stored message of a batch whose acknowledgement is awaited, another one each time: the first of every batch have
    /// waited longest.
    fn choose(&mut self, batch: &[Committed<LogTag>]) -> Option<usize> {
        self.commits = self.commits.wrapping_add(1);
        let from = self.commits % batch.len().max(1);
        let indices = (from..batch.len()).chain(0..from);
        indices.take(MOST_LOOKED_AT).find(|index| is_awaited(&batch[*index]))
    }

    fn dispatch(&mut self, broker: &Broker, committed: Committed<LogTag>) {
        let Committed {
            mut tag,
            command,
            outcome,
        } = committed;
        let turn = &mut self.turn;
        match (command, outcome) {
            (Command::Publish(publish), Ok(outcome)) => {
                let place = match outcome {
                    Outcome::Stored(place) => Some(place),
                    Outcome::Forwarded | Outcome::Done => None,
                };
                let routed = match &mut tag {
                    LogTag::Publish(_, _, routed) => routed.take().filter(|routed| broker.still_holds(routed)),
                    _ => None,
                };
                let routed = routed.map(|routed| *routed);
                let outcome = broker.publish_now(&publish, place, routed, turn);
                reply(tag, outcome, turn);
            }
            (Command::Publish(publish), Err(fault)) => {
                let message = &publish.message;
                match message.publisher() {
                    Some(id) => broker.drops.count(id, DropReason::StoreRefused, message.topic(), 1),
                    None => broker.metrics.dropped.of(DropReason::StoreRefused).increment(1),
                }
                reply(tag, refusal(&fault), turn);
            }
            (_, outcome) => answer(tag, outcome.map(|_| ()), turn),
        }
    }
}

impl Sink<LogTag> for Dispatcher {
    fn committed(&mut self, batch: Vec<Committed<LogTag>>) {
        let Some(broker) = self.broker.get().and_then(Weak::upgrade) else {
            return;
        };
        self.turn.traced = broker.tracer.is_on();
        let last = batch.iter().rev().find_map(|committed| match committed.outcome {
            Ok(Outcome::Stored(place)) => Some(place.position),
            _ => None,
        });
        let chosen = self.choose(&batch);
        let mut read_at = None;
        for (index, committed) in batch.into_iter().enumerate() {
            let timed = if chosen == Some(index) { timed(&committed) } else { None };
            self.dispatch(&broker, committed);
            if let Some((publisher, at)) = timed {
                self.turn.push(&publisher, Item::Reply(Reply::Timed(at)));
                read_at = Some(at);
            }
        }
        let read_at = read_at.filter(|_| self.turn.has_messages());
        broker.flush(&mut self.turn);
        if let Some(read_at) = read_at {
            broker.time_delivery(DeliveryPath::Stored, read_at, broker.clock.now());
        }
        if let Some(last) = last {
            broker.handed_out.store(last.0, Ordering::Release);
        }
    }
}

/// Whether it is a message that is stored and waits to be acknowledged.
fn is_awaited(committed: &Committed<LogTag>) -> bool {
    matches!(committed.outcome, Ok(Outcome::Stored(_))) && matches!(committed.tag, LogTag::Publish(_, Some(_), _))
}

/// Whose message it is and when that was read.
fn timed(committed: &Committed<LogTag>) -> Option<(Arc<Outbox>, Timestamp)> {
    match (&committed.tag, &committed.command) {
        (LogTag::Publish(publisher, ..), Command::Publish(publish)) => {
            Some((publisher.clone(), publish.message.received()))
        }
        _ => None,
    }
}

fn reply(tag: LogTag, outcome: PublishOutcome, turn: &mut Turn) {
    match tag {
        LogTag::Publish(outbox, token, _) => turn.push(&outbox, Item::Reply(Reply::Publish(token, outcome))),
        LogTag::Published(promise) => promise.keep(Ok(outcome)),
        _ => {}
    }
}

/// Tells who waits how a command went that is no publish.
fn answer(tag: LogTag, outcome: Result<(), LogError>, turn: &mut Turn) {
    match tag {
        LogTag::None | LogTag::Publish(..) | LogTag::Published(_) => {}
        LogTag::Change(outbox, number) => {
            let outcome = outcome.map_err(|fault| store_text(&fault));
            turn.push(&outbox, Item::Reply(Reply::Changed(number, outcome)));
        }
        LogTag::Place(outbox, number) => turn.push(&outbox, Item::Reply(Reply::PlaceSaved(number, outcome.is_ok()))),
        LogTag::Release(outbox, packet_id) => {
            turn.push(&outbox, Item::Reply(Reply::Released(packet_id, outcome.is_ok())));
        }
        LogTag::Awaited(promise) => promise.keep(outcome.map_err(|fault| store_text(&fault))),
    }
}

fn refusal(fault: &LogError) -> PublishOutcome {
    let reason = match fault {
        LogError::Full => ReasonCode::QuotaExceeded,
        _ => ReasonCode::ImplementationSpecificError,
    };
    PublishOutcome::refused(reason, store_text(fault))
}

fn store_text(fault: &LogError) -> String {
    match fault {
        LogError::Full => "the event store is full (store.max_bytes, or the disk)".into(),
        other => format!("the event store did not take it: {other}"),
    }
}

/// Counts what the log does.
pub(super) struct Observer {
    metrics: Metrics,
    broker: Arc<OnceLock<Weak<Broker>>>,
}

impl Observer {
    /// Counts into these metrics; what cursors lose is known once the broker is in its slot.
    pub fn new(metrics: Metrics, broker: Arc<OnceLock<Weak<Broker>>>) -> Self {
        metrics.store_writable.set(1.0);
        Self { metrics, broker }
    }
}

impl LogObserver for Observer {
    fn on_commit(&self, records: usize, bytes: usize, took: Duration) {
        self.metrics.store_records.increment(records as u64);
        self.metrics.store_bytes.increment(bytes as u64);
        self.metrics.store_commit_seconds.record(took.as_secs_f64());
        self.metrics.store_batch_records.record(records as f64);
        if let Some(broker) = self.broker.get().and_then(Weak::upgrade) {
            broker.written_bytes.fetch_add(bytes as u64, Ordering::AcqRel);
        }
    }

    fn on_error(&self, error: &LogError) {
        let reason = match error {
            LogError::Full => StoreFault::Full,
            _ => StoreFault::Failed,
        };
        self.metrics.store_errors.of(reason).increment(1);
        if *error != LogError::Full {
            tracing::error!(fault = %error, "the event store refused a write");
        }
    }

    fn on_poisoned(&self) {
        self.metrics.store_writable.set(0.0);
        tracing::error!("the event store takes no writes any more until the broker is started again");
    }

    fn on_full(&self, is_full: bool) {
        self.metrics.store_full.set(if is_full { 1.0 } else { 0.0 });
        if is_full {
            tracing::error!(
                "the event store is full: events are refused until there is room (store.max_bytes, or the disk)"
            );
        } else {
            tracing::info!("the event store has room again");
        }
    }

    fn on_limit_bytes(&self, bytes: u64) {
        self.metrics.store_limit_bytes.set(bytes as f64);
    }

    fn on_trimmed(&self, topic: &str, positions: &[Position]) {
        self.metrics.store_trimmed_records.increment(positions.len() as u64);
        if let Some(broker) = self.broker.get().and_then(Weak::upgrade) {
            let lost = broker.cursors.count_lost(topic, positions);
            self.metrics.retention_lost_events.increment(lost);
            if lost > 0 && broker.floods.lost().admits(broker.clock.now()) {
                tracing::warn!(
                    topic,
                    events = lost,
                    "retention removed events before a cursor had passed them"
                );
            }
        }
    }

    fn on_released(&self, records: usize) {
        self.metrics.store_released_records.increment(records as u64);
    }

    fn on_used_bytes(&self, bytes: u64) {
        self.metrics.store_used_bytes.set(bytes as f64);
    }
}

/// Of a batch that is mostly something else, no message is timed.
const MOST_LOOKED_AT: usize = 64;
