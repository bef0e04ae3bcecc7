//! A message as the broker carries it: one allocation, kept near its wire form. Knows no packet.

use bytes::{Bytes, BytesMut};

use super::{ClientId, QoS, Timestamp};

/// What a message is made of; borrowed, so that building one copies once.
#[derive(Clone, Copy, Debug)]
pub struct MessageParts<'a> {
    /// The topic it was published to.
    pub topic: &'a str,
    /// Its PUBLISH properties as they stood on the wire, in order, without Topic Alias and Message Expiry Interval.
    pub properties: &'a [u8],
    /// The application's bytes.
    pub payload: &'a [u8],
    /// The QoS it was published with.
    pub qos: QoS,
    /// Whether it was published with RETAIN.
    pub retain: bool,
    /// Message Expiry Interval, seconds.
    pub expiry_secs: Option<u32>,
    /// When the broker received it.
    pub received: Timestamp,
}

/// A message. Immutable; share it in an `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    body: Bytes,
    topic_len: u16,
    properties_len: u32,
    qos: QoS,
    retain: bool,
    expiry_secs: Option<u32>,
    received: Timestamp,
    publisher: Option<ClientId>,
}

impl Message {
    /// Copies the parts into one allocation. `publisher` is the client that sent it, for No Local.
    ///
    /// # Panics
    /// If the topic is longer than 65,535 bytes: topics are checked where they enter.
    pub fn new(parts: MessageParts<'_>, publisher: Option<ClientId>) -> Self {
        let mut body = BytesMut::with_capacity(parts.topic.len() + parts.properties.len() + parts.payload.len());
        body.extend_from_slice(parts.topic.as_bytes());
        body.extend_from_slice(parts.properties);
        body.extend_from_slice(parts.payload);
        Self {
            body: body.freeze(),
            topic_len: u16::try_from(parts.topic.len()).expect("a topic fits in 65,535 bytes"),
            properties_len: u32::try_from(parts.properties.len()).expect("properties fit in a packet"),
            qos: parts.qos,
            retain: parts.retain,
            expiry_secs: parts.expiry_secs,
            received: parts.received,
            publisher,
        }
    }

    /// The topic it was published to.
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.body[..usize::from(self.topic_len)]).expect("built from a str")
    }

    /// The topic's bytes, without the check for UTF-8.
    pub fn topic_bytes(&self) -> &[u8] {
        &self.body[..usize::from(self.topic_len)]
    }

    /// The PUBLISH properties as on the wire, without length, Topic Alias and Message Expiry Interval.
    pub fn properties(&self) -> &[u8] {
        &self.body[usize::from(self.topic_len)..self.payload_start()]
    }

    /// The application's bytes.
    pub fn payload(&self) -> &[u8] {
        &self.body[self.payload_start()..]
    }

    /// The QoS it was published with.
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether it was published with RETAIN.
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// Message Expiry Interval as published, seconds.
    pub fn expiry_secs(&self) -> Option<u32> {
        self.expiry_secs
    }

    /// When the broker received it.
    pub fn received(&self) -> Timestamp {
        self.received
    }

    /// The client that published it, for No Local; `None` for the broker's own.
    pub fn publisher(&self) -> Option<&ClientId> {
        self.publisher.as_ref()
    }

    /// Topic, properties and payload together, bytes.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The seconds left before it expires: `Some(None)` never, `None` already expired, else at least 1 [MQTT-3.3.2-6].
    pub fn remaining_expiry(&self, now: Timestamp) -> Option<Option<u32>> {
        remaining_expiry(self.expiry_secs, self.received, now)
    }

    /// Whether it is past its Message Expiry Interval.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.remaining_expiry(now).is_none()
    }

    fn payload_start(&self) -> usize {
        usize::from(self.topic_len) + self.properties_len as usize
    }
}

/// As [`Message::remaining_expiry`], for a Message Expiry Interval in seconds and the time when the message came.
#[inline]
pub fn remaining_expiry(expiry_secs: Option<u32>, received: Timestamp, now: Timestamp) -> Option<Option<u32>> {
    let Some(expiry) = expiry_secs else {
        return Some(None);
    };
    let age = now.since(received).as_secs();
    match u32::try_from(age) {
        Ok(age) if age < expiry => Some(Some(expiry - age)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(expiry_secs: Option<u32>) -> Message {
        Message::new(
            MessageParts {
                topic: "a/b",
                properties: &[1, 1],
                payload: b"hello",
                qos: QoS::AtLeastOnce,
                retain: false,
                expiry_secs,
                received: Timestamp(1_000_000_000),
            },
            None,
        )
    }

    #[test]
    fn parts_come_back_unchanged() {
        let message = message(None);
        assert_eq!(
            (message.topic(), message.properties(), message.payload()),
            ("a/b", &[1u8, 1][..], &b"hello"[..])
        );
    }

    #[test]
    fn expiry_counts_down_and_ends() {
        let start = Timestamp(1_000_000_000);
        let message = message(Some(2));
        assert_eq!(message.remaining_expiry(start), Some(Some(2)));
        assert_eq!(
            message.remaining_expiry(start.saturating_add(Duration::from_millis(1900))),
            Some(Some(1))
        );
        assert_eq!(
            message.remaining_expiry(start.saturating_add(Duration::from_secs(2))),
            None
        );
    }
}
