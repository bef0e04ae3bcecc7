//! A session with the plain subscriptions of it that one topic matches.

use std::num::NonZeroU32;
use std::sync::Arc;

use smallvec::SmallVec;

use super::outbox::Outbox;
use super::select::{ANY, Passes, SelectorIndex};
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
    /// Whether they have different selectors, so that it depends on the message what they come to.
    pub is_mixed: bool,
    /// The number of the kind of packets it gets, where many get them.
    pub kind: u8,
}

#[derive(Debug)]
struct Plain {
    options: SubscriptionOptions,
    selector: SelectorIndex,
}

/// What makes the packets of one message differ, and which messages they are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    /// The version they are encoded in.
    pub version: Version,
    /// The highest granted QoS.
    pub qos: QoS,
    /// The identifiers of the subscriptions.
    pub ids: SubscriptionIds,
    /// The selector that messages must pass.
    pub selector: SelectorIndex,
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
                selector,
            },
            no_local: options.no_local,
            is_mixed: false,
            kind: 0,
        }
    }

    /// The options, if it is one subscription and takes all messages.
    pub fn only_options(&self) -> Option<SubscriptionOptions> {
        match &self.subscriptions[..] {
            [only] if only.selector == ANY => Some(only.options),
            _ => None,
        }
    }

    /// Adds subscriptions of the same session.
    pub fn merge(&mut self, other: &mut Self) {
        self.subscriptions.append(&mut other.subscriptions);
        self.granted.qos = self.granted.qos.max(other.granted.qos);
        self.granted.ids.append(&mut other.granted.ids);
        self.no_local |= other.no_local;
        self.is_mixed |= other.is_mixed || self.granted.selector != other.granted.selector;
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
