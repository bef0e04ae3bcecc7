//! What the tests of the broker's parts share: a broker without sockets, mailboxes, messages.

use std::sync::Arc;

use super::Broker;
use super::outbox::{Outbox, OutboxLimits};
use super::subscription::SubscriptionOptions;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::router::SubscriberId;
use crate::session::{Delivery, Source};
use crate::store::MemoryStore;
use crate::topic::TopicFilter;
use crate::types::{Clock, Message, MessageParts, QoS, Timestamp};

/// A broker on an empty store, with a clock that stands still.
pub(super) fn broker() -> Arc<Broker> {
    let clock = Clock::manual(Timestamp(1_000));
    let (metrics, _) = Metrics::new(clock.now());
    Broker::open(Config::default(), Arc::new(MemoryStore::new()), clock, metrics).expect("an empty store opens")
}

/// The mailbox of a connected session, with room for three messages.
pub(super) fn outbox(subscriber: u64, durable: bool) -> Arc<Outbox> {
    let limits = OutboxLimits {
        qos0_bytes: 1 << 20,
        max_messages: 3,
        max_bytes: 2_000,
    };
    let name = format!("client-{subscriber}");
    Outbox::new(name.as_str().into(), SubscriberId(subscriber), limits, durable)
}

pub(super) fn message(topic: &str, qos: QoS, payload: &[u8]) -> Arc<Message> {
    let parts = MessageParts {
        topic,
        properties: &[],
        payload,
        qos,
        retain: false,
        expiry_secs: None,
        received: Timestamp(0),
    };
    Arc::new(Message::new(parts, Some("publisher".into())))
}

/// A message of a hundred bytes to `t`.
pub(super) fn delivery(qos: QoS, source: Source) -> Delivery {
    Delivery {
        message: message("t", qos, &[0; 100]),
        qos,
        retain: false,
        subscription_ids: Default::default(),
        source,
        event: None,
    }
}

pub(super) fn options(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        id: None,
    }
}

pub(super) fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect("a filter")
}
