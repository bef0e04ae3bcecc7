//! A session with the plain subscriptions of it that one topic matches.

use std::num::NonZeroU32;
use std::sync::Arc;

use smallvec::SmallVec;

use super::outbox::Outbox;
use super::select::{Passes, SelectorIndex};
use super::subscription::{SubscriptionOptions, merged};
use crate::router::SubscriberId;
use crate::session::{Delivery, SubscriptionIds};
use crate::types::{Message, QoS, Version};

/// One session.
#[derive(Debug)]
pub(super) struct LiveTarget {
    pub outbox: Arc<Outbox>,
    subscriptions: SmallVec<[Plain; 1]>,
    /// What they come to.
    pub granted: Granted,
    /// Whether one of them asks for No Local.
    pub no_local: bool,
    /// The number of the kind of packets it gets, where many get them.
    pub kind: usize,
}

#[derive(Debug)]
struct Plain {
    options: SubscriptionOptions,
    selector: SelectorIndex,
}

/// What makes the packets of one message differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    /// The version they are encoded in.
    pub version: Version,
    /// The highest granted QoS.
    pub qos: QoS,
    /// The identifiers of the subscriptions.
    pub ids: SubscriptionIds,
}

impl LiveTarget {
    /// A session with one subscription.
    pub fn new(outbox: &Arc<Outbox>, options: SubscriptionOptions, selector: SelectorIndex) -> Self {
        Self {
            outbox: outbox.clone(),
            subscriptions: SmallVec::from_buf([Plain { options, selector }]),
            granted: Granted {
                version: outbox.version(),
                qos: options.qos,
                ids: options.id.map(NonZeroU32::get).into_iter().collect(),
            },
            no_local: options.no_local,
            kind: 0,
        }
    }

    /// Adds subscriptions of the same session.
    pub fn merge(&mut self, other: &mut Self) {
        self.subscriptions.append(&mut other.subscriptions);
        self.granted.qos = self.granted.qos.max(other.granted.qos);
        self.granted.ids.append(&mut other.granted.ids);
        self.no_local |= other.no_local;
    }

    /// The delivery for this session of a message that passes these selectors.
    pub fn delivery(&self, message: &Arc<Message>, passes: Option<&Passes>) -> Option<Delivery> {
        let own = message.publisher() == Some(&self.outbox.client_id);
        let plains = self.subscriptions.iter();
        let Some(passes) = passes else {
            return merged(plains.map(|plain| &plain.options), message, own);
        };
        let selected = plains.filter(|plain| passes.of(plain.selector));
        merged(selected.map(|plain| &plain.options), message, own)
    }

    /// Whether No Local may keep a message of this session from it [MQTT-3.8.3-3].
    pub fn may_avoid(&self, from: SubscriberId) -> bool {
        self.no_local && self.outbox.subscriber == from
    }
}
