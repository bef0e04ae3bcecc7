//! The hot way out: a PUBLISH to a subscriber straight from a message's parts, its properties copied as they came.

use bytes::{BufMut, BytesMut};

use super::properties::{PropertyId, put_variable, spans, variable_len};
use super::{MAX_REMAINING_LENGTH, MAX_STRING_LENGTH};
use crate::types::{PacketId, QoS, Sequence, Timestamp, Version};

/// One message on its way to one subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The topic it was published to.
    pub topic: &'a [u8],
    /// The publisher's properties as they stood on the wire, in order, without Topic Alias and Message Expiry Interval.
    pub properties: &'a [u8],
    /// The application's bytes.
    pub payload: &'a [u8],
    /// DUP flag; not sent at QoS 0 [MQTT-3.3.1-2].
    pub dup: bool,
    /// QoS of this delivery.
    pub qos: QoS,
    /// RETAIN flag of this delivery.
    pub retain: bool,
    /// Packet identifier; `Some` exactly when QoS > 0.
    pub packet_id: Option<PacketId>,
    /// What is left of the Message Expiry Interval, seconds.
    pub expiry_secs: Option<u32>,
    /// Topic Alias, whether it is set here or used.
    pub topic_alias: Option<u16>,
    /// Whether the topic is sent; `false` if the alias is known to the client. Only an MQTT 5 client knows any.
    pub send_topic: bool,
    /// Identifiers of the subscriptions that match, each 1 to 268,435,455.
    pub subscription_ids: &'a [u32],
    /// What a replay subscription is told about the event.
    pub event: Option<EventProperties<'a>>,
}

/// What is told about a stored event, as user properties behind the publisher's own.
#[derive(Clone, Copy, Debug)]
pub struct EventProperties<'a> {
    /// `es-seq`: its number in its channel.
    pub sequence: Sequence,
    /// `es-time`: its commit time, Unix ns.
    pub time: Timestamp,
    /// `es-channel`: its channel; left out if longer than a string can be (65,535 bytes).
    pub channel: &'a [u8],
    /// `es-redelivered` = `true`: it comes again, under a new packet identifier.
    pub redelivered: bool,
}

pub(super) const SEQUENCE: &[u8] = b"es-seq";
const TIME: &[u8] = b"es-time";
const CHANNEL: &[u8] = b"es-channel";
const REDELIVERED: &[u8] = b"es-redelivered";

/// The exact length of the whole packet, bytes.
pub fn delivery_len(delivery: &Delivery<'_>, version: Version) -> usize {
    Plan::of(delivery, version).packet()
}

/// Appends the packet. What is longer than any packet can be (`delivery_len` above `MAX_PACKET_SIZE`, which no client
/// accepts) is not written.
///
/// # Panics
/// If the packet identifier does not go with the QoS.
pub fn encode_delivery(delivery: &Delivery<'_>, version: Version, out: &mut BytesMut) {
    assert_eq!(
        delivery.packet_id.is_some(),
        delivery.qos > QoS::AtMostOnce,
        "a packet identifier goes with QoS 1 and 2"
    );
    let plan = Plan::of(delivery, version);
    if plan.body > MAX_REMAINING_LENGTH {
        return;
    }
    out.reserve(plan.packet());
    let end = out.len() + plan.packet();
    let dup = delivery.dup && delivery.qos > QoS::AtMostOnce;
    out.put_u8(0x30 | u8::from(dup) << 3 | delivery.qos.bits() << 1 | u8::from(delivery.retain));
    put_variable(plan.body, out);
    put_string(plan.topic, out);
    if let Some(packet_id) = delivery.packet_id {
        out.put_u16(packet_id.get());
    }
    if let Some(properties_len) = plan.properties {
        put_variable(properties_len, out);
        put_properties(delivery, plan.hidden, out);
    }
    out.extend_from_slice(delivery.payload);
    debug_assert_eq!(out.len(), end, "the plan says how long the packet is");
}

/// The lengths of a packet, found out before anything is written.
struct Plan<'a> {
    topic: &'a [u8],
    /// Property length; `None` where the version has no properties.
    properties: Option<usize>,
    /// Bytes of the publisher's properties that are left out.
    hidden: usize,
    /// Remaining Length.
    body: usize,
}

impl<'a> Plan<'a> {
    #[inline]
    fn of(delivery: &Delivery<'a>, version: Version) -> Self {
        let topic = match version {
            Version::V5 if !delivery.send_topic => &[][..],
            _ => delivery.topic,
        };
        let mut hidden = 0;
        let properties = version.has_properties().then(|| {
            hidden = delivery.event.map_or(0, |_| hidden_len(delivery.properties));
            delivery.properties.len() - hidden + added_len(delivery)
        });
        let id_len = if delivery.packet_id.is_some() { 2 } else { 0 };
        let body = 2 + topic.len() + id_len + delivery.payload.len();
        Self {
            topic,
            properties,
            hidden,
            body: body + properties.map_or(0, |len| variable_len(len) + len),
        }
    }

    #[inline]
    fn packet(&self) -> usize {
        1 + variable_len(self.body) + self.body
    }
}

/// The bytes of publisher-sent properties that look like ours.
fn hidden_len(raw: &[u8]) -> usize {
    if raw.is_empty() {
        return 0;
    }
    spans(raw)
        .filter(|span| is_ours(span.user_property_name()))
        .map(|span| span.bytes.len())
        .sum()
}

#[inline]
fn is_ours(name: Option<&[u8]>) -> bool {
    name.is_some_and(|name| [SEQUENCE, TIME, CHANNEL, REDELIVERED].contains(&name))
}

#[inline]
fn added_len(delivery: &Delivery<'_>) -> usize {
    let subscription_ids: usize = delivery
        .subscription_ids
        .iter()
        .map(|id| 1 + variable_len(*id as usize))
        .sum();
    delivery.expiry_secs.map_or(0, |_| 5)
        + delivery.topic_alias.map_or(0, |_| 3)
        + subscription_ids
        + delivery.event.as_ref().map_or(0, event_len)
}

fn event_len(event: &EventProperties<'_>) -> usize {
    let pair = |name: &[u8], value_len: usize| 5 + name.len() + value_len;
    let mut len = pair(SEQUENCE, digits(event.sequence.0)) + pair(TIME, digits(event.time.0));
    if event.channel.len() <= MAX_STRING_LENGTH {
        len += pair(CHANNEL, event.channel.len());
    }
    if event.redelivered {
        len += pair(REDELIVERED, b"true".len());
    }
    len
}

fn put_properties(delivery: &Delivery<'_>, hidden: usize, out: &mut BytesMut) {
    if let Some(secs) = delivery.expiry_secs {
        out.put_u8(PropertyId::MessageExpiryInterval as u8);
        out.put_u32(secs);
    }
    if let Some(alias) = delivery.topic_alias {
        out.put_u8(PropertyId::TopicAlias as u8);
        out.put_u16(alias);
    }
    for id in delivery.subscription_ids {
        out.put_u8(PropertyId::SubscriptionIdentifier as u8);
        put_variable(*id as usize, out);
    }
    let raw = delivery.properties;
    if hidden == 0 {
        out.extend_from_slice(raw);
    } else {
        spans(raw)
            .filter(|span| !is_ours(span.user_property_name()))
            .for_each(|span| out.extend_from_slice(span.bytes));
    }
    if let Some(event) = &delivery.event {
        put_event(event, out);
    }
}

fn put_event(event: &EventProperties<'_>, out: &mut BytesMut) {
    let mut buffer = [0; MAX_DIGITS];
    put_pair(SEQUENCE, decimal(event.sequence.0, &mut buffer), out);
    put_pair(TIME, decimal(event.time.0, &mut buffer), out);
    if event.channel.len() <= MAX_STRING_LENGTH {
        put_pair(CHANNEL, event.channel, out);
    }
    if event.redelivered {
        put_pair(REDELIVERED, b"true", out);
    }
}

pub(super) fn put_pair(name: &[u8], value: &[u8], out: &mut BytesMut) {
    out.put_u8(PropertyId::UserProperty as u8);
    put_string(name, out);
    put_string(value, out);
}

/// The strings here are topics, channels that were measured, and words of our own.
#[inline]
fn put_string(bytes: &[u8], out: &mut BytesMut) {
    debug_assert!(bytes.len() <= MAX_STRING_LENGTH);
    out.put_u16(bytes.len() as u16);
    out.extend_from_slice(bytes);
}

/// Of the largest u64.
pub(super) const MAX_DIGITS: usize = 20;

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// The decimal digits of 0 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};

pub(super) fn decimal(number: u64, buffer: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let mut start = MAX_DIGITS;
    let mut rest = number;
    while rest >= 100 {
        start -= 2;
        buffer[start..start + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    let [tens, ones] = PAIRS[rest as usize];
    start -= 1;
    buffer[start] = ones;
    if rest >= 10 {
        start -= 1;
        buffer[start] = tens;
    }
    &buffer[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1, power / 9 * 7]);
        for number in (0..2_000).chain(around).chain([u64::MAX - 1, u64::MAX]) {
            let mut buffer = [0; MAX_DIGITS];
            assert_eq!(decimal(number, &mut buffer), number.to_string().as_bytes());
        }
    }
}
