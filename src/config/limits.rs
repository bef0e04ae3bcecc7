//! What one client, and one address, may cost the others. Counts nothing itself.

use serde::Serialize;

use super::reader::{Reader, Section};
use super::value;

/// Bounds on what clients may ask for; `[session]` has those that CONNACK tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// How many sessions there may be, of connected and of absent clients; `None`: no limit.
    pub max_sessions: Option<u64>,
    /// How many connections one address may have; `None`: no limit.
    pub max_connections_per_address: Option<u64>,
    /// How many connections per second one address may open; `None`: no limit.
    pub connection_rate: Option<u64>,
    /// How many connections an address may open at once before `connection_rate` counts.
    pub connection_burst: u64,
    /// Whether the limits per address count for this machine's own programs.
    pub limit_loopback: bool,
    /// How many levels a topic may have.
    pub max_topic_levels: u16,
    /// How long a topic may be, bytes.
    pub max_topic_bytes: u16,
    /// How many levels a topic filter may have.
    pub max_filter_levels: u16,
    /// How long a topic filter may be, with its prefixes, bytes.
    pub max_filter_bytes: u16,
    /// How many user properties a packet may have; `None`: no limit.
    pub max_user_properties: Option<u64>,
    /// How many bytes the names and values of a packet's user properties may have; `None`: no limit.
    pub max_user_property_bytes: Option<u64>,
    /// How long the payload of a will may be, bytes.
    pub max_will_bytes: u16,
    /// How many PUBLISH packets per second are read from one client; `None`: no limit.
    pub publish_rate: Option<u64>,
    /// How many bytes of PUBLISH packets per second are read from one client; `None`: no limit.
    pub publish_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: Some(1_000_000),
            max_connections_per_address: Some(10_000),
            connection_rate: Some(100),
            connection_burst: 1_000,
            limit_loopback: false,
            max_topic_levels: 200,
            max_topic_bytes: u16::MAX,
            max_filter_levels: 200,
            max_filter_bytes: u16::MAX,
            max_user_properties: Some(1_000),
            max_user_property_bytes: Some(256 << 10),
            max_will_bytes: u16::MAX,
            publish_rate: None,
            publish_bytes: None,
        }
    }
}

impl Section for Limits {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        let count = value::limit(value::integer(1..=u64::MAX));
        let rate = value::limit(value::integer(1..=HIGHEST_RATE));
        let at_least_one = || value::integer(1..=u16::MAX);
        reader.option("max_sessions", &mut self.max_sessions, &count);
        reader.option(
            "max_connections_per_address",
            &mut self.max_connections_per_address,
            &count,
        );
        reader.option("connection_rate", &mut self.connection_rate, &rate);
        reader.option(
            "connection_burst",
            &mut self.connection_burst,
            value::integer(1..=HIGHEST_RATE),
        );
        reader.option("limit_loopback", &mut self.limit_loopback, value::boolean);
        reader.option("max_topic_levels", &mut self.max_topic_levels, at_least_one());
        reader.option("max_topic_bytes", &mut self.max_topic_bytes, at_least_one());
        reader.option("max_filter_levels", &mut self.max_filter_levels, at_least_one());
        reader.option("max_filter_bytes", &mut self.max_filter_bytes, at_least_one());
        reader.option("max_user_properties", &mut self.max_user_properties, &count);
        reader.option(
            "max_user_property_bytes",
            &mut self.max_user_property_bytes,
            value::limit(value::size(1..=u64::MAX)),
        );
        reader.option("max_will_bytes", &mut self.max_will_bytes, value::integer(0..=u16::MAX));
        reader.option("publish_rate", &mut self.publish_rate, &rate);
        reader.option(
            "publish_bytes",
            &mut self.publish_bytes,
            value::limit(value::size(1..=HIGHEST_RATE)),
        );
    }
}

/// Per second; more than any machine does, and small enough to reckon with.
const HIGHEST_RATE: u64 = 1 << 40;
