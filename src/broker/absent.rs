//! Moves the places of sessions that are away past what their selectors skip, so that the log need not keep it for them.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::client::Client;
use super::plain::{PlainReader, Wanted};
use super::subscription::Subscription;
use super::turn::Turn;
use super::{Broker, LogTag};
use crate::log::{LogError, SubscriptionKind};
use crate::types::{Position, Timestamp};

impl Broker {
    /// Looks, now and then, at as many sessions that are away as there is time for; the next time it goes on behind them.
    pub(super) fn pass_absent(&self, now: Timestamp, turn: &mut Turn) {
        {
            let mut due = self.absent_due.lock().unwrap_or_else(PoisonError::into_inner);
            if now < *due {
                return;
            }
            *due = now.saturating_add(INTERVAL);
        }
        if self.selectors.is_unused() {
            return;
        }
        let started = Instant::now();
        let begin_at = self.absent_next.load(Ordering::Relaxed);
        let mut looked_at = 0;
        self.sessions.each_absent(begin_at, |client| {
            looked_at += 1;
            self.pass_one(client, turn);
            started.elapsed() < MOST_TIME
        });
        self.absent_next
            .store(begin_at.wrapping_add(looked_at), Ordering::Relaxed);
    }

    fn pass_one(&self, client: &mut Client, turn: &mut Turn) {
        let selects = |found: &Subscription| found.kind == SubscriptionKind::Live && found.selector.is_some();
        if !client.subscriptions.values().any(selects) {
            return;
        }
        let moved = self.try_pass(client).unwrap_or_else(|fault| {
            tracing::error!(client = client.client_id(), %fault, "what waits for a session cannot be read");
            false
        });
        if moved
            && let Some(durable) = &mut client.durable
            && let Some((command, _)) = durable.save(&client.session)
        {
            turn.submit(command, LogTag::None);
        }
    }

    /// Skips to the first message that the session wants. Returns whether its place moved.
    fn try_pass(&self, client: &mut Client) -> Result<bool, LogError> {
        let Some(durable) = &mut client.durable else {
            return Ok(false);
        };
        let before = durable.place.read_to();
        if before >= self.reader.watermark() || durable.first_wanted == before.next() {
            return Ok(false);
        }
        let mut reader = PlainReader::new(Wanted::new(client.subscriptions.iter()), &self.reader, before);
        let client_id = client.session.client_id();
        let mut found = std::collections::VecDeque::new();
        for _ in 0..MOST_BATCHES {
            let read_to = reader.next_batch(&self.reader, &durable.place, client_id, &self.metrics, &mut found)?;
            if let Some((position, _)) = found.front() {
                durable.first_wanted = *position;
                durable.place.skip_to(Position(position.0 - 1));
                break;
            }
            durable.place.skip_to(read_to);
            if read_to >= self.reader.watermark() {
                break;
            }
        }
        durable.scanned_to = durable.place.read_to();
        client.outbox.set_floor(durable.place.floor());
        Ok(durable.place.read_to() > before)
    }
}

/// How often sessions that are away are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long one look at them may take.
const MOST_TIME: Duration = Duration::from_millis(10);
/// Batches that are read for one session at a time.
const MOST_BATCHES: usize = 4;
