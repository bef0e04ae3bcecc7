//! CONNECT (section 3.1): the version, the flags, the will and who it is. Judges no credentials.

use crate::codec::error::DecodeError;
use crate::codec::packet::{Connect, Packet, Will};
use crate::codec::properties::{Place, PropertyId, PropertyValue, spans, walk};
use crate::codec::reader::Reader;
use crate::types::{QoS, ReasonCode, Version};

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

/// Decodes the body of a CONNECT. An error carries the version to answer in, once that was readable.
#[cold]
pub(super) fn decode(body: Reader<'_>) -> Result<Packet<'static>, DecodeError> {
    let mut reader = body;
    let version = version(&mut reader)?;
    connect(reader, version)
        .map(|connect| Packet::Connect(Box::new(connect)))
        .map_err(|error| DecodeError {
            version: Some(version),
            ..error
        })
}

/// Protocol name and level (sections 3.1.2.1 and 3.1.2.2).
fn version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let whole = *reader;
    let name = reader.binary()?;
    let level = reader.u8()?;
    match (name, level) {
        (b"MQTT", 4) => Ok(Version::V3),
        (b"MQTT", 5) => Ok(Version::V5),
        // [MQTT-3.1.2-1] [MQTT-3.1.2-2]
        _ => Err(DecodeError {
            version: answer_version(whole.rest()),
            ..DecodeError::new(ReasonCode::UnsupportedProtocolVersion, "not MQTT 3.1.1 or 5.0")
        }),
    }
}

/// The version in which a client understands a refusal, from as much of the CONNECT's body as is there. Bridges set
/// the highest bit of the level.
pub(super) fn answer_version(body: &[u8]) -> Option<Version> {
    let mut reader = Reader::new(body);
    let name = reader.binary().ok()?;
    let level = reader.u8().ok()? & 0x7F;
    match name {
        b"MQTT" if level >= 5 => Some(Version::V5),
        b"MQTT" | b"MQIsdp" => Some(Version::V3),
        _ => None,
    }
}

fn connect(mut reader: Reader<'_>, version: Version) -> Result<Connect, DecodeError> {
    let flags = reader.u8()?;
    check_flags(flags, version)?;
    let mut connect = Connect {
        clean_start: flags & CLEAN_START != 0,
        keep_alive_secs: reader.u16()?,
        ..Connect::new(version, "")
    };
    if version.has_properties() {
        read_properties(&mut connect, &mut reader)?;
    }
    connect.client_id = reader.text()?.to_owned();
    if flags & WILL != 0 {
        connect.will = Some(will(&mut reader, flags, version)?);
    }
    if flags & USERNAME != 0 {
        connect.username = Some(reader.text()?.to_owned());
    }
    if flags & PASSWORD != 0 {
        connect.password = Some(reader.binary()?.to_vec());
    }
    reader.finish()?;
    if version == Version::V3 && connect.client_id.is_empty() && !connect.clean_start {
        // [MQTT-3.1.3-8 of 3.1.1]
        return Err(DecodeError::new(
            ReasonCode::ClientIdentifierNotValid,
            "an empty client identifier needs clean session 1",
        ));
    }
    Ok(connect)
}

fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    if flags & 1 != 0 {
        // [MQTT-3.1.2-3]
        return Err(DecodeError::malformed("the reserved connect flag is set"));
    }
    if flags & WILL == 0 && (flags & WILL_RETAIN != 0 || will_qos(flags) != Some(QoS::AtMostOnce)) {
        // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
        return Err(DecodeError::malformed("will QoS or will retain without a will"));
    }
    if will_qos(flags).is_none() {
        // [MQTT-3.1.2-12]
        return Err(DecodeError::malformed("will QoS 3"));
    }
    if version == Version::V3 && flags & PASSWORD != 0 && flags & USERNAME == 0 {
        // [MQTT-3.1.2-22 of 3.1.1]
        return Err(DecodeError::malformed("a password without a user name"));
    }
    Ok(())
}

fn will_qos(flags: u8) -> Option<QoS> {
    QoS::from_bits(flags >> 3 & 0b11)
}

fn read_properties(connect: &mut Connect, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    walk(reader, Place::Connect, |id, value| match (id, value) {
        (PropertyId::SessionExpiryInterval, PropertyValue::U32(secs)) => connect.session_expiry_secs = Some(secs),
        (PropertyId::ReceiveMaximum, PropertyValue::U16(number)) => connect.receive_maximum = Some(number),
        (PropertyId::MaximumPacketSize, PropertyValue::U32(size)) => connect.maximum_packet_size = Some(size),
        (PropertyId::TopicAliasMaximum, PropertyValue::U16(number)) => connect.topic_alias_maximum = Some(number),
        (PropertyId::RequestResponseInformation, PropertyValue::U8(byte)) => {
            connect.request_response_information = Some(byte == 1);
        }
        (PropertyId::RequestProblemInformation, PropertyValue::U8(byte)) => {
            connect.request_problem_information = Some(byte == 1);
        }
        (PropertyId::AuthenticationMethod, PropertyValue::Text(text)) => {
            connect.authentication_method = Some(text.to_owned());
        }
        (PropertyId::AuthenticationData, PropertyValue::Binary(data)) => {
            connect.authentication_data = Some(data.to_vec());
        }
        (_, PropertyValue::Pair(name, text)) => connect.user_properties.push((name.to_owned(), text.to_owned())),
        _ => {}
    })?;
    if connect.authentication_data.is_some() && connect.authentication_method.is_none() {
        // Section 3.1.2.11.10
        return Err(DecodeError::protocol(
            "Authentication Data without Authentication Method",
        ));
    }
    Ok(())
}

fn will(reader: &mut Reader<'_>, flags: u8, version: Version) -> Result<Will, DecodeError> {
    let mut will = Will {
        topic: String::new(),
        payload: Vec::new(),
        qos: will_qos(flags).ok_or_else(|| DecodeError::malformed("will QoS 3"))?,
        retain: flags & WILL_RETAIN != 0,
        delay_secs: 0,
        expiry_secs: None,
        properties: Vec::new(),
    };
    if version.has_properties() {
        let raw = walk(reader, Place::Will, |id, value| match (id, value) {
            (PropertyId::WillDelayInterval, PropertyValue::U32(secs)) => will.delay_secs = secs,
            (PropertyId::MessageExpiryInterval, PropertyValue::U32(secs)) => will.expiry_secs = Some(secs),
            _ => {}
        })?;
        for span in spans(raw) {
            if !matches!(
                span.id,
                PropertyId::WillDelayInterval | PropertyId::MessageExpiryInterval
            ) {
                will.properties.extend_from_slice(span.bytes);
            }
        }
    }
    will.topic = super::publish::topic_name(reader)?.to_owned();
    if will.topic.is_empty() {
        return Err(super::publish::not_a_topic_name());
    }
    will.payload = reader.binary()?.to_vec();
    Ok(will)
}
