//! Subscriptions as the administration shows them.

use serde::Serialize;

use crate::broker::subscription::{Subscription, SubscriptionPath};
use crate::log::SubscriptionKind;

/// One subscription of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionView {
    /// The filter, without prefixes.
    pub filter: String,
    /// The group, of a shared subscription.
    pub group: Option<String>,
    /// `live`, `shared`, `replay` or `replay-group`.
    pub kind: &'static str,
    /// The granted QoS.
    pub qos: u8,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Subscription Identifier.
    pub subscription_id: Option<u32>,
    /// The selector's text.
    pub selector: Option<String>,
}

impl SubscriptionView {
    pub(super) fn of((path, subscription): (&SubscriptionPath, &Subscription)) -> Self {
        let options = &subscription.options;
        let selector = subscription.selector.as_ref();
        Self {
            filter: path.filter.as_str().to_owned(),
            group: path.group.as_ref().map(|group| group.to_string()),
            kind: match subscription.kind {
                SubscriptionKind::Live => "live",
                SubscriptionKind::Share => "shared",
                SubscriptionKind::Replay => "replay",
                SubscriptionKind::Group => "replay-group",
            },
            qos: options.qos.bits(),
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            subscription_id: options.id.map(std::num::NonZeroU32::get),
            selector: selector.map(|selector| selector.text().to_owned()),
        }
    }
}
