//! SUBSCRIBE: plain, shared, replay and group subscriptions, each filter with its reason.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::Broker;
use super::access::{self, LIVE};
use super::ack::AwaitedAck;
use super::client::Client;
use super::select::{Subject, passes};
use super::subscription::{SubscriptionOptions, SubscriptionPath};
use crate::acl::Rights;
use crate::codec::{RetainHandling, Subscribe, SubscribeFilter};
use crate::cursor::{ReplayOptions, Start};
use crate::log::Command;
use crate::selector::Selector;
use crate::session::Source;
use crate::topic::SubscriptionFilter;
use crate::types::{QoS, ReasonCode, Timestamp};

/// Why one filter is refused.
pub(super) struct Refusal {
    pub reason: ReasonCode,
    pub why: String,
}

/// A good subscription.
pub(super) struct Granted {
    pub qos: QoS,
    /// The subscription was not there before.
    pub is_new: bool,
    /// A cursor change that the SUBACK waits for.
    pub command: Option<Command>,
    /// For a replay subscription: whether its cursor was there before, and how many events wait.
    pub replay: Option<(bool, Option<u64>)>,
}

impl Granted {
    pub fn plain(qos: QoS, is_new: bool) -> Self {
        Self {
            qos,
            is_new,
            command: None,
            replay: None,
        }
    }
}

/// One filter of a SUBSCRIBE, taken apart.
pub(super) struct Request {
    pub path: SubscriptionPath,
    pub start: Option<Start>,
    pub reset_cursor: bool,
    pub options: SubscriptionOptions,
    pub selector: Option<Arc<Selector>>,
    /// What each message has to be looked at with, if only a part of them is allowed.
    pub guard: Option<Arc<Rights>>,
}

impl Broker {
    /// Handles SUBSCRIBE; the SUBACK follows when every cursor that it makes is durable.
    pub(super) fn subscribe(&self, client: &mut Client, subscribe: Subscribe, now: Timestamp) {
        let mut ack = AwaitedAck::new(client, subscribe.packet_id, true);
        match ReplayOptions::from_properties(&subscribe.user_properties) {
            Err(fault) => {
                let reason = ReasonCode::ImplementationSpecificError;
                ack.packet.reasons = vec![reason; subscribe.filters.len()];
                ack.packet.reason_string = Some(fault.to_string());
            }
            Ok(options) => {
                for filter in &subscribe.filters {
                    self.subscribe_filter(client, filter, subscribe.subscription_id, &options, &mut ack, now);
                }
            }
        }
        self.finish_or_await(client, ack);
    }

    fn subscribe_filter(
        &self,
        client: &mut Client,
        filter: &SubscribeFilter,
        id: Option<u32>,
        replay: &ReplayOptions,
        ack: &mut AwaitedAck,
        now: Timestamp,
    ) {
        let granted = self.parse_request(filter, id, replay).and_then(|mut request| {
            request.guard = self.check_subscription(client, &request)?;
            let before = client.subscriptions.get(&request.path).cloned();
            let granted = self.grant(client, &request, now)?;
            let changed = client.subscriptions.get(&request.path) != before.as_ref();
            Ok((request, granted, changed))
        });
        match granted {
            Err(refusal) => {
                ack.packet.reasons.push(refusal.reason);
                ack.packet.reason_string.get_or_insert(refusal.why);
            }
            Ok((request, granted, changed)) => {
                self.collect_retained(client, &request, filter.retain_handling, granted.is_new, ack, now);
                if let Some((resumed, pending)) = granted.replay {
                    // How many wait that it may not have is none of its business.
                    let pending = pending.filter(|_| request.guard.is_none());
                    let start = if resumed { "resumed" } else { "fresh" };
                    ack.packet.user_properties.push(("es-start".into(), start.into()));
                    let pending = pending.map(|pending| ("es-pending".into(), pending.to_string()));
                    ack.packet.user_properties.extend(pending);
                }
                if let Some(command) = granted.command {
                    ack.submit(client, &request.path, command);
                }
                if changed && let Some(command) = client.save_subscription(&request.path) {
                    ack.submit(client, &request.path, command);
                }
                ack.packet.reasons.push(granted_reason(granted.qos));
            }
        }
    }

    fn parse_request(
        &self,
        filter: &SubscribeFilter,
        id: Option<u32>,
        replay: &ReplayOptions,
    ) -> Result<Request, Refusal> {
        self.check_filter(&filter.filter).map_err(|why| Refusal {
            reason: ReasonCode::TopicFilterInvalid,
            why: why.to_owned(),
        })?;
        let parsed = SubscriptionFilter::parse(&filter.filter).map_err(|fault| Refusal {
            reason: fault.reason_code(),
            why: fault.to_string(),
        })?;
        let replay = replay
            .with_prefix(&parsed)
            .map_err(|fault| Refusal::other(fault.to_string()))?;
        let selector = replay.selector.map(|text| self.selectors.compile(&text)).transpose();
        let selector = selector.map_err(|fault| Refusal::other(format!("selector: {fault}")))?;
        let options = SubscriptionOptions {
            qos: filter.qos,
            no_local: filter.no_local,
            retain_as_published: filter.retain_as_published,
            id: id.and_then(NonZeroU32::new),
        };
        let path = SubscriptionPath {
            group: parsed.group.map(Box::new),
            filter: parsed.filter,
        };
        Ok(Request {
            path,
            start: replay.start,
            reset_cursor: replay.reset_cursor,
            options,
            selector,
            guard: None,
        })
    }

    /// Retained messages come after the SUBACK and before the replay.
    fn collect_retained(
        &self,
        client: &Client,
        request: &Request,
        handling: RetainHandling,
        is_new: bool,
        ack: &mut AwaitedAck,
        now: Timestamp,
    ) {
        let wanted = match handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        if !wanted || request.path.group.is_some() {
            return;
        }
        let filter = &request.path.filter;
        let retained = match filter.as_str().starts_with("$SYS") {
            true => &self.sys_retained,
            false => &self.retained,
        };
        let client_id = client.session.client_id();
        for message in retained.matching(filter, now) {
            // [MQTT-3.8.3-3]
            let own = request.options.no_local && message.publisher() == Some(client_id);
            let skips = |selector| !passes(selector, &Subject::new(&message, false), &self.metrics);
            if own || !access::may(request.guard.as_deref(), LIVE, message.topic()) {
                continue;
            }
            if request.selector.as_deref().is_some_and(skips) {
                continue;
            }
            let mut delivery = request.options.delivery(&message, Source::Retained);
            delivery.retain = true;
            ack.retained.push(delivery);
        }
    }
}

impl Refusal {
    pub fn other(why: impl Into<String>) -> Self {
        Self {
            reason: ReasonCode::ImplementationSpecificError,
            why: why.into(),
        }
    }
}

fn granted_reason(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}
