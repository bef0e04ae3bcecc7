//! What a subscription asked for, and a message as it gets it. Knows no other subscription.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::log::SubscriptionKind;
use crate::selector::Selector;
use crate::session::{Delivery, Source, SubscriptionIds, SubscriptionKey};
use crate::topic::TopicFilter;
use crate::types::{Message, Position, QoS};

/// What a subscription asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// The granted QoS.
    pub qos: QoS,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Subscription Identifier.
    pub id: Option<NonZeroU32>,
}

/// What names a subscription within a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SubscriptionPath {
    /// Boxed, as few have one.
    pub group: Option<Box<Arc<str>>>,
    pub filter: TopicFilter,
}

/// What a session holds of one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub key: SubscriptionKey,
    pub kind: SubscriptionKind,
    pub options: SubscriptionOptions,
    /// Which messages it wants; all without one.
    pub selector: Option<Arc<Selector>>,
    /// Of a durable session's plain subscription: what is after this position belongs to it.
    pub since: Position,
}

impl Subscription {
    /// A subscription with a cursor of its own.
    pub(super) fn new(
        key: SubscriptionKey,
        kind: SubscriptionKind,
        options: SubscriptionOptions,
        selector: Option<Arc<Selector>>,
    ) -> Self {
        Self {
            key,
            kind,
            options,
            selector,
            since: Position::default(),
        }
    }
}

impl SubscriptionOptions {
    /// A number that no other options have.
    pub(super) fn number(self) -> u64 {
        let flags = self.qos as u64 | u64::from(self.no_local) << 2 | u64::from(self.retain_as_published) << 3;
        flags | u64::from(self.id.map_or(0, NonZeroU32::get)) << 4
    }

    /// The delivery of a message for this subscription alone.
    pub fn delivery(&self, message: &Arc<Message>, source: Source) -> Delivery {
        Delivery {
            message: message.clone(),
            qos: self.qos.min(message.qos()),
            retain: self.retain_as_published && message.retain() && matches!(source, Source::Live | Source::Shared(_)),
            subscription_ids: self.id.map(NonZeroU32::get).into_iter().collect(),
            source,
            event: None,
        }
    }
}

/// The one delivery of a message for several plain subscriptions of a session: the highest QoS, and all identifiers
/// (section 3.3.4). `None` if No Local holds for all of them [MQTT-3.8.3-3].
pub fn merged<'a>(
    subscriptions: impl Iterator<Item = &'a SubscriptionOptions>,
    message: &Arc<Message>,
    own: bool,
) -> Option<Delivery> {
    let mut wanted = subscriptions.filter(|options| !(own && options.no_local)).peekable();
    wanted.peek()?;
    let (mut qos, mut retain, mut subscription_ids) = (QoS::AtMostOnce, false, SubscriptionIds::new());
    for options in wanted {
        qos = qos.max(options.qos);
        retain |= options.retain_as_published && message.retain();
        subscription_ids.extend(options.id.map(NonZeroU32::get));
    }
    Some(Delivery {
        message: message.clone(),
        qos: qos.min(message.qos()),
        retain,
        subscription_ids,
        source: Source::Live,
        event: None,
    })
}
