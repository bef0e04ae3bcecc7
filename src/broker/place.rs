//! The place of a durable session: sends on what the log has from there, and brings the place to disk.

use std::sync::{Arc, PoisonError};

use super::access::{LIVE, may};
use super::client::Client;
use super::outbox::{Item, Outbox, Reply};
use super::plain::{PlainReader, Wanted};
use super::replay::{Pumped, metric_reason};
use super::{BATCHES_PER_TURN, Broker, LogTag, OUTPUT_LIMIT};
use crate::log::LogError;
use crate::metrics::DeliveryKind;
use crate::session::Sent;
use crate::types::{Position, Timestamp};

impl Broker {
    /// Sends what the plain subscriptions of a durable session have in the log, as far as the client takes it.
    pub(super) fn pump_place(&self, client: &mut Client, now: Timestamp) -> Result<Pumped, LogError> {
        let mut batches = 0;
        loop {
            if !self.drain_place(client, now) {
                return Ok(Pumped::Idle);
            }
            let waits = !client.blocked.is_empty() || !client.waiting.is_empty();
            let Some(durable) = &mut client.durable else {
                return Ok(Pumped::Idle);
            };
            if !durable.behind || waits {
                // What is queued comes before what the log has beyond it.
                return Ok(Pumped::Idle);
            }
            if durable.reader.is_none() {
                // What was queued when the session fell behind has been sent meanwhile.
                durable.scanned_to = durable.scanned_to.max(durable.place.read_to());
            }
            if client.outbox.try_live_place(durable.scanned_to) {
                durable.behind = false;
                durable.reader = None;
                return Ok(Pumped::Idle);
            }
            if batches == BATCHES_PER_TURN {
                return Ok(Pumped::More);
            }
            batches += 1;
            self.read_place(client)?;
        }
    }

    /// Sends what was read; `false` if the client or the output takes no more now.
    fn drain_place(&self, client: &mut Client, now: Timestamp) -> bool {
        let guard = self.guard(client);
        let Some(durable) = &mut client.durable else {
            return true;
        };
        while let Some((position, delivery)) = durable.buffer.pop_front() {
            let room = client.session.output().len() < OUTPUT_LIMIT && durable.has_room();
            if !room || !client.session.can_send(delivery.qos) {
                durable.buffer.push_front((position, delivery));
                return false;
            }
            if !may(guard.as_deref(), LIVE, delivery.message.topic()) {
                self.count_denied(&client.outbox.client_id, delivery.message.topic());
                durable.place.skip_to(position);
                continue;
            }
            let (qos, bytes) = (delivery.qos, delivery.message.payload().len());
            match client.session.send(delivery, now) {
                Sent::Written => {
                    durable.place.sent(position);
                    client.tally.sent(DeliveryKind::Live, qos, bytes);
                }
                Sent::Dropped(reason, delivery) => {
                    let id = client.session.client_id();
                    self.drops.count(id, metric_reason(reason), delivery.message.topic(), 1);
                    durable.place.skip_to(position);
                }
                Sent::Blocked(delivery) => {
                    durable.buffer.push_front((position, delivery));
                    return false;
                }
            }
        }
        durable.place.skip_to(durable.scanned_to);
        true
    }

    fn read_place(&self, client: &mut Client) -> Result<(), LogError> {
        let Some(durable) = &mut client.durable else {
            return Ok(());
        };
        let after = durable.scanned_to;
        let reader = durable.reader.get_or_insert_with(|| {
            let wanted = Wanted::new(client.subscriptions.iter());
            PlainReader::new(wanted, &self.reader, after)
        });
        let client_id = client.session.client_id();
        durable.scanned_to = reader.next_batch(
            &self.reader,
            &durable.place,
            client_id,
            &self.metrics,
            &mut durable.buffer,
        )?;
        Ok(())
    }

    /// Sends the place of a durable session on its way to disk: at once if a packet identifier has to be there soon, with
    /// the next flush otherwise.
    pub(super) fn save_place(&self, client: &mut Client) {
        let Some(durable) = &mut client.durable else { return };
        client.outbox.set_floor(durable.place.floor());
        let (changes, urgent) = client.session.changes();
        let saved = &mut durable.saved;
        if urgent > saved.changes {
            if !saved.under_way && !saved.failed {
                self.submit_place(client);
            }
        } else if !saved.noted && (changes > saved.changes || durable.place.floor() > saved.floor) {
            saved.noted = true;
            self.note_unsaved(client.outbox.clone());
        }
    }

    /// The flush asks for the place.
    pub(super) fn flush_place(&self, client: &mut Client) {
        let Some(durable) = &mut client.durable else { return };
        (durable.saved.noted, durable.saved.failed) = (false, false);
        if !durable.saved.under_way {
            self.submit_place(client);
        }
    }

    /// Saves what has changed, whatever is under way.
    pub(super) fn submit_place(&self, client: &mut Client) {
        let Some(durable) = &mut client.durable else { return };
        let Some((command, number)) = durable.save(&client.session) else {
            return;
        };
        durable.saved.under_way = true;
        self.save_cursors(client);
        let tag = LogTag::Place(client.outbox.clone(), number);
        client.turn.submit(command, tag);
    }

    /// Saves the cursors of the session's replay subscriptions with its place: what is in flight belongs to both.
    pub(super) fn save_cursors(&self, client: &mut Client) {
        let now = self.clock.now();
        for replay in &client.replays {
            if let Some(command) = self.cursors.save(&**replay.cursor(), now) {
                client.turn.submit(command, LogTag::None);
            }
        }
    }

    /// The place is on disk, or could not be written.
    pub(super) fn place_saved(&self, client: &mut Client, number: u64, done: bool, now: Timestamp) {
        let Some(durable) = &mut client.durable else { return };
        durable.saved.under_way = false;
        if !done {
            // What waits for it goes on waiting.
            durable.saved.failed = true;
            (durable.saved.changes, durable.saved.floor) = (0, Position::default());
            if !std::mem::replace(&mut durable.saved.noted, true) {
                self.note_unsaved(client.outbox.clone());
            }
            return;
        }
        for source in client.session.saved(number, now) {
            self.acknowledged(client, source);
        }
    }

    fn note_unsaved(&self, outbox: Arc<Outbox>) {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).push(outbox);
    }

    /// Asks the sessions whose place moved since the last flush to save it.
    pub(super) fn flush_places(&self) {
        let unsaved = std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner));
        for outbox in unsaved {
            outbox.push(&mut vec![Item::Reply(Reply::SavePlace)]);
        }
    }
}
