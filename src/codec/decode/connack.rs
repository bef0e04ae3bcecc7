//! CONNACK (section 3.2), for clients and tests.

use crate::codec::error::DecodeError;
use crate::codec::packet::{ConnAck, Packet};
use crate::codec::properties::{Place, PropertyId, PropertyValue, walk};
use crate::codec::reader::Reader;
use crate::codec::reasons;
use crate::types::{ReasonCode, Version};

pub(super) fn decode(mut reader: Reader<'_>, version: Version) -> Result<Packet<'static>, DecodeError> {
    let flags = reader.u8()?;
    if flags & !1 != 0 {
        // [MQTT-3.2.2-1]
        return Err(DecodeError::malformed("reserved connect acknowledge flags"));
    }
    let code = reader.u8()?;
    let reason = match version {
        Version::V5 => reasons::read(code, reasons::CONNACK)?,
        Version::V3 => reasons::from_return_code(code)?,
    };
    let mut connack = ConnAck::new(reason);
    connack.session_present = flags & 1 != 0;
    if connack.session_present && reason != ReasonCode::Success {
        // [MQTT-3.2.2-6]
        return Err(DecodeError::protocol("a session present on a refused connection"));
    }
    if version.has_properties() {
        walk(&mut reader, Place::ConnAck, |id, value| set(&mut connack, id, value))?;
        if connack.authentication_data.is_some() && connack.authentication_method.is_none() {
            return Err(DecodeError::protocol(
                "Authentication Data without Authentication Method",
            ));
        }
    }
    reader.finish()?;
    Ok(Packet::ConnAck(Box::new(connack)))
}

fn set(connack: &mut ConnAck, id: PropertyId, value: PropertyValue<'_>) {
    match value {
        PropertyValue::U8(byte) => set_byte(connack, id, byte),
        PropertyValue::U16(number) => match id {
            PropertyId::ReceiveMaximum => connack.receive_maximum = Some(number),
            PropertyId::TopicAliasMaximum => connack.topic_alias_maximum = Some(number),
            _ => connack.server_keep_alive_secs = Some(number),
        },
        PropertyValue::U32(number) => match id {
            PropertyId::SessionExpiryInterval => connack.session_expiry_secs = Some(number),
            _ => connack.maximum_packet_size = Some(number),
        },
        PropertyValue::Text(text) => set_text(connack, id, text),
        PropertyValue::Binary(data) => connack.authentication_data = Some(data.to_vec()),
        PropertyValue::Pair(name, text) => connack.user_properties.push((name.to_owned(), text.to_owned())),
        PropertyValue::Variable(_) => {}
    }
}

fn set_byte(connack: &mut ConnAck, id: PropertyId, byte: u8) {
    let field = match id {
        PropertyId::MaximumQoS => {
            connack.maximum_qos = Some(byte);
            return;
        }
        PropertyId::RetainAvailable => &mut connack.retain_available,
        PropertyId::WildcardSubscriptionAvailable => &mut connack.wildcard_subscription_available,
        PropertyId::SubscriptionIdentifiersAvailable => &mut connack.subscription_identifiers_available,
        _ => &mut connack.shared_subscription_available,
    };
    *field = Some(byte == 1);
}

fn set_text(connack: &mut ConnAck, id: PropertyId, text: &str) {
    let field = match id {
        PropertyId::AssignedClientIdentifier => &mut connack.assigned_client_id,
        PropertyId::ReasonString => &mut connack.reason_string,
        PropertyId::ResponseInformation => &mut connack.response_information,
        PropertyId::ServerReference => &mut connack.server_reference,
        _ => &mut connack.authentication_method,
    };
    *field = Some(text.to_owned());
}
