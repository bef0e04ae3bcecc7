//! CONNECT, as a client sends it.

use bytes::{BufMut, BytesMut};

use super::{put_packet, put_properties, put_string};
use crate::codec::error::EncodeError;
use crate::codec::packet::{Connect, Will};
use crate::codec::properties::{PropertyId, PropertyValue, encode_property};
use crate::types::Version;

pub(super) fn encode(connect: &Connect, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut body = Vec::with_capacity(64 + connect.client_id.len());
    put_string(b"MQTT", "the protocol name", &mut body)?;
    body.put_u8(match connect.version {
        Version::V3 => 4,
        Version::V5 => 5,
    });
    body.put_u8(flags(connect));
    body.put_u16(connect.keep_alive_secs);
    if connect.version.has_properties() {
        put_properties(&properties(connect)?, &mut body)?;
    }
    put_string(connect.client_id.as_bytes(), "the client identifier", &mut body)?;
    if let Some(will) = &connect.will {
        put_will(will, connect.version, &mut body)?;
    }
    if let Some(username) = &connect.username {
        put_string(username.as_bytes(), "the user name", &mut body)?;
    }
    if let Some(password) = &connect.password {
        put_string(password, "the password", &mut body)?;
    }
    put_packet(0x10, &body, out)
}

/// Connect Flags (section 3.1.2.3).
fn flags(connect: &Connect) -> u8 {
    let will = connect
        .will
        .as_ref()
        .map_or(0, |will| 0x04 | will.qos.bits() << 3 | u8::from(will.retain) << 5);
    u8::from(connect.clean_start) << 1
        | will
        | u8::from(connect.password.is_some()) << 6
        | u8::from(connect.username.is_some()) << 7
}

fn properties(connect: &Connect) -> Result<Vec<u8>, EncodeError> {
    let long = |number: Option<u32>| number.map(PropertyValue::U32);
    let short = |number: Option<u16>| number.map(PropertyValue::U16);
    let flag = |flag: Option<bool>| flag.map(|flag| PropertyValue::U8(flag.into()));
    let mut raw = Vec::new();
    let rows = [
        (PropertyId::SessionExpiryInterval, long(connect.session_expiry_secs)),
        (PropertyId::ReceiveMaximum, short(connect.receive_maximum)),
        (PropertyId::MaximumPacketSize, long(connect.maximum_packet_size)),
        (PropertyId::TopicAliasMaximum, short(connect.topic_alias_maximum)),
        (
            PropertyId::RequestResponseInformation,
            flag(connect.request_response_information),
        ),
        (
            PropertyId::RequestProblemInformation,
            flag(connect.request_problem_information),
        ),
    ];
    let present = rows.into_iter().filter_map(|(id, value)| Some((id, value?)));
    let pairs = connect
        .user_properties
        .iter()
        .map(|(name, value)| (PropertyId::UserProperty, PropertyValue::Pair(name, value)));
    for (id, value) in present.chain(pairs) {
        encode_property(id, value, &mut raw)?;
    }
    if let Some(method) = &connect.authentication_method {
        encode_property(PropertyId::AuthenticationMethod, PropertyValue::Text(method), &mut raw)?;
    }
    if let Some(data) = &connect.authentication_data {
        encode_property(PropertyId::AuthenticationData, PropertyValue::Binary(data), &mut raw)?;
    }
    Ok(raw)
}

fn put_will(will: &Will, version: Version, body: &mut Vec<u8>) -> Result<(), EncodeError> {
    if version.has_properties() {
        let mut raw = Vec::with_capacity(10 + will.properties.len());
        if will.delay_secs > 0 {
            encode_property(
                PropertyId::WillDelayInterval,
                PropertyValue::U32(will.delay_secs),
                &mut raw,
            )?;
        }
        if let Some(secs) = will.expiry_secs {
            encode_property(PropertyId::MessageExpiryInterval, PropertyValue::U32(secs), &mut raw)?;
        }
        raw.extend_from_slice(&will.properties);
        put_properties(&raw, body)?;
    }
    put_string(will.topic.as_bytes(), "the will topic", body)?;
    put_string(&will.payload, "the will payload", body)
}
