//! PUBLISH (section 3.3), the hot packet: checked in one pass, nothing copied, nothing allocated.

use crate::codec::error::DecodeError;
use crate::codec::packet::{Packet, Publish};
use crate::codec::properties::{Place, PropertyId, PropertyValue, walk};
use crate::codec::reader::Reader;
use crate::types::{QoS, ReasonCode, Version};

const RETAIN: u8 = 0b0001;
const DUP: u8 = 0b1000;

/// DUP, QoS and RETAIN (section 3.3.1).
#[inline]
pub(super) fn check_flags(flags: u8) -> Result<(), DecodeError> {
    match QoS::from_bits(flags >> 1 & 0b11) {
        // [MQTT-3.3.1-4]
        None => Err(DecodeError::malformed("QoS 3")),
        // [MQTT-3.3.1-2]
        Some(QoS::AtMostOnce) if flags & DUP != 0 => Err(DecodeError::malformed("DUP at QoS 0")),
        Some(_) => Ok(()),
    }
}

#[inline]
pub(super) fn decode(
    flags: u8,
    mut reader: Reader<'_>,
    version: Version,
    place: Place,
) -> Result<Packet<'_>, DecodeError> {
    let qos = QoS::from_bits(flags >> 1 & 0b11).ok_or_else(|| DecodeError::malformed("QoS 3"))?;
    let topic = topic_name(&mut reader)?;
    let packet_id = match qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce | QoS::ExactlyOnce => Some(reader.packet_id()?),
    };
    let mut publish = Publish {
        dup: flags & DUP != 0,
        qos,
        retain: flags & RETAIN != 0,
        topic,
        packet_id,
        topic_alias: None,
        expiry_secs: None,
        properties: &[],
        has_hop_properties: false,
        has_user_properties: false,
        payload: &[],
    };
    if version.has_properties() {
        read_properties(&mut publish, &mut reader, place)?;
    }
    if topic.is_empty() && publish.topic_alias.is_none() {
        return Err(no_topic(version));
    }
    publish.payload = reader.take_rest();
    Ok(Packet::Publish(publish))
}

#[inline]
fn read_properties<'a>(publish: &mut Publish<'a>, reader: &mut Reader<'a>, place: Place) -> Result<(), DecodeError> {
    publish.properties = walk(reader, place, |id, value| match (id, value) {
        (PropertyId::UserProperty, _) => publish.has_user_properties = true,
        (PropertyId::TopicAlias, PropertyValue::U16(alias)) => publish.topic_alias = Some(alias),
        (PropertyId::MessageExpiryInterval, PropertyValue::U32(secs)) => publish.expiry_secs = Some(secs),
        _ => {}
    })?;
    publish.has_hop_properties = publish.topic_alias.is_some() || publish.expiry_secs.is_some();
    Ok(())
}

/// A topic name: no wildcard [MQTT-3.3.2-2]. It may be empty, which only an alias makes good.
#[inline]
pub(super) fn topic_name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    let topic = reader.text()?;
    let wildcard = topic
        .bytes()
        .fold(false, |found, byte| found | (byte == b'+') | (byte == b'#'));
    if wildcard {
        return Err(not_a_topic_name());
    }
    Ok(topic)
}

#[cold]
pub(super) fn not_a_topic_name() -> DecodeError {
    DecodeError::new(ReasonCode::TopicNameInvalid, "not a topic name")
}

#[cold]
fn no_topic(version: Version) -> DecodeError {
    match version {
        // Section 3.3.2.1
        Version::V5 => DecodeError::protocol("neither a topic nor a topic alias"),
        // [MQTT-4.7.3-1]
        Version::V3 => not_a_topic_name(),
    }
}
