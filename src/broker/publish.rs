//! From a PUBLISH to its outcome: what is it, is it stored, who wants it. Nothing that is stored is acknowledged here.

use std::sync::Arc;

use super::client::Client;
use super::rules::Keep;
use super::turn::Turn;
use super::will::Will;
use super::{Broker, LogTag};
use crate::codec;
use crate::log::{Command, Publish, Stored};
use crate::metrics::DropReason;
use crate::router::RetainedChange;
use crate::session::{Fault, Incoming, PublishOutcome, PublishToken};
use crate::topic::check_topic_name;
use crate::types::{Message, MessageParts, ReasonCode, Timestamp};

/// A PUBLISH that is refused.
struct Refusal {
    reason: ReasonCode,
    drop: DropReason,
    why: &'static str,
}

impl Broker {
    /// Handles a PUBLISH: routes it at once, or sends it through the log.
    pub(super) fn publish(&self, client: &mut Client, incoming: Incoming<'_>, now: Timestamp) -> Result<(), Fault> {
        client
            .tally
            .received(incoming.publish.qos, incoming.publish.payload.len());
        match self.accept(client, &incoming, now) {
            Ok((message, keep)) => self.forward(client, message, keep, incoming.token),
            Err(refusal) => {
                self.metrics.dropped.of(refusal.drop).increment(1);
                self.settle(
                    client,
                    incoming.token,
                    PublishOutcome::refused(refusal.reason, refusal.why),
                )
            }
        }
    }

    /// Publishes the will of a client that is gone.
    pub(super) fn publish_will(&self, will: &Will, now: Timestamp, turn: &mut Turn) {
        let Ok((topic, asked_by_topic)) = published_topic(will.topic()) else {
            self.metrics.dropped.of(DropReason::InvalidTopic).increment(1);
            return;
        };
        self.metrics.wills_published.increment(1);
        let message = will.message(topic, now);
        let asked = codec::user_properties(message.properties()).any(|property| property == ("store", "true"));
        if self.rules.decide(topic, asked | asked_by_topic) == Keep::Yes {
            turn.submit(Command::Publish(Publish::event(message)), LogTag::None);
        } else {
            self.publish_now(&message, None, turn);
        }
    }

    /// Updates the retained messages; a full table is counted.
    fn retain(&self, message: &Arc<Message>) {
        if self.retained.publish(message) == RetainedChange::Full {
            self.metrics.dropped.of(DropReason::RetainedFull).increment(1);
        }
    }

    fn accept(
        &self,
        client: &Client,
        incoming: &Incoming<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Message>, Keep), Refusal> {
        let publish = &incoming.publish;
        let (topic, asked_by_topic) = published_topic(&incoming.topic)?;
        let asked = asked_by_topic | asked_by_property(publish)?;
        let keep = self.rules.decide(topic, asked);
        if keep == Keep::Forbidden {
            return Err(Refusal {
                reason: ReasonCode::ImplementationSpecificError,
                drop: DropReason::StoreForbidden,
                why: "no rule stores this topic, and storing on request is switched off (store.allow_publisher_store)",
            });
        }
        let mut without_hop = Vec::new();
        let properties = if publish.has_hop_properties {
            codec::without_hop_properties(publish.properties, &mut without_hop);
            &without_hop
        } else {
            publish.properties
        };
        let parts = MessageParts {
            topic,
            properties,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            expiry_secs: publish.expiry_secs,
            received: now,
        };
        Ok((
            Arc::new(Message::new(parts, Some(client.session.client_id().clone()))),
            keep,
        ))
    }

    fn forward(
        &self,
        client: &mut Client,
        message: Arc<Message>,
        keep: Keep,
        token: Option<PublishToken>,
    ) -> Result<(), Fault> {
        let keep = keep == Keep::Yes;
        if keep || client.commits_awaited > 0 {
            // What comes after a stored message takes the same way, so that the order holds [MQTT-4.6.0-6].
            let publish = if keep {
                Publish::event(message)
            } else {
                Publish::passing(message)
            };
            client.commits_awaited += 1;
            let tag = LogTag::Publish(client.outbox.clone(), token);
            client.turn.submit(Command::Publish(publish), tag);
            return Ok(());
        }
        let outcome = self.publish_now(&message, None, &mut client.turn);
        self.settle(client, token, outcome)
    }

    /// Retains and routes a message whose turn it is: one that is not stored, or one that is by now.
    pub(super) fn publish_now(
        &self,
        message: &Arc<Message>,
        stored: Option<Stored>,
        turn: &mut Turn,
    ) -> PublishOutcome {
        if message.retain() {
            self.retain(message);
        }
        let mut outcome = PublishOutcome::accepted();
        outcome.sequence = stored.map(|stored| stored.sequence);
        if !self.route(message, stored, turn) && stored.is_none() {
            outcome.reason = ReasonCode::NoMatchingSubscribers;
        }
        outcome
    }

    fn settle(&self, client: &mut Client, token: Option<PublishToken>, outcome: PublishOutcome) -> Result<(), Fault> {
        match token {
            Some(token) => client.session.handle_outcome(token, outcome),
            None => Ok(()),
        }
    }
}

/// The topic without `$store/`, and whether that was there; topics that nobody may publish to are refused.
fn published_topic(topic: &str) -> Result<(&str, bool), Refusal> {
    let refusal = |why| Refusal {
        reason: ReasonCode::TopicNameInvalid,
        drop: DropReason::InvalidTopic,
        why,
    };
    if let Some(stored) = topic.strip_prefix("$store/") {
        check_topic_name(stored).map_err(|_| refusal("$store/ must be followed by a topic"))?;
        return Ok((stored, true));
    }
    if !topic.starts_with('$') {
        return Ok((topic, false));
    }
    if topic.starts_with("$replay/") || topic.starts_with("$select/") {
        return Err(refusal(
            "$replay/ and $select/ are for subscriptions; publish to the topic itself",
        ));
    }
    if topic.starts_with("$SYS/") {
        return Err(refusal("$SYS/ topics are the broker's own"));
    }
    Ok((topic, false))
}

/// What the user property `store` asks for.
fn asked_by_property(publish: &codec::Publish<'_>) -> Result<bool, Refusal> {
    if !publish.has_user_properties {
        return Ok(false);
    }
    let mut asked = false;
    for (_, value) in codec::user_properties(publish.properties).filter(|(name, _)| *name == "store") {
        match value {
            "true" => asked = true,
            "false" => {}
            _ => {
                return Err(Refusal {
                    reason: ReasonCode::ImplementationSpecificError,
                    drop: DropReason::InvalidStoreProperty,
                    why: "the user property store must be true or false",
                });
            }
        }
    }
    Ok(asked)
}
