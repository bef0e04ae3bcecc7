//! From a PUBLISH to its outcome: what is it, is it stored, who wants it. Nothing that is stored is acknowledged here.

use std::sync::Arc;

use super::client::Client;
use super::outbox::Outbox;
use super::route::{Kept, Route, Routed};
use super::rules::Keep as Rule;
use super::select::Passes;
use super::turn::Turn;
use super::will::Will;
use super::{Broker, LogTag};
use crate::acl::Action;
use crate::codec;
use crate::log::{ChannelKind, Command, Keep, Publish, Stored};
use crate::metrics::{DropReason, Unauthorized};
use crate::session::{Fault, Incoming, PublishOutcome, PublishToken};
use crate::topic::check_topic_name;
use crate::types::{Message, MessageParts, QoS, ReasonCode, SessionId, Timestamp, Version};

/// A PUBLISH that is refused.
pub(super) struct Refusal {
    pub reason: ReasonCode,
    pub drop: DropReason,
    pub why: &'static str,
}

impl Broker {
    /// Handles a PUBLISH: routes it at once, or sends it through the log.
    pub(super) fn publish(&self, client: &mut Client, incoming: Incoming<'_>, now: Timestamp) -> Result<(), Fault> {
        client
            .tally
            .received(incoming.publish.qos, incoming.publish.payload.len());
        match self.accept(client, &incoming, now) {
            Ok((message, rule)) => self.forward(client, message, rule, &incoming),
            Err(refusal) => self.refuse(client, &incoming, &refusal),
        }
    }

    fn refuse(&self, client: &mut Client, incoming: &Incoming<'_>, refusal: &Refusal) -> Result<(), Fault> {
        self.drops
            .count(client.session.client_id(), refusal.drop, &incoming.topic, 1);
        if client.is_traced() {
            self.tell_refused(client, &incoming.topic, refusal);
        }
        let outcome = match (refusal.reason, client.version()) {
            // It cannot be told, and would send it again and again if it got no answer.
            (ReasonCode::NotAuthorized, Version::V3) => PublishOutcome::accepted(),
            _ => PublishOutcome::refused(refusal.reason, refusal.why),
        };
        self.settle(client, incoming.token, outcome)
    }

    /// Publishes the will of a client that is gone; `saved` names the session that has it on disk.
    pub(super) fn publish_will(
        &self,
        will: &Will,
        owner: &Outbox,
        saved: Option<SessionId>,
        now: Timestamp,
        turn: &mut Turn,
    ) {
        // The rules may be others than when CONNECT came.
        let accepted = self
            .check_will(owner, will.topic(), will.properties())
            .and_then(|()| published_topic(will.topic()));
        let (topic, asked_by_topic) = match accepted {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.drops.count(&owner.client_id, refusal.drop, will.topic(), 1);
                if let Some(id) = saved {
                    turn.submit(Command::DeleteWill(id), LogTag::None);
                }
                return;
            }
        };
        self.metrics.wills_published.increment(1);
        tracing::debug!(client = owner.client_id.as_str(), topic, "will published");
        let message = will.message(topic, now);
        let asked = codec::user_properties(message.properties()).any(|property| property == ("store", "true"));
        let rule = self.rules.load().decide(topic, asked | asked_by_topic);
        let routed = self.find_route(&message, rule == Rule::Yes);
        let holds = routed.route().holds(message.qos(), routed.passes());
        let mut publish = self.keeping(message, rule, holds);
        publish.will_of = saved;
        if publish.writes() {
            turn.submit(Command::Publish(publish), LogTag::None);
        } else {
            self.publish_now(&publish, None, Some(routed), turn);
        }
    }

    /// What is to be kept of a message: as an event, or held for the durable sessions that want it; and as the retained
    /// message of its topic.
    pub(super) fn keeping(&self, message: Arc<Message>, rule: Rule, holds: bool) -> Publish {
        let retain = message.retain() && self.may_retain(&message);
        let mut publish = match rule {
            Rule::Yes => Publish::event(message),
            _ if holds => Publish::held(message),
            _ => Publish::passing(message),
        };
        publish.retain = retain;
        publish
    }

    /// Whether there is room for a retained message; a full table is counted.
    fn may_retain(&self, message: &Message) -> bool {
        let has_room = self.retained.has_room(message);
        if !has_room {
            match message.publisher() {
                Some(publisher) => self
                    .drops
                    .count(publisher, DropReason::RetainedFull, message.topic(), 1),
                None => self.metrics.dropped.of(DropReason::RetainedFull).increment(1),
            }
        }
        has_room
    }

    /// Whether a session may publish this will, which is asked when CONNECT comes and when it is sent.
    pub(super) fn check_will(&self, owner: &Outbox, topic: &str, properties: &[u8]) -> Result<(), Refusal> {
        if !self.access.is_on() {
            return Ok(());
        }
        let Ok((topic, asked)) = published_topic(topic) else {
            // It is dropped when it is sent.
            return Ok(());
        };
        let asked = asked | codec::user_properties(properties).any(|property| property == ("store", "true"));
        self.check_publish(owner, topic, asked).map_err(|action| {
            self.count_unauthorized(Unauthorized::Will);
            not_authorized(action)
        })
    }

    /// Whether a session may publish to a topic, and have it stored where no rule does that anyway.
    fn authorize(&self, publisher: &Outbox, topic: &str, asked: bool) -> Result<(), Refusal> {
        if !self.access.is_on() {
            return Ok(());
        }
        self.check_publish(publisher, topic, asked).map_err(|action| {
            self.count_unauthorized(match action {
                Action::Store => Unauthorized::Store,
                _ => Unauthorized::Publish,
            });
            not_authorized(action)
        })
    }

    fn accept(
        &self,
        client: &Client,
        incoming: &Incoming<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Message>, Rule), Refusal> {
        let publish = &incoming.publish;
        let (topic, asked_by_topic) = published_topic(&incoming.topic)?;
        self.check_topic(topic).map_err(|why| Refusal {
            reason: ReasonCode::TopicNameInvalid,
            drop: DropReason::InvalidTopic,
            why,
        })?;
        let asked = asked_by_topic | asked_by_property(publish)?;
        self.authorize(&client.outbox, topic, asked)?;
        let rule = self.rules.load().decide(topic, asked);
        if rule == Rule::Forbidden {
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
            rule,
        ))
    }

    fn forward(
        &self,
        client: &mut Client,
        message: Arc<Message>,
        rule: Rule,
        incoming: &Incoming<'_>,
    ) -> Result<(), Fault> {
        // A stored event is in the log whoever wants it: its topic, cold here, is not looked up.
        let asks_route = rule != Rule::Yes || self.refuses_full();
        let routed = asks_route.then(|| self.find_route(&message, rule == Rule::Yes));
        let asked = |ask: fn(&Route, QoS, Option<&Passes>) -> bool| {
            let routed = routed.as_ref();
            routed.is_some_and(|routed| ask(routed.route(), message.qos(), routed.passes()))
        };
        if asked(Route::is_full) {
            return self.refuse(client, incoming, &SESSION_FULL);
        }
        let holds = asked(Route::holds);
        let mut publish = self.keeping(message, rule, holds);
        if let (QoS::ExactlyOnce, Some(id)) = (incoming.publish.qos, client.durable_id()) {
            publish.received = incoming.publish.packet_id.map(|packet_id| (id, packet_id));
        }
        if client.commits_awaited == 0 && !publish.writes() {
            let outcome = self.publish_now(&publish, None, routed, &mut client.turn);
            return self.settle(client, incoming.token, outcome);
        }
        // What comes after a kept message takes the same way, so that the order holds [MQTT-4.6.0-6].
        client.commits_awaited += 1;
        // As an event it has an identifier that selectors may ask for: they are asked when it has got it.
        let passed = routed.filter(|routed| routed.passes().is_some() && rule != Rule::Yes);
        let routed = passed.map(Box::new);
        let tag = LogTag::Publish(client.outbox.clone(), incoming.token, routed);
        client.turn.submit(Command::Publish(publish), tag);
        Ok(())
    }

    /// Retains and routes a message whose turn it is: one that is not kept, or one that is by now. `routed` is who wants
    /// it, if that is known.
    pub(super) fn publish_now(
        &self,
        publish: &Publish,
        place: Option<Stored>,
        routed: Option<Routed>,
        turn: &mut Turn,
    ) -> PublishOutcome {
        let message = &publish.message;
        if publish.retain {
            self.retained.publish(message);
        }
        let kept = place.map(|place| Kept {
            place,
            kind: match publish.keep {
                Keep::Event => ChannelKind::Event,
                Keep::Held | Keep::Nothing => ChannelKind::Held,
            },
        });
        let routed = routed.unwrap_or_else(|| self.find_kept_route(message, kept));
        let route = routed.route();
        self.hand_out(route, message, kept, routed.passes(), turn);
        let mut outcome = PublishOutcome::accepted();
        outcome.sequence = place
            .filter(|_| publish.keep == Keep::Event)
            .map(|place| place.sequence);
        if route.is_empty() && publish.keep != Keep::Event {
            outcome.reason = ReasonCode::NoMatchingSubscribers;
        }
        if turn.traced {
            self.tell_published(message, place, outcome.sequence, route.targets());
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

fn not_authorized(action: Action) -> Refusal {
    Refusal {
        reason: ReasonCode::NotAuthorized,
        drop: DropReason::Unauthorized,
        why: match action {
            Action::Store => "storing what is published to this topic is not allowed",
            _ => "publishing to this topic is not allowed",
        },
    }
}

/// The topic without `$store/`, and whether that was there; topics that nobody may publish to are refused.
pub(super) fn published_topic(topic: &str) -> Result<(&str, bool), Refusal> {
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
pub(super) fn asked_by_property(publish: &codec::Publish<'_>) -> Result<bool, Refusal> {
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

const SESSION_FULL: Refusal = Refusal {
    reason: ReasonCode::QuotaExceeded,
    drop: DropReason::SessionLimit,
    why: "too much waits for a durable session that subscribes to this topic (session.max_pending_messages, max_pending_bytes, max_pending_age)",
};
