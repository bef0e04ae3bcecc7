//! The end of a connection: what becomes of its will, its session and what it had not sent.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Broker;
use super::client::Client;
use super::outbox::Item;
use super::turn::Turn;
use super::unwritten::Unwritten;
use crate::codec::Disconnect;
use crate::log::Command;
use crate::metrics::DropReason;
use crate::session::{Fault, Source};
use crate::types::{Position, QoS, ReasonCode, Timestamp, Version};

/// Why a connection ended.
#[derive(Debug)]
pub enum Cause {
    /// The client said so.
    Client(Disconnect),
    /// The connection broke, or the broker ended it: the will is published.
    Lost,
}

impl Broker {
    /// Checks what a DISCONNECT asks for [MQTT-3.14.2-2].
    pub(super) fn check_disconnect(&self, client: &Client, disconnect: &Disconnect) -> Result<(), Fault> {
        let extends = disconnect.session_expiry_secs.is_some_and(|secs| secs > 0);
        if client.version() == Version::V5 && extends && client.session_expiry_secs == 0 {
            return Err(Fault::protocol(
                "Session Expiry Interval in DISCONNECT where CONNECT had 0",
            ));
        }
        Ok(())
    }

    /// Takes a client back whose connection is gone.
    pub fn disconnect(&self, client: Box<Client>, cause: Cause) {
        let mut client = *client;
        let now = self.clock.now();
        let mut will = client.will.take().map(|will| *will);
        if let Cause::Client(disconnect) = &cause {
            if disconnect.reason != ReasonCode::DisconnectWithWill {
                // [MQTT-3.14.4-3]
                will = None;
            }
            if let Some(secs) = disconnect.session_expiry_secs {
                client.session_expiry_secs = self.granted_expiry(secs);
            }
        }
        self.connections.fetch_sub(1, Ordering::Relaxed);
        self.metrics.connections.decrement(1);
        let outbox = client.outbox.clone();
        let client_id = client.session.client_id().clone();
        // Before others know that it is away: so far it had its share of everything.
        let handed_out = self.handed_out();
        outbox.set_connected(false);
        self.detach(&mut client, handed_out);
        client.tally.flush(&self.metrics);
        let mut turn = std::mem::take(&mut client.turn);
        if client.session_expiry_secs == 0 || client.durable.is_none() {
            // What came before goes first, and all of it before another connection can have the identifier.
            self.flush(&mut turn);
            self.end_session(client, will, now, &mut turn);
            self.flush(&mut turn);
            self.sessions.release(&client_id);
        } else {
            self.leave_on_disk(&mut client, will.is_some(), now, &mut turn);
            let expires = expiry_time(client.session_expiry_secs, now);
            let will = will.map(|will| (due_time(will.delay(), expires, now), will));
            let (at_once, later) = match will {
                Some((at, will)) if at <= now => (Some(will), None),
                other => (None, other),
            };
            if let Some(will) = at_once {
                let saved = client.saved_will();
                self.publish_will(&will, &outbox, saved, now, &mut turn);
            }
            // Before another connection can have the session: its commands come later.
            self.flush(&mut turn);
            self.sessions.park(client, expires, later);
        }
        self.count_sessions();
        outbox.released().notify_waiters();
    }

    /// Leaves everything behind in the state that the next connection, or other members of groups, go on from.
    fn detach(&self, client: &mut Client, handed_out: Position) {
        client.session.connection_lost();
        let unwritten = client.unwritten.used().map(Unwritten::take);
        for source in unwritten.into_iter().flatten() {
            self.released(client, source);
        }
        client.note_idle(handed_out);
        let mut unsent = client.blocked.used().map(std::mem::take).unwrap_or_default();
        unsent.append(&mut client.waiting);
        // What has a cursor is read from the log again.
        unsent.drop_with_cursor();
        unsent.retain(|queued| queued.qos() != QoS::AtMostOnce);
        client.outbox.put_back(unsent);
        client.outbox.fall_behind();
        if client.durable.is_some() {
            self.router.touch();
        }
        for replay in &mut client.replays {
            replay.fall_behind();
        }
        for membership in client.groups.iter() {
            if let Some(other) = membership.group.connection_lost(client.outbox.subscriber) {
                client.turn.push(&other, Item::Wake);
            }
        }
        // Nobody waits for these SUBACKs any more; what they subscribed stays.
        client.acks.clear();
    }

    /// Up to where records were handed out to those who are here.
    pub(super) fn handed_out(&self) -> Position {
        Position(self.handed_out.load(Ordering::Acquire))
    }

    /// Brings a durable session on disk as it is now, and keeps of what is in flight only what is not in the log.
    fn leave_on_disk(&self, client: &mut Client, has_will: bool, now: Timestamp, turn: &mut Turn) {
        let Some(durable) = &mut client.durable else { return };
        let place = durable.save(&client.session);
        self.save_cursors(client);
        turn.take_over(&mut client.turn);
        let Some(durable) = &mut client.durable else { return };
        durable.parked = client.session.unload();
        durable.fall_behind();
        client.outbox.set_floor(durable.place.floor());
        let forgotten = (durable.has_will && !has_will).then(|| {
            durable.has_will = false;
            Command::DeleteWill(durable.id)
        });
        let session = client.session_command(Some(now));
        turn.submit_unawaited(
            place
                .map(|(command, _)| command)
                .into_iter()
                .chain(forgotten)
                .chain(session),
        );
    }

    /// A delivery with a cursor did not reach the socket: it is to be sent again. A group gives all that its lost member
    /// had to others anyway.
    fn released(&self, client: &Client, source: Source) {
        if let Source::Replay(key, position) = source
            && let Some(replay) = client.replays.iter().find(|replay| replay.key == key)
        {
            replay.cursor().released(position, &self.cursors);
        }
    }

    /// Hands over what a turn has gathered.
    pub(super) fn flush(&self, turn: &mut Turn) {
        let submissions = turn.take_submissions();
        if !submissions.is_empty() {
            self.log().submit(submissions);
        }
        let refused = turn.deliver(&self.drops);
        if refused.absent > 0 {
            self.metrics
                .dropped
                .of(DropReason::Qos0Offline)
                .increment(refused.absent);
        }
        if refused.slow > 0 {
            self.metrics.dropped.of(DropReason::SlowReader).increment(refused.slow);
        }
        if refused.full > 0 {
            self.metrics.dropped.of(DropReason::QueueFull).increment(refused.full);
        }
    }
}

pub(super) fn expiry_time(secs: u32, now: Timestamp) -> Option<Timestamp> {
    // 0xFFFFFFFF: the session does not expire (section 3.1.2.11.2).
    (secs != u32::MAX).then(|| now.saturating_add(Duration::from_secs(u64::from(secs))))
}

/// The will is published when its delay is over or the session ends, whichever is first [MQTT-3.1.2-8].
pub(super) fn due_time(delay: Duration, expires: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let at = now.saturating_add(delay);
    expires.map_or(at, |expires| at.min(expires))
}
