//! What one matching subscription does to a message on its way: access, selector, group, cursor, flow control.

use super::{Looked, Verdict};
use crate::acl::Rights;
use crate::broker::Broker;
use crate::broker::access::{LIVE, REPLAY};
use crate::broker::cursors::CursorKey;
use crate::broker::manage::SubscriptionView;
use crate::broker::manage::cursors::CHEAP;
use crate::topic::TopicFilter;
use crate::types::ClientId;

impl Broker {
    pub(super) fn look_at(&self, subscription: &SubscriptionView, looked: &mut Looked<'_>) {
        let group = subscription.group.as_ref();
        let of_group = group.map(|group| format!(" of group {group}")).unwrap_or_default();
        let no_local = if subscription.no_local {
            ", without what it publishes itself (No Local)"
        } else {
            ""
        };
        let filter = &subscription.filter;
        let (kind, qos) = (subscription.kind, subscription.qos);
        let what = format!("{filter} matches: {kind} subscription{of_group}, QoS {qos}{no_local}");
        looked.find("subscription", Verdict::Yes, what);
        self.look_at_access(subscription, looked);
        look_at_absence(subscription, looked);
        if let Some(selector) = &subscription.selector {
            let what = format!("only messages for which its selector is true: {selector}");
            looked.find("selector", Verdict::Depends, what);
        }
        if let Some(group) = group {
            self.look_at_group(group, filter, looked);
        }
        if kind == "replay" {
            self.look_at_cursor(filter, looked);
        }
        if looked.outbox.is_over_limit() {
            let what = "too much waits for its session: publishers of this topic are refused (session.max_pending_messages, max_pending_bytes, max_pending_age)";
            looked.find("flow", Verdict::No, what.to_owned());
        }
        look_at_flow(subscription, looked);
    }

    fn look_at_access(&self, subscription: &SubscriptionView, looked: &mut Looked<'_>) {
        let Some(rights) = self.access.rights(looked.outbox) else {
            return looked.find("access", Verdict::Yes, "no access rules hold for it".to_owned());
        };
        let actions = match subscription.kind {
            "live" | "shared" => LIVE,
            _ => REPLAY,
        };
        for action in actions {
            let decision = rights.decide(*action, looked.topic);
            let said = if decision.allowed { "allowed" } else { "denied" };
            let verdict = if decision.allowed { Verdict::Yes } else { Verdict::No };
            let rule = match decision.rule {
                Some(rule) => shown(&rights, rule.line, rule.text()),
                None => "no rule speaks of it".to_owned(),
            };
            looked.find("access", verdict, format!("{action} is {said}: {rule}"));
        }
    }

    fn look_at_group(&self, group: &str, filter: &str, looked: &mut Looked<'_>) {
        let Ok(group) = self.group(group, filter) else { return };
        let own = looked.client.summary.client_id.as_str();
        let others = group.members.iter().filter(|member| member.client_id != own).count();
        let (verdict, what) = match others {
            0 => (
                Verdict::Yes,
                "it is the only connected member of the group, if it is connected".to_owned(),
            ),
            others => (
                Verdict::Depends,
                format!("{others} other members are connected; each message goes to one of all"),
            ),
        };
        looked.find("group", verdict, what);
    }

    fn look_at_cursor(&self, filter: &str, looked: &mut Looked<'_>) {
        let client_id = ClientId::from(looked.client.summary.client_id.as_str());
        let Ok(parsed) = TopicFilter::parse(filter) else { return };
        let key = CursorKey::client(&client_id, looked.outbox.owner(), &parsed);
        let Some(listed) = self.cursors.find(&key) else { return };
        let cursor = self.cursor_view(&listed, CHEAP);
        let place = format!("its cursor {} stands at position {}", cursor.id, cursor.position);
        let (verdict, what) = match cursor.lag {
            None => (Verdict::Yes, place),
            Some(lag) if lag.events == 0 => (Verdict::Yes, format!("{place}, with nothing behind it")),
            Some(lag) => (
                Verdict::Later,
                format!(
                    "{place}; {} events come first, the oldest {:.0} s old",
                    lag.events, lag.seconds
                ),
            ),
        };
        looked.find("cursor", verdict, what);
    }
}

/// What is kept for a client that is away.
fn look_at_absence(subscription: &SubscriptionView, looked: &mut Looked<'_>) {
    if looked.client.summary.connected {
        return;
    }
    let (verdict, what) = match subscription.kind {
        "replay" | "replay-group" if looked.is_stored => (Verdict::Later, "what is stored waits for it"),
        "replay" | "replay-group" => (Verdict::Depends, "it is away: only what is stored waits for it"),
        _ if subscription.qos == 0 => (Verdict::No, "it is away, and QoS 0 does not wait"),
        _ => (Verdict::Later, "QoS 1 and 2 wait for it; QoS 0 does not"),
    };
    looked.find("connection", verdict, what.to_owned());
}

fn look_at_flow(subscription: &SubscriptionView, looked: &mut Looked<'_>) {
    let client = looked.client;
    if !client.summary.connected || subscription.qos == 0 {
        return;
    }
    let (in_flight, waiting) = (client.in_flight, client.summary.waiting);
    let (verdict, what) = if client.send_quota == 0 {
        let what = format!(
            "{in_flight} messages are not acknowledged, as many as it takes at a time (Receive Maximum): QoS 1 and 2 wait until it does"
        );
        (Verdict::Later, what)
    } else {
        let quota = client.send_quota;
        let what = format!("{waiting} messages wait or are in flight; it takes {quota} more now");
        (Verdict::Yes, what)
    };
    looked.find("flow", verdict, what);
}

fn shown(rights: &Rights, line: impl std::fmt::Display, text: &str) -> String {
    format!("{}:{line}: {text}", rights.acl().path().display())
}
