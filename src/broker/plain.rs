//! Reads from the log what the plain subscriptions of a durable session have missed. Knows no socket.

use std::sync::Arc;

use ahash::AHashMap;

use super::client::{Client, SubscriptionPath};
use super::deliver::OUTPUT_LIMIT;
use super::replay::{Pumped, metric_reason};
use super::subscription::{SubscriptionOptions, merged};
use super::{BATCH_BYTES, BATCH_RECORDS, BATCHES_PER_TURN, Broker};
use crate::log::{Event, LogError, LogReader, Scan, SubscriptionKind, TopicMatch};
use crate::metrics::DeliveryKind;
use crate::session::{Delivery, Sent, Source};
use crate::topic::Trie;
use crate::types::{ChannelId, ClientId, Position, QoS, Timestamp};

/// A reader of the log for all plain subscriptions of a session.
pub(super) struct PlainReader {
    scan: Scan,
    wanted: Arc<Wanted>,
    /// What matches each channel that was met.
    by_channel: AHashMap<ChannelId, Arc<[Plain]>>,
}

/// The plain subscriptions of a session.
pub(super) struct Wanted {
    trie: Trie<u32, Plain>,
    /// The one topic, if there is only one subscription and it has no wildcard.
    exact: Option<String>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Plain {
    options: SubscriptionOptions,
    since: Position,
}

impl Wanted {
    /// The plain subscriptions whose messages the log keeps.
    pub fn new<'a>(
        subscriptions: impl Iterator<Item = (&'a SubscriptionPath, &'a super::client::Subscription)>,
    ) -> Self {
        let mut trie = Trie::new();
        let mut exact = None;
        for (path, subscription) in subscriptions {
            if subscription.kind != SubscriptionKind::Live || subscription.options.qos == QoS::AtMostOnce {
                continue;
            }
            let filter = &path.filter;
            exact = (trie.is_empty() && filter.is_exact()).then(|| filter.as_str().to_owned());
            let plain = Plain {
                options: subscription.options,
                since: subscription.since,
            };
            trie.insert(filter, subscription.key.0, plain);
        }
        Self { trie, exact }
    }

    fn matching(&self, topic: &str) -> Arc<[Plain]> {
        let mut found = Vec::new();
        self.trie.visit(topic, |_, plain| found.push(*plain));
        found.into()
    }
}

impl TopicMatch for Wanted {
    fn matches(&self, topic: &str) -> bool {
        let mut matches = false;
        self.trie.visit(topic, |_, _| matches = true);
        matches
    }

    fn exact(&self) -> Option<&str> {
        self.exact.as_deref()
    }
}

impl PlainReader {
    fn new(wanted: Wanted, reader: &LogReader, after: Position) -> Self {
        let wanted = Arc::new(wanted);
        Self {
            scan: reader.scan_kept(wanted.clone(), after),
            wanted,
            by_channel: AHashMap::new(),
        }
    }

    fn delivery(&mut self, event: &Event, client_id: &ClientId) -> Option<Delivery> {
        let wanted = &self.wanted;
        let plains = self
            .by_channel
            .entry(event.channel)
            .or_insert_with(|| wanted.matching(event.message.topic()));
        let options = plains
            .iter()
            .filter(|plain| event.position > plain.since)
            .map(|plain| &plain.options);
        let own = event.message.publisher() == Some(client_id);
        let mut delivery = merged(options, &event.message, own)?;
        delivery.source = Source::Session(event.position);
        (delivery.qos > QoS::AtMostOnce).then_some(delivery)
    }
}

impl std::fmt::Debug for PlainReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainReader").finish_non_exhaustive()
    }
}

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
        let Some(durable) = &mut client.durable else {
            return true;
        };
        while let Some((position, delivery)) = durable.buffer.pop_front() {
            let room = client.session.output().len() < OUTPUT_LIMIT && durable.has_room();
            if !room || !client.session.can_send(delivery.qos) {
                durable.buffer.push_front((position, delivery));
                return false;
            }
            let (qos, bytes) = (delivery.qos, delivery.message.payload().len());
            match client.session.send(delivery, now) {
                Sent::Written => {
                    durable.place.sent(position);
                    client.tally.sent(DeliveryKind::Live, qos, bytes);
                }
                Sent::Dropped(reason) => {
                    self.metrics.dropped.of(metric_reason(reason)).increment(1);
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
        let place = &durable.place;
        let mut admit = |position, _, _| !place.is_acked(position);
        let mut events: Vec<Event> = Vec::new();
        durable.scanned_to =
            reader
                .scan
                .next_batch(&self.reader, &mut admit, BATCH_RECORDS, BATCH_BYTES, &mut events)?;
        let client_id = client.session.client_id();
        for event in events {
            if let Some(delivery) = reader.delivery(&event, client_id) {
                durable.buffer.push_back((event.position, delivery));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
