//! What time brings: wills, session expiry, cursors on their way to disk. And the end of it all.

use std::sync::atomic::Ordering;

use super::sessions::Due;
use super::turn::Turn;
use super::{Broker, LogTag};
use crate::log::Submission;
use crate::metrics::SessionState;
use crate::session::Fault;
use crate::types::{ReasonCode, Timestamp};

impl Broker {
    /// Does what is due by `now`: publishes wills, ends sessions, removes cursors that nobody uses.
    pub fn handle_timeout(&self, now: Timestamp) {
        let mut turn = Turn::new(self.tracer.is_on());
        while let Some(due) = self.sessions.next_due(now) {
            self.come_due(due, now, &mut turn);
        }
        turn.submit_unawaited(self.cursors.expire(now));
        self.pass_skipped(now, &mut turn);
        self.pass_absent(now, &mut turn);
        self.limit_pending(now, &mut turn);
        self.flush(&mut turn);
        self.update_gauges();
        self.floods.tell(now);
    }

    fn come_due(&self, due: Due, now: Timestamp, turn: &mut Turn) {
        let outbox = match due {
            Due::Will(mut absent, will) => {
                let outbox = absent.client.outbox.clone();
                self.publish_will(&will, &outbox, absent.client.saved_will(), now, turn);
                self.flush(turn);
                self.sessions.park(absent.client, absent.expires, None);
                outbox
            }
            Due::Expired(client, will) => {
                let user = client.user();
                tracing::info!(client = client.client_id(), user, "session expired");
                self.metrics.sessions_expired.increment(1);
                let outbox = client.outbox.clone();
                self.end_session(*client, will, now, turn);
                self.flush(turn);
                self.sessions.release(&outbox.client_id);
                self.count_sessions();
                outbox
            }
        };
        outbox.released().notify_waiters();
    }

    /// Sends the cursors that moved on their way to disk.
    pub fn flush_cursors(&self, now: Timestamp) {
        self.flush_places();
        self.cursors.flush(now, |commands| {
            let submissions = commands.into_iter().map(|command| Submission {
                command,
                tag: LogTag::None,
            });
            self.log().submit(submissions.collect());
        });
    }

    /// Lets nobody in any more and orders every connection to end.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for outbox in self.sessions.online() {
            outbox.order(Fault::new(ReasonCode::ServerShuttingDown, "the broker is stopping"));
        }
    }

    /// How many clients are connected.
    pub fn connection_count(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// Makes everything durable and closes the log. Blocks.
    pub fn close(&self) {
        self.flush_cursors(self.clock.now());
        self.log().close();
        self.floods.tell(Timestamp(u64::MAX));
    }

    pub(super) fn count_sessions(&self) {
        let sessions = self.sessions.len() as u64;
        let connected = self.connection_count().min(sessions);
        let of = |state| self.metrics.sessions.of(state);
        of(SessionState::Connected).set(connected as f64);
        of(SessionState::Absent).set((sessions - connected) as f64);
    }

    pub(super) fn count_subscriptions(&self) {
        self.metrics.subscriptions.set(self.router.len() as f64);
        self.metrics.cursors.set(self.cursors.len() as f64);
    }

    fn update_gauges(&self) {
        self.count_sessions();
        self.count_subscriptions();
        self.metrics.retained_messages.set(self.retained.len() as f64);
        self.metrics.channels.set(self.reader.channel_count() as f64);
        self.metrics.store_queue_bytes.set(self.log.queued_bytes() as f64);
    }
}
