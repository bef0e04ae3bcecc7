//! What a subscription asked for, and a message as it gets it. Knows no other subscription.

use std::sync::Arc;

use crate::session::{Delivery, Source};
use crate::types::{Message, QoS};

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
    pub id: Option<u32>,
}

impl SubscriptionOptions {
    /// The delivery of a message for this subscription alone.
    pub fn delivery(&self, message: &Arc<Message>, source: Source) -> Delivery {
        Delivery {
            message: message.clone(),
            qos: self.qos.min(message.qos()),
            retain: self.retain_as_published && message.retain() && source == Source::Live,
            subscription_ids: self.id.into_iter().collect(),
            source,
            event: None,
        }
    }
}
