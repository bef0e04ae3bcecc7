//! How much may wait in the log for a durable session, and what happens beyond that.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Broker;
use super::LogTag;
use super::client::Client;
use super::outbox::{Item, Outbox, Reply};
use super::plain::Wanted;
use super::turn::Turn;
use crate::config::PendingPolicy;
use crate::log::{Backlog, BacklogLimits, LogError, SubscriptionKind};
use crate::metrics::DropReason;
use crate::session::Delivery;
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
        let mut refuses = false;
        self.sessions
            .each_absent(|client| match self.limit(client, &limits, turn) {
                Ok(full) => refuses |= full,
                Err(fault) => {
                    tracing::error!(client = client.client_id(), %fault, "what waits for a session cannot be counted")
                }
            });
        for outbox in self.sessions.online().iter().filter(|outbox| outbox.durable) {
            outbox.push(&mut vec![Item::Reply(Reply::LimitPending)]);
            refuses |= outbox.is_over_limit();
        }
        self.refuses_full.store(refuses, Ordering::Release);
    }

    /// The same for one session that is connected.
    pub(super) fn limit_connected(&self, client: &mut Client, now: Timestamp) {
        let limits = self.backlog_limits(now);
        let Some(durable) = &mut client.durable else { return };
        if !durable.behind && client.outbox.is_place_idle() && client.held.is_empty() {
            self.set_over_limit(&client.outbox, false);
            return;
        }
        if !durable.behind && !self.fits_surely(durable.place.read_to(), &limits) {
            // What is queued is in the log as well, where it can be counted and left out.
            let stays = |delivery: &Delivery| !delivery.source.has_cursor();
            client.held.retain(stays);
            client.waiting.retain(stays);
            client.outbox.place_falls_behind();
            durable.fall_behind();
        }
        let mut turn = Turn::default();
        if let Err(fault) = self.limit(client, &limits, &mut turn) {
            tracing::error!(client = client.client_id(), %fault, "what waits for a session cannot be counted");
        }
        for submission in turn.take_submissions() {
            client.turn.submit(submission.command, submission.tag);
        }
    }

    /// Gives up the oldest of what waits for a session beyond its limits, or refuses publishers. Returns whether they are.
    fn limit(&self, client: &mut Client, limits: &BacklogLimits, turn: &mut Turn) -> Result<bool, LogError> {
        let Some(read_to) = client.durable.as_ref().map(|durable| durable.place.read_to()) else {
            return Ok(false);
        };
        // Before its first subscription nothing was kept for it.
        let plain = client
            .subscriptions
            .values()
            .filter(|found| found.kind == SubscriptionKind::Live);
        let subscribed = plain.map(|subscription| subscription.since).min();
        let after = read_to.max(subscribed.unwrap_or(read_to));
        if self.fits_surely(after, limits) {
            self.set_over_limit(&client.outbox, false);
            return Ok(false);
        }
        let wanted = Wanted::new(client.subscriptions.iter());
        let before = self.reader.backlog(&wanted, after)?;
        let over = exceeds(&before, limits);
        let refuse = over && self.config.session.pending_policy == PendingPolicy::Reject;
        self.set_over_limit(&client.outbox, refuse);
        if !over || refuse {
            return Ok(refuse);
        }
        let cut = self.reader.cut_point(&wanted, after, limits)?;
        let left = self.reader.backlog(&wanted, cut)?;
        let dropped = before.records.saturating_sub(left.records);
        tracing::warn!(
            client = client.client_id(),
            dropped,
            "more waits for the session than may: the oldest messages are dropped"
        );
        self.metrics.dropped.of(DropReason::SessionLimit).increment(dropped);
        if let Some(durable) = &mut client.durable {
            durable.skip_to(cut);
            client.outbox.set_floor(durable.place.floor());
            if let Some((command, _)) = durable.save(&client.session) {
                turn.submit(command, LogTag::None);
            }
        }
        Ok(false)
    }

    /// Whether so little is in the log behind a position that no limit can be exceeded.
    fn fits_surely(&self, after: Position, limits: &BacklogLimits) -> bool {
        let records = self.reader.watermark().0.saturating_sub(after.0);
        let most_bytes = records.saturating_mul(u64::from(self.config.session.max_packet_size));
        let fits = |value: u64, limit: Option<u64>| limit.is_none_or(|limit| value <= limit);
        let young = records == 0 || limits.older_than.is_none();
        young && fits(records, limits.max_records) && fits(most_bytes, limits.max_bytes)
    }

    fn set_over_limit(&self, outbox: &Arc<Outbox>, over: bool) {
        if outbox.set_over_limit(over) != over {
            self.router.touch();
            if over {
                tracing::warn!(client = %outbox.client_id, "more waits for the session than may: publishers are refused");
            }
        }
    }

    fn backlog_limits(&self, now: Timestamp) -> BacklogLimits {
        let session = &self.config.session;
        BacklogLimits {
            max_records: session.max_pending_messages,
            max_bytes: session.max_pending_bytes,
            older_than: session.max_pending_age.map(|age| now.saturating_sub(age)),
        }
    }
}

fn exceeds(backlog: &Backlog, limits: &BacklogLimits) -> bool {
    limits.max_records.is_some_and(|most| backlog.records > most)
        || limits.max_bytes.is_some_and(|most| backlog.bytes > most)
        || (limits
            .older_than
            .is_some_and(|time| backlog.oldest.is_some_and(|oldest| oldest < time)))
}

/// How often the limits are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
