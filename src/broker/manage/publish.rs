//! PUBLISH by the administration: as a client's, without a client.

use std::sync::Arc;

use serde::Serialize;

use super::ManageError;
use crate::broker::promise::Promise;
use crate::broker::publish::published_topic;
use crate::broker::rules::Keep as Rule;
use crate::broker::turn::Turn;
use crate::broker::{Broker, LogTag};
use crate::log::{Command, Publish, Submission};
use crate::session::PublishOutcome;
use crate::topic::check_topic_name;
use crate::types::{Message, MessageParts, QoS, ReasonCode};

/// What is to be published.
#[derive(Clone, Debug)]
pub struct ToPublish {
    /// The topic; `$store/` before it stores the message.
    pub topic: String,
    /// The application's bytes.
    pub payload: Vec<u8>,
    /// The QoS.
    pub qos: QoS,
    /// RETAIN.
    pub retain: bool,
    /// Whether it is to be stored though no rule says so.
    pub store: bool,
    /// Message Expiry Interval, seconds.
    pub expiry_secs: Option<u32>,
    /// Other properties, as on the wire.
    pub properties: Vec<u8>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Whether it is in the event store.
    pub stored: bool,
    /// Its number in its channel, if it is.
    pub sequence: Option<u64>,
    /// Whether somebody was subscribed, or it was stored.
    pub matched: bool,
}

impl Broker {
    /// Publishes a message; done when it is durable, if it is kept.
    pub async fn publish_message(&self, what: ToPublish) -> Result<Published, ManageError> {
        let submitted = self.submit_message(&what)?;
        let outcome = match submitted {
            Submitted::Done(outcome) => outcome,
            Submitted::Awaited(kept) => match kept.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(why)) => return Err(ManageError::Unavailable(why)),
                Err(_) => return Err(ManageError::Unavailable("the broker is stopping".to_owned())),
            },
        };
        if outcome.reason.is_error() {
            let why = outcome
                .reason_string
                .unwrap_or_else(|| outcome.reason.text().to_owned());
            return Err(ManageError::Unavailable(why));
        }
        Ok(Published {
            stored: outcome.sequence.is_some(),
            sequence: outcome.sequence.map(|sequence| sequence.0),
            matched: outcome.reason != ReasonCode::NoMatchingSubscribers,
        })
    }

    /// Clears the retained message of a topic, in its turn among others; subscribers get the empty message. Nothing is stored.
    pub async fn clear_retained(&self, topic: &str) -> Result<(), ManageError> {
        let now = self.clock().now();
        let parts = MessageParts {
            topic,
            properties: &[],
            payload: &[],
            qos: QoS::AtLeastOnce,
            retain: true,
            expiry_secs: None,
            received: now,
        };
        let mut publish = Publish::passing(Arc::new(Message::new(parts, None)));
        publish.retain = true;
        let (promise, kept) = Promise::new();
        self.log().submit(vec![Submission {
            command: Command::Publish(publish),
            tag: LogTag::Published(promise),
        }]);
        match kept.await {
            Ok(Ok(outcome)) if outcome.reason.is_error() => {
                Err(ManageError::Unavailable(outcome.reason_string.unwrap_or_default()))
            }
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(ManageError::Unavailable(why)),
            Err(_) => Err(ManageError::Unavailable("the broker is stopping".to_owned())),
        }
    }

    fn submit_message(&self, what: &ToPublish) -> Result<Submitted, ManageError> {
        check_topic_name(&what.topic).map_err(|fault| ManageError::Invalid(format!("topic: {fault}")))?;
        let (topic, asked) =
            published_topic(&what.topic).map_err(|refusal| ManageError::Invalid(refusal.why.to_owned()))?;
        let rule = self.rules.load().decide(topic, asked | what.store);
        if rule == Rule::Forbidden {
            return Err(ManageError::Conflict(
                "no rule stores this topic, and storing on request is switched off (store.allow_publisher_store)"
                    .to_owned(),
            ));
        }
        let now = self.clock().now();
        let parts = MessageParts {
            topic,
            properties: &what.properties,
            payload: &what.payload,
            qos: what.qos,
            retain: what.retain,
            expiry_secs: what.expiry_secs,
            received: now,
        };
        let message = Arc::new(Message::new(parts, None));
        let routed = self.find_route(&message, rule == Rule::Yes);
        if self.refuses_full() && routed.route().is_full(message.qos(), routed.passes()) {
            return Err(ManageError::Unavailable(
                "too much waits for a durable session that subscribes to this topic (session.max_pending_messages, max_pending_bytes, max_pending_age)".to_owned(),
            ));
        }
        let holds = routed.route().holds(message.qos(), routed.passes());
        let publish = self.keeping(message, rule, holds);
        let mut turn = Turn::new(self.tracer.is_on());
        let submitted = if publish.writes() {
            let (promise, kept) = Promise::new();
            turn.submit(Command::Publish(publish), LogTag::Published(promise));
            Submitted::Awaited(kept)
        } else {
            Submitted::Done(self.publish_now(&publish, None, Some(routed), &mut turn))
        };
        self.flush(&mut turn);
        Ok(submitted)
    }
}

enum Submitted {
    Done(PublishOutcome),
    Awaited(tokio::sync::oneshot::Receiver<Result<PublishOutcome, String>>),
}
