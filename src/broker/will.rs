//! The will of a client: what is published when it goes without a word.

use std::sync::Arc;
use std::time::Duration;

use crate::codec;
use crate::log::WillRecord;
use crate::types::{ClientId, Message, MessageParts, QoS, SessionId, Timestamp};

/// A will, ready to be published.
#[derive(Clone, Debug)]
pub struct Will {
    topic: String,
    properties: Vec<u8>,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    expiry_secs: Option<u32>,
    delay: Duration,
    client_id: ClientId,
}

impl Will {
    /// The will of a CONNECT.
    pub fn new(will: codec::Will, client_id: ClientId) -> Self {
        Self {
            topic: will.topic,
            properties: will.properties,
            payload: will.payload,
            qos: will.qos,
            retain: will.retain,
            expiry_secs: will.expiry_secs,
            delay: Duration::from_secs(u64::from(will.delay_secs)),
            client_id,
        }
    }

    /// A will that was saved.
    pub fn restore(record: WillRecord, client_id: ClientId) -> Self {
        let message = &record.message;
        Self {
            topic: message.topic().to_owned(),
            properties: message.properties().to_owned(),
            payload: message.payload().to_owned(),
            qos: message.qos(),
            retain: message.retain(),
            expiry_secs: message.expiry_secs(),
            delay: Duration::from_secs(u64::from(record.delay_secs)),
            client_id,
        }
    }

    /// The will as it is saved.
    pub fn record(&self, session: SessionId, now: Timestamp) -> WillRecord {
        WillRecord {
            session,
            delay_secs: u32::try_from(self.delay.as_secs()).unwrap_or(u32::MAX),
            message: Message::clone(&self.message(&self.topic, now)),
        }
    }

    /// How long after the connection's end it is published, unless the session ends earlier [MQTT-3.1.3-9].
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Its properties, encoded.
    pub fn properties(&self) -> &[u8] {
        &self.properties
    }

    /// Where it asked to be published.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The message, published now as `topic`.
    pub fn message(&self, topic: &str, now: Timestamp) -> Arc<Message> {
        let parts = MessageParts {
            topic,
            properties: &self.properties,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            expiry_secs: self.expiry_secs,
            received: now,
        };
        Arc::new(Message::new(parts, Some(self.client_id.clone())))
    }
}
