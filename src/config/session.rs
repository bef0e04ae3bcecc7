//! What one client may ask of the broker, and what is kept for it.

use std::time::Duration;

use serde::Serialize;

use super::reader::{Reader, Section};
use super::value::{self, Words};

/// Connections and sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The longest Session Expiry Interval that is granted, and that of an MQTT 3.1.1 session; `None`: no limit.
    pub max_expiry: Option<Duration>,
    /// What happens when a client connects with the identifier of one that is connected.
    pub duplicate_client_id: DuplicateClientId,
    /// Whether a client may leave its identifier to the broker.
    pub allow_zero_length_client_id: bool,
    /// How long a new connection may take to send CONNECT.
    pub connect_timeout: Duration,
    /// The longest keep-alive that is granted, in whole seconds; `None`: what the client asks for.
    pub max_keep_alive: Option<Duration>,
    /// How many unacknowledged QoS 1 and 2 messages a client may have on the way to the broker.
    pub receive_maximum: u16,
    /// How many unacknowledged QoS 1 and 2 messages the broker has on the way to one client.
    pub max_inflight: u16,
    /// The largest packet that is accepted, in bytes.
    pub max_packet_size: u32,
    /// The highest topic alias that a client may use; 0: none.
    pub topic_alias_maximum: u16,
    /// How many messages may wait in memory for one clean session; `None`: no limit.
    pub max_queued_messages: Option<u64>,
    /// How many bytes of messages may wait in memory for one clean session; `None`: no limit.
    pub max_queued_bytes: Option<u64>,
    /// How many messages may wait on disk for one durable session; `None`: no limit.
    pub max_pending_messages: Option<u64>,
    /// How many bytes of messages may wait on disk for one durable session; `None`: no limit.
    pub max_pending_bytes: Option<u64>,
    /// How long a message may wait on disk for one durable session; `None`: no limit.
    pub max_pending_age: Option<Duration>,
    /// What happens when more would wait for a durable session.
    pub pending_policy: PendingPolicy,
    /// How many bytes may wait to be written to one connection.
    pub outbox_bytes: u64,
    /// How many subscriptions one session may have; `None`: no limit.
    pub max_subscriptions: Option<u64>,
    /// How many clients may be connected; `None`: no limit.
    pub max_connections: Option<u64>,
}

/// What happens when a client connects with the identifier of one that is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateClientId {
    /// The newcomer takes over the session and the older connection is closed [MQTT-3.1.4-3].
    #[default]
    Takeover,
    /// The newcomer is refused.
    Reject,
}

/// What happens when more would wait on disk for a durable session than the limits allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingPolicy {
    /// The oldest of what waits is dropped for that session.
    #[default]
    DropOldest,
    /// Publishers of messages that match are refused until the session has caught up.
    Reject,
}

/// Retained messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// How many retained messages there may be; `None`: no limit.
    pub max_messages: Option<u64>,
    /// How many bytes their topics, properties and payloads may take; `None`: no limit.
    pub max_bytes: Option<u64>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            max_expiry: Some(Duration::from_secs(7 * 24 * 3_600)),
            duplicate_client_id: DuplicateClientId::default(),
            allow_zero_length_client_id: true,
            connect_timeout: Duration::from_secs(10),
            max_keep_alive: None,
            receive_maximum: 1_024,
            max_inflight: 1_024,
            max_packet_size: 1 << 20,
            topic_alias_maximum: 64,
            max_queued_messages: Some(10_000),
            max_queued_bytes: Some(16 << 20),
            max_pending_messages: Some(10_000_000),
            max_pending_bytes: Some(8 << 30),
            max_pending_age: None,
            pending_policy: PendingPolicy::default(),
            outbox_bytes: 1 << 20,
            max_subscriptions: Some(100_000),
            max_connections: None,
        }
    }
}

impl Default for Retained {
    fn default() -> Self {
        Self {
            max_messages: Some(1_000_000),
            max_bytes: Some(1 << 30),
        }
    }
}

impl Section for Session {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        let count = value::limit(value::integer(1..=u64::MAX));
        reader.option(
            "max_expiry",
            &mut self.max_expiry,
            value::limit(value::duration(SECOND..=LONGEST_EXPIRY)),
        );
        reader.option("duplicate_client_id", &mut self.duplicate_client_id, value::word);
        reader.option(
            "allow_zero_length_client_id",
            &mut self.allow_zero_length_client_id,
            value::boolean,
        );
        reader.option(
            "connect_timeout",
            &mut self.connect_timeout,
            value::duration(SECOND..=3_600 * SECOND),
        );
        reader.option(
            "max_keep_alive",
            &mut self.max_keep_alive,
            value::limit(value::whole_seconds(1..=65_535)),
        );
        reader.option(
            "receive_maximum",
            &mut self.receive_maximum,
            value::integer(1..=u16::MAX),
        );
        reader.option("max_inflight", &mut self.max_inflight, value::integer(1..=u16::MAX));
        reader.option(
            "max_packet_size",
            &mut self.max_packet_size,
            value::size(SMALLEST_PACKET..=LARGEST_PACKET),
        );
        reader.option(
            "topic_alias_maximum",
            &mut self.topic_alias_maximum,
            value::integer(0..=u16::MAX),
        );
        reader.option("max_queued_messages", &mut self.max_queued_messages, &count);
        reader.option(
            "max_queued_bytes",
            &mut self.max_queued_bytes,
            value::limit(value::size(1_024..=u64::MAX)),
        );
        reader.option("max_pending_messages", &mut self.max_pending_messages, &count);
        reader.option(
            "max_pending_bytes",
            &mut self.max_pending_bytes,
            value::limit(value::size(1_024..=u64::MAX)),
        );
        reader.option(
            "max_pending_age",
            &mut self.max_pending_age,
            value::limit(value::duration(SECOND..=FOREVER)),
        );
        reader.option("pending_policy", &mut self.pending_policy, value::word);
        reader.option("outbox_bytes", &mut self.outbox_bytes, value::size(4_096..=1 << 40));
        reader.option("max_subscriptions", &mut self.max_subscriptions, &count);
        reader.option("max_connections", &mut self.max_connections, &count);
    }
}

impl Section for Retained {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option(
            "max_messages",
            &mut self.max_messages,
            value::limit(value::integer(1..=u64::MAX)),
        );
        reader.option(
            "max_bytes",
            &mut self.max_bytes,
            value::limit(value::size(1..=u64::MAX)),
        );
    }
}

impl Words for DuplicateClientId {
    const WORDS: &'static [(&'static str, Self)] = &[("takeover", Self::Takeover), ("reject", Self::Reject)];
}

impl Words for PendingPolicy {
    const WORDS: &'static [(&'static str, Self)] = &[("drop_oldest", Self::DropOldest), ("reject", Self::Reject)];
}

const SECOND: Duration = Duration::from_secs(1);
/// A thousand years; what is meant to last longer is written 0.
const FOREVER: Duration = Duration::from_secs(365_250 * 24 * 3_600);
/// One less than 0xFFFFFFFF, which means that the session never expires (MQTT 5.0 section 3.1.2.11.2).
const LONGEST_EXPIRY: Duration = Duration::from_secs(u32::MAX as u64 - 1);
/// Room for a CONNECT with a client identifier, and for every acknowledgement.
const SMALLEST_PACKET: u32 = 128;
/// A fixed header of five bytes and the largest Remaining Length (MQTT 5.0 section 1.5.5).
const LARGEST_PACKET: u32 = 268_435_455 + 5;
