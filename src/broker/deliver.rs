//! From a client's mailbox and cursors to its output.

use super::access::{LIVE, REPLAY};
use super::client::{Client, GroupMembership};
use super::group::May;
use super::outbox::{Item, Outbox, Reply};
use super::replay::{Passed, PumpContext, Pumped, ReplaySubscription};
use super::select::count;
use super::unwritten::Unwritten;
use super::{Broker, OUTPUT_LIMIT};
use crate::log::LogError;
use crate::metrics::{DeliveryKind, DropReason};
use crate::session::{Fault, Source};
use crate::types::{QoS, ReasonCode, Timestamp};

impl Broker {
    /// Fills the client's output with what it can have now. An error ends the connection.
    pub fn pump(&self, client: &mut Client, now: Timestamp) -> Result<Pumped, Fault> {
        let taken = client
            .outbox
            .take(client.waiting.is_empty() && client.blocked.len() < BLOCKED_LIMIT);
        if let Some(fault) = taken.order {
            return Err(fault);
        }
        if taken.place_behind
            && let Some(durable) = &mut client.durable
            && !durable.behind
        {
            durable.fall_behind();
        }
        let mut live = taken.live;
        client.waiting.append(&mut live);
        // All of them are handled, also where one ends the connection: nothing comes twice.
        let faults = taken
            .replies
            .into_iter()
            .map(|reply| self.handle_reply(client, reply, now));
        faults.fold(Ok(()), Result::and)?;
        if taken.is_idle_asked {
            client.note_idle(self.handed_out());
        }
        for source in client.session.resend(now, OUTPUT_LIMIT) {
            self.acknowledged(client, source);
        }
        let mut pumped = Pumped::Idle;
        if client.session.resend_is_complete() {
            pumped = self.pump_new(client, now).map_err(|fault| store_fault(&fault))?;
        }
        // Also while something is to be sent again: a PUBREL may wait for it.
        self.save_place(client);
        client
            .outbox
            .set_load(client.blocked.len() + client.waiting.len() + client.session.in_flight());
        Ok(pumped)
    }

    /// Sends what was not sent before.
    fn pump_new(&self, client: &mut Client, now: Timestamp) -> Result<Pumped, LogError> {
        self.pump_waiting(client, now);
        if !client.acks.is_empty() {
            // A SUBACK that is on its way goes before what its subscription brings.
            return Ok(Pumped::Idle);
        }
        self.pump_log(client, now)
    }

    /// Sends what comes from the log: for plain subscriptions of a durable session, for replays, for groups.
    fn pump_log(&self, client: &mut Client, now: Timestamp) -> Result<Pumped, LogError> {
        let pumps = [
            self.pump_place(client, now)?,
            self.pump_replays(client, now)?,
            self.pump_groups(client, now)?,
        ];
        let more = pumps.contains(&Pumped::More);
        Ok(if more { Pumped::More } else { Pumped::Idle })
    }

    /// So many bytes of the output were written: what needs no acknowledgement is delivered.
    pub fn wrote(&self, client: &mut Client, bytes: usize) {
        self.metrics.bytes_sent.increment(bytes as u64);
        self.metrics
            .packets_sent
            .increment(client.session.take_packets_written());
        if let Some(unwritten) = client.unwritten.used() {
            unwritten.wrote(bytes);
        }
        while let Some(source) = client.unwritten.used().and_then(Unwritten::next_written) {
            self.acknowledged(client, source);
        }
    }

    /// Moves the cursor that an acknowledgement belongs to.
    pub(super) fn acknowledged(&self, client: &mut Client, source: Source) {
        match source {
            Source::Replay(key, position) => {
                if let Some(replay) = client.replays.iter().find(|replay| replay.key == key) {
                    replay.cursor().acked(position, &self.cursors);
                }
            }
            Source::Group(key, position) => {
                if let Some(membership) = client.groups.iter().find(|membership| membership.key == key) {
                    membership
                        .group
                        .acked(client.outbox.subscriber, position, &self.cursors);
                }
            }
            Source::Session(position) => {
                if let Some(durable) = &mut client.durable {
                    durable.place.acked(position);
                }
            }
            Source::Live | Source::Shared(_) | Source::Retained => {}
        }
    }

    fn handle_reply(&self, client: &mut Client, reply: Reply, now: Timestamp) -> Result<(), Fault> {
        match reply {
            Reply::Publish(token, outcome) => {
                client.commits_awaited = client.commits_awaited.saturating_sub(1);
                match token {
                    Some(token) => client.session.handle_outcome(token, outcome),
                    None => Ok(()),
                }
            }
            Reply::Timed(read_at) => {
                let took = self.clock.now().since(read_at).as_secs_f64();
                self.metrics.publish_to_ack_seconds.record(took);
                Ok(())
            }
            Reply::Changed(number, outcome) => {
                self.change_done(client, number, outcome);
                Ok(())
            }
            Reply::PlaceSaved(number, done) => {
                self.place_saved(client, number, done, now);
                Ok(())
            }
            Reply::Released(packet_id, gone) => {
                client.session.handle_released(packet_id, gone);
                Ok(())
            }
            Reply::SavePlace => {
                self.flush_place(client);
                Ok(())
            }
            Reply::LimitPending => {
                self.limit_connected(client, now);
                Ok(())
            }
            Reply::JoinGroup(name, filter) => {
                self.follow_share(client, &name, &filter);
                Ok(())
            }
            Reply::Describe(asker) => {
                // Who asked may have given up.
                let _ = asker.send(Box::new(self.describe(client)));
                Ok(())
            }
            Reply::Reset(reset) => {
                self.reset_of_client(client, *reset, now);
                Ok(())
            }
        }
    }

    fn pump_replays(&self, client: &mut Client, now: Timestamp) -> Result<Pumped, LogError> {
        let mut replays = std::mem::take(&mut client.replays);
        let pumped = pump_each(&mut replays, &mut self.context(client, now));
        client.replays = replays;
        pumped
    }

    /// What a reader of this client works with.
    fn context<'a>(&'a self, client: &'a mut Client, now: Timestamp) -> PumpContext<'a> {
        let guard = self.guard(client);
        PumpContext {
            guard,
            session: &mut client.session,
            outbox: &client.outbox,
            reader: &self.reader,
            table: &self.cursors,
            metrics: &self.metrics,
            drops: &self.drops,
            tally: &mut client.tally,
            unwritten: &mut client.unwritten,
            now,
            handed_out: self.handed_out(),
            output_limit: OUTPUT_LIMIT,
        }
    }

    fn pump_groups(&self, client: &mut Client, now: Timestamp) -> Result<Pumped, LogError> {
        let mut pumped = Pumped::Idle;
        for index in 0..client.groups.len() {
            if self.pump_group(client, index, now)? {
                pumped = Pumped::More;
            }
        }
        Ok(pumped)
    }

    fn pump_group(&self, client: &mut Client, index: usize, now: Timestamp) -> Result<bool, LogError> {
        let Some(GroupMembership { key, group, options }) = client.groups.get(index) else {
            return Ok(false);
        };
        let (key, group, options) = (*key, group.clone(), *options);
        let kind = if group.is_share() {
            DeliveryKind::Live
        } else {
            DeliveryKind::Replay
        };
        let room = client.session.output().len() < OUTPUT_LIMIT;
        let credit = match options.qos {
            _ if !room => 0,
            QoS::AtMostOnce => usize::from(u16::MAX),
            _ => usize::from(client.session.send_quota()),
        };
        let subscriber = client.outbox.subscriber;
        let actions = if group.is_share() { LIVE } else { REPLAY };
        let may = |outbox: &Outbox, topic: &str| self.access.may(outbox, actions, topic);
        let may: May<'_> = if self.access.is_on() { Some(&may) } else { None };
        let mut work = group.pump(subscriber, credit, &self.reader, &self.cursors, now, may)?;
        if work.denied > 0 {
            self.count_undelivered(work.denied);
        }
        for outbox in &work.wake {
            client.turn.push(outbox, Item::Wake);
        }
        self.metrics.dropped.of(DropReason::Expired).increment(work.expired);
        if work.evaluated > 0 {
            count(&self.metrics, work.evaluated, work.passed);
        }
        let mut progress = false;
        while let Some(assigned) = work.assigned.pop_front() {
            let source = match assigned.item.stored {
                Some(stored) => Source::Group(key, stored.position),
                None => Source::Live,
            };
            let passed = self
                .context(client, now)
                .send(&options, &assigned.item, source, kind, assigned.redelivered);
            match passed {
                Passed::Sent => progress = true,
                Passed::Dropped => {
                    progress = true;
                    self.acknowledged(client, source);
                }
                Passed::Blocked => {
                    work.assigned.push_front(assigned);
                    if let Some(other) = group.give_back(subscriber, std::mem::take(&mut work.assigned)) {
                        client.turn.push(&other, Item::Wake);
                    }
                    return Ok(false);
                }
            }
        }
        Ok(work.more || (progress && client.session.output().len() < OUTPUT_LIMIT))
    }
}

fn pump_each(replays: &mut [ReplaySubscription], context: &mut PumpContext<'_>) -> Result<Pumped, LogError> {
    let mut pumped = Pumped::Idle;
    for replay in replays.iter_mut() {
        if replay.pump(context)? == Pumped::More {
            pumped = Pumped::More;
        }
    }
    if replays.len() > 1 {
        // The next turn begins with another one, so that none has to wait for the first to end.
        replays.rotate_left(1);
    }
    Ok(pumped)
}

fn store_fault(fault: &LogError) -> Fault {
    tracing::error!(%fault, "the event store cannot be read");
    Fault::new(ReasonCode::UnspecifiedError, "the event store cannot be read")
}

/// Blocked messages beyond which the mailbox, which is bounded, takes over.
const BLOCKED_LIMIT: usize = 1024;
