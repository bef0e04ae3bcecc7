//! How much may wait in the log for a durable session, and what happens beyond that.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::client::Client;
use super::measured::{Measured, Written};
use super::outbox::{Item, Outbox, Reply};
use super::plain::Wanted;
use super::turn::Turn;
use super::{Broker, LogTag};
use crate::config::PendingPolicy;
use crate::log::{Backlog, BacklogLimits, LogError, SubscriptionKind};
use crate::metrics::DropReason;
use crate::types::{Position, Timestamp};

impl Broker {
    /// Whether publishers of some topics are refused because too much waits for a session.
    pub(super) fn refuses_full(&self) -> bool {
        self.refuses_full.load(Ordering::Acquire)
    }

    /// Looks, now and then, for sessions that more waits for than may.
    pub(super) fn limit_pending(&self, now: Timestamp, turn: &mut Turn) {
        let limits = self.backlog_limits(now);
        if limits.max_records.is_none() && limits.max_bytes.is_none() && limits.older_than.is_none() {
            return;
        }
        {
            let mut due = self.pending_due.lock().unwrap_or_else(PoisonError::into_inner);
            if now < *due {
                return;
            }
            *due = now.saturating_add(INTERVAL);
        }
        self.limit_absent(&limits, turn);
        let mut refuses = false;
        for outbox in self.sessions.each_outbox().iter().filter(|outbox| outbox.durable) {
            let waits = outbox.load() > 0 || !outbox.is_place_idle() || outbox.is_over_limit();
            if waits && outbox.is_connected() {
                outbox.push(&mut vec![Item::Reply(Reply::LimitPending)]);
            }
            refuses |= outbox.is_over_limit();
        }
        self.refuses_full.store(refuses, Ordering::Release);
    }

    /// Looks at the sessions that are away, as many as there is time for; the next time it goes on behind them.
    fn limit_absent(&self, limits: &BacklogLimits, turn: &mut Turn) {
        let started = Instant::now();
        let begin_at = self.pending_next.load(Ordering::Relaxed);
        let mut looked_at = 0;
        self.sessions.each_absent(begin_at, |client| {
            looked_at += 1;
            self.limit(client, limits);
            if let Some(durable) = &mut client.durable
                && let Some((command, _)) = durable.save(&client.session)
            {
                turn.submit(command, LogTag::None);
            }
            started.elapsed() < MOST_TIME
        });
        self.pending_next
            .store(begin_at.wrapping_add(looked_at), Ordering::Relaxed);
    }

    /// The same for one session that is connected.
    pub(super) fn limit_connected(&self, client: &mut Client, now: Timestamp) {
        let limits = self.backlog_limits(now);
        let Some(durable) = &mut client.durable else { return };
        if !durable.behind && client.outbox.is_place_idle() && client.blocked.is_empty() {
            self.set_over_limit(&client.outbox, false);
            return;
        }
        if !durable.behind && !self.fits_surely(&durable.measured, &limits) {
            // What is queued is in the log as well, where it can be counted and left out.
            if let Some(blocked) = client.blocked.used() {
                blocked.drop_with_cursor();
            }
            client.waiting.drop_with_cursor();
            client.outbox.place_falls_behind();
            durable.fall_behind();
        }
        self.limit(client, &limits);
    }

    fn limit(&self, client: &mut Client, limits: &BacklogLimits) {
        if let Err(fault) = self.try_limit(client, limits) {
            tracing::error!(client = client.client_id(), %fault, "what waits for a session cannot be counted");
        }
    }

    /// Gives up the oldest of what waits for a session beyond its limits, or has its publishers refused.
    fn try_limit(&self, client: &mut Client, limits: &BacklogLimits) -> Result<(), LogError> {
        let Some(durable) = &client.durable else { return Ok(()) };
        if self.fits_surely(&durable.measured, limits) {
            self.set_over_limit(&client.outbox, false);
            return Ok(());
        }
        // Before its first subscription nothing was kept for it.
        let plain = client
            .subscriptions
            .values()
            .filter(|found| found.kind == SubscriptionKind::Live);
        let subscribed = plain.map(|subscription| subscription.since).min();
        let after = durable.place.read_to().max(subscribed.unwrap_or_default());
        let wanted = Wanted::new(client.subscriptions.iter());
        let total = self.written();
        let before = self.reader.backlog(&wanted, after)?;
        let over = !limits.allow(&before);
        let refuse = over && self.config().session.pending_policy == PendingPolicy::Reject;
        self.set_over_limit(&client.outbox, refuse);
        let left = if over && !refuse {
            self.drop_oldest(client, &wanted, after, &before, limits)?
        } else {
            before
        };
        if let Some(durable) = &mut client.durable {
            durable.measured = Measured { total, found: left };
        }
        Ok(())
    }

    fn drop_oldest(
        &self,
        client: &mut Client,
        wanted: &Wanted,
        after: Position,
        before: &Backlog,
        limits: &BacklogLimits,
    ) -> Result<Backlog, LogError> {
        let cut = self.reader.cut_point(wanted, after, limits)?;
        let left = self.reader.backlog(wanted, cut)?;
        let dropped = before.records.saturating_sub(left.records);
        tracing::warn!(
            client = client.client_id(),
            dropped,
            "more waits for the session than may: the oldest messages are dropped"
        );
        let id = client.session.client_id();
        self.drops.count(id, DropReason::SessionLimit, "", dropped);
        if let Some(durable) = &mut client.durable {
            durable.skip_to(cut);
            client.outbox.set_floor(durable.place.floor());
        }
        Ok(left)
    }

    /// Whether so little was written since the session was measured that no limit can be exceeded.
    fn fits_surely(&self, measured: &Measured, limits: &BacklogLimits) -> bool {
        let now = self.written();
        let records = measured.found.records + now.records.saturating_sub(measured.total.records);
        let bytes = measured.found.bytes + now.bytes.saturating_sub(measured.total.bytes);
        // Of what came since, nobody knows how old the oldest is.
        let oldest = measured.found.oldest.or((records > 0).then_some(Timestamp(0)));
        let most = Backlog { records, bytes, oldest };
        limits.allow(&most)
    }

    fn written(&self) -> Written {
        Written {
            records: self.reader.watermark().0,
            bytes: self.written_bytes.load(Ordering::Acquire),
        }
    }

    fn set_over_limit(&self, outbox: &Arc<Outbox>, over: bool) {
        if outbox.set_over_limit(over) != over {
            self.router.touch();
            if over {
                tracing::warn!(
                    client = outbox.client_id.as_str(),
                    "more waits for the session than may: publishers are refused"
                );
            }
        }
    }

    fn backlog_limits(&self, now: Timestamp) -> BacklogLimits {
        let config = self.config();
        let session = &config.session;
        BacklogLimits {
            max_records: session.max_pending_messages,
            max_bytes: session.max_pending_bytes,
            older_than: session.max_pending_age.map(|age| now.saturating_sub(age)),
        }
    }
}

/// How long one look at the sessions that are away may take.
const MOST_TIME: Duration = Duration::from_millis(20);
/// How often the limits are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
