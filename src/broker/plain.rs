//! Reads from the log what the plain subscriptions of a durable session have missed. Knows no session.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::AHashMap;

use super::select::{ANY, SelectorIndex, Subject, passes_asked};
use super::subscription::{Subscription, SubscriptionOptions, SubscriptionPath, merged};
use super::{BATCH_BYTES, BATCH_RECORDS};
use crate::cursor::AckFloor;
use crate::log::{Event, LogError, LogReader, Scan, SubscriptionKind, TopicMatch};
use crate::metrics::Metrics;
use crate::selector::{SelectorSet, SetBuilder};
use crate::session::{Delivery, Source};
use crate::topic::Trie;
use crate::types::{ChannelId, ClientId, Position, QoS};

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
    selectors: SelectorSet,
    /// The one topic, if there is only one subscription and it has no wildcard.
    exact: Option<String>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Plain {
    options: SubscriptionOptions,
    since: Position,
    selector: SelectorIndex,
}

impl Wanted {
    /// The plain subscriptions whose messages the log keeps.
    pub fn new<'a>(subscriptions: impl Iterator<Item = (&'a SubscriptionPath, &'a Subscription)>) -> Self {
        let mut trie = Trie::new();
        let mut selectors = SetBuilder::default();
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
                selector: subscription
                    .selector
                    .as_ref()
                    .map_or(ANY, |selector| selectors.index(selector)),
            };
            trie.insert(filter, subscription.key.0, plain);
        }
        let selectors = selectors.build();
        Self { trie, selectors, exact }
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
    /// A reader that begins behind `after`.
    pub fn new(wanted: Wanted, reader: &LogReader, after: Position) -> Self {
        let wanted = Arc::new(wanted);
        Self {
            scan: reader.scan_kept(wanted.clone(), after),
            wanted,
            by_channel: AHashMap::new(),
        }
    }

    /// Adds to `out` what comes next and is not acknowledged. Returns up to where the log was looked at.
    pub fn next_batch(
        &mut self,
        reader: &LogReader,
        place: &AckFloor,
        client_id: &ClientId,
        metrics: &Metrics,
        out: &mut VecDeque<(Position, Delivery)>,
    ) -> Result<Position, LogError> {
        let mut admit = |position, _, _| !place.is_acked(position);
        let mut events: Vec<Event> = Vec::new();
        let read_to = self
            .scan
            .next_batch(reader, &mut admit, BATCH_RECORDS, BATCH_BYTES, &mut events)?;
        for event in events {
            if let Some(delivery) = self.delivery(&event, client_id, metrics) {
                out.push_back((event.position, delivery));
            }
        }
        Ok(read_to)
    }

    fn delivery(&mut self, event: &Event, client_id: &ClientId, metrics: &Metrics) -> Option<Delivery> {
        let wanted = &self.wanted;
        let plains = self
            .by_channel
            .entry(event.channel)
            .or_insert_with(|| wanted.matching(event.message.topic()));
        let subject = Subject::record(event);
        let asked = wanted.selectors.ask(&subject);
        let options = plains
            .iter()
            .filter(|plain| event.position > plain.since)
            .filter(|plain| plain.selector == ANY || passes_asked(&asked, plain.selector, metrics))
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

#[cfg(test)]
mod tests;
