//! Whether and why a message of a topic reaches a client, said step by step. Changes nothing.

mod subscription;

use serde::Serialize;

use super::{ClientDetails, ManageError};
use crate::broker::Broker;
use crate::broker::drops::LastDrop;
use crate::broker::outbox::Outbox;
use crate::broker::rules::Keep;
use crate::metrics::Label;
use crate::topic::{check_topic_name, plain_matches};
use crate::types::{ClientId, rfc3339};

/// Whether a message of a topic reaches a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The client identifier.
    pub client_id: String,
    /// The topic.
    pub topic: String,
    /// Whether it does.
    pub verdict: Verdict,
    /// What decides that.
    pub because: String,
    /// All that was looked at.
    pub findings: Vec<Finding>,
    /// What was dropped last on its way to the client or from it, if that is remembered.
    pub last_drop: Option<DropView>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: `connection`, `subscription`, `access`, `selector`, `group`, `cursor`, `store`, `flow`.
    pub about: &'static str,
    /// Whether the message comes past it.
    pub verdict: Verdict,
    /// In words.
    pub what: String,
}

/// Whether a message comes; the better one is the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// At once.
    Yes,
    /// When the client is back, or has taken what comes before.
    Later,
    /// That depends on the message, or on other clients.
    Depends,
    /// Never.
    No,
}

/// A message that was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DropView {
    /// Why, as the metrics name it.
    pub reason: &'static str,
    /// The topic, or the beginning of it; empty where several were dropped together.
    pub topic: String,
    /// When.
    pub at: String,
    /// How many were dropped since it was noted first.
    pub count: u64,
}

/// What is looked at.
struct Looked<'a> {
    topic: &'a str,
    client: &'a ClientDetails,
    outbox: &'a Outbox,
    is_stored: bool,
    findings: Vec<Finding>,
}

impl Broker {
    /// Whether a message of this topic reaches a client that is connected or has a session.
    pub async fn why(&self, client_id: &str, topic: &str) -> Result<Why, ManageError> {
        check_topic_name(topic).map_err(|fault| ManageError::Invalid(format!("topic: {fault}")))?;
        let client = self.client(client_id).await?;
        let id = ClientId::from(client_id);
        let outbox = self.outbox_of(&id)?;
        let mut looked = Looked {
            topic,
            client: &client,
            outbox: &outbox,
            is_stored: false,
            findings: Vec::new(),
        };
        looked.connection();
        self.say_stored(&mut looked);
        let (verdict, because) = self.verdict(&mut looked);
        Ok(Why {
            client_id: client_id.to_owned(),
            topic: topic.to_owned(),
            verdict,
            because,
            findings: looked.findings,
            last_drop: self.drops.of(&id).map(DropView::of),
        })
    }

    /// The best that one of its subscriptions brings.
    fn verdict(&self, looked: &mut Looked<'_>) -> (Verdict, String) {
        let subscriptions = &looked.client.subscriptions;
        let matching = subscriptions
            .iter()
            .filter(|subscription| plain_matches(&subscription.filter, looked.topic));
        let matching: Vec<_> = matching.collect();
        if matching.is_empty() {
            let what = none_matches(subscriptions.iter().map(|subscription| subscription.filter.as_str()));
            looked.find("subscription", Verdict::No, what.clone());
            return (Verdict::No, what);
        }
        let mut best: Option<(Verdict, String)> = None;
        for subscription in matching {
            let first = looked.findings.len();
            self.look_at(subscription, looked);
            let deciding = looked.findings[first..]
                .iter()
                .rev()
                .max_by_key(|finding| finding.verdict);
            let Some(deciding) = deciding else { continue };
            if best.as_ref().is_none_or(|(verdict, _)| deciding.verdict < *verdict) {
                best = Some((deciding.verdict, deciding.what.clone()));
            }
        }
        match best {
            Some((Verdict::Yes, _)) => (Verdict::Yes, "it is connected, subscribed and allowed to".to_owned()),
            Some(best) => best,
            None => (Verdict::No, "it has no subscription".to_owned()),
        }
    }

    fn say_stored(&self, looked: &mut Looked<'_>) {
        let rules = self.rules.load();
        looked.is_stored = rules.decide(looked.topic, false) == Keep::Yes;
        let what = match rules.filters_for(looked.topic) {
            Some(filters) if looked.is_stored => format!("it is stored, by the rule for {filters}"),
            _ if rules.decide(looked.topic, true) == Keep::Yes => {
                "no rule stores it; it is stored if its publisher asks for that (user property store)".to_owned()
            }
            _ => "it is not stored".to_owned(),
        };
        looked.find("store", Verdict::Yes, what);
    }
}

impl Looked<'_> {
    fn find(&mut self, about: &'static str, verdict: Verdict, what: String) {
        self.findings.push(Finding { about, verdict, what });
    }

    fn connection(&mut self) {
        let (verdict, what) = match &self.client.connection {
            Some(connection) => (
                Verdict::Yes,
                format!(
                    "connected since {} from {} ({})",
                    connection.since, connection.peer, connection.listener
                ),
            ),
            None if self.client.summary.durable => (
                Verdict::Later,
                "not connected; its session is kept, and QoS 1 and 2 with it".to_owned(),
            ),
            None => (Verdict::No, "not connected".to_owned()),
        };
        self.find("connection", verdict, what);
    }
}

fn none_matches<'a>(filters: impl Iterator<Item = &'a str>) -> String {
    let filters: Vec<&str> = filters.collect();
    match filters.len() {
        0 => "it has no subscription".to_owned(),
        many if many > MOST_SHOWN => format!(
            "none of its {many} subscriptions matches: {} ...",
            filters[..MOST_SHOWN].join(", ")
        ),
        many => format!("none of its {many} subscriptions matches: {}", filters.join(", ")),
    }
}

impl DropView {
    fn of(drop: LastDrop) -> Self {
        Self {
            reason: crate::metrics::DropReason::VALUES[drop.reason.index()].1,
            topic: drop.topic,
            at: rfc3339(drop.at),
            count: drop.count,
        }
    }
}

/// Filters that are named where none matches.
const MOST_SHOWN: usize = 5;
