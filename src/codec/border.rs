//! The border to `mqttbytes`: its encoders write the cold packets of a server, after we made sure of what they take for
//! granted. The only file that names that crate besides the tests of this border.
//!
//! What it gets wrong, and what is done about it here:
//! - CONNACK without properties comes out without a property length: properties are always given.
//! - DISCONNECT whose properties are present but empty loses its reason: empty ones are never given.
//! - Strings above 65,535 bytes get a wrapped length: texts for people are cut, all else is refused.
//! - On an error it has already written a part: `encode` truncates.
//! - It has no AUTH, and its CONNECT, SUBSCRIBE and PUBLISH cannot say all that ours can (binary passwords, empty user
//!   names, properties as they stood on the wire): those have encoders of our own.

use bytes::{Bytes, BytesMut};
use mqttbytes::{QoS, v4, v5};

use super::MAX_STRING_LENGTH;
use super::error::EncodeError;
use super::packet::{Ack, ConnAck, Disconnect, SubAck, UserProperties};
use super::properties::fit;
use super::reasons;
use crate::types::{ReasonCode, Version};

pub(super) fn connack(connack: &ConnAck, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    match version {
        Version::V5 => connack_v5(connack, out),
        Version::V3 => connack_v3(connack, out),
    }
}

fn connack_v3(connack: &ConnAck, out: &mut BytesMut) -> Result<(), EncodeError> {
    use v4::ConnectReturnCode::*;
    let code = match reasons::return_code(connack.reason) {
        Some(0) => Success,
        Some(1) => RefusedProtocolVersion,
        Some(2) => BadClientId,
        Some(3) => ServiceUnavailable,
        Some(4) => BadUserNamePassword,
        Some(5) => NotAuthorized,
        _ => return Err(EncodeError::NotInVersion("a return code for this refusal")),
    };
    written(v4::ConnAck::new(code, connack.session_present).write(out))
}

fn connack_v5(connack: &ConnAck, out: &mut BytesMut) -> Result<(), EncodeError> {
    let properties = v5::ConnAckProperties {
        session_expiry_interval: connack.session_expiry_secs,
        receive_max: connack.receive_maximum,
        max_qos: connack.maximum_qos,
        retain_available: connack.retain_available.map(u8::from),
        max_packet_size: connack.maximum_packet_size,
        assigned_client_identifier: exact(&connack.assigned_client_id, "the assigned client identifier")?,
        topic_alias_max: connack.topic_alias_maximum,
        reason_string: reason_string(&connack.reason_string),
        user_properties: user_properties(&connack.user_properties),
        wildcard_subscription_available: connack.wildcard_subscription_available.map(u8::from),
        subscription_identifiers_available: connack.subscription_identifiers_available.map(u8::from),
        shared_subscription_available: connack.shared_subscription_available.map(u8::from),
        server_keep_alive: connack.server_keep_alive_secs,
        response_information: exact(&connack.response_information, "the response information")?,
        server_reference: exact(&connack.server_reference, "the server reference")?,
        authentication_method: exact(&connack.authentication_method, "the authentication method")?,
        authentication_data: exact(&connack.authentication_data, "the authentication data")?.map(Bytes::from),
    };
    let packet = v5::ConnAck {
        session_present: connack.session_present,
        code: connect_code(connack.reason)?,
        properties: Some(properties),
    };
    written(packet.write(out))
}

pub(super) fn suback(suback: &SubAck, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let packet_id = suback.packet_id.get();
    match version {
        Version::V5 => {
            let codes: Result<Vec<_>, _> = suback.reasons.iter().copied().map(suback_code).collect();
            let mut packet = v5::SubAck::new(packet_id, codes?);
            packet.properties =
                problem(&suback.reason_string, &suback.user_properties).map(|(reason_string, user_properties)| {
                    v5::SubAckProperties {
                        reason_string,
                        user_properties,
                    }
                });
            written(packet.write(out))
        }
        Version::V3 => {
            let codes = suback.reasons.iter().copied().map(suback_code_v3).collect();
            written(v4::SubAck::new(packet_id, codes).write(out))
        }
    }
}

pub(super) fn unsuback(unsuback: &SubAck, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let packet_id = unsuback.packet_id.get();
    if version == Version::V3 {
        return written(v4::UnsubAck::new(packet_id).write(out));
    }
    let codes: Result<Vec<_>, _> = unsuback.reasons.iter().copied().map(unsuback_code).collect();
    let packet = v5::UnsubAck {
        pkid: packet_id,
        reasons: codes?,
        properties: problem(&unsuback.reason_string, &unsuback.user_properties).map(
            |(reason_string, user_properties)| v5::UnsubAckProperties {
                reason_string,
                user_properties,
            },
        ),
    };
    written(packet.write(out))
}

macro_rules! acknowledgement {
    ($name:ident, $packet:ident, $properties:ident, $code:ident) => {
        pub(super) fn $name(ack: &Ack, out: &mut BytesMut) -> Result<(), EncodeError> {
            let packet = v5::$packet {
                pkid: ack.packet_id.get(),
                reason: $code(ack.reason)?,
                properties: problem(&ack.reason_string, &ack.user_properties).map(
                    |(reason_string, user_properties)| v5::$properties {
                        reason_string,
                        user_properties,
                    },
                ),
            };
            written(packet.write(out))
        }
    };
}

acknowledgement!(puback, PubAck, PubAckProperties, puback_code);
acknowledgement!(pubrec, PubRec, PubRecProperties, pubrec_code);
acknowledgement!(pubrel, PubRel, PubRelProperties, pubrel_code);
acknowledgement!(pubcomp, PubComp, PubCompProperties, pubcomp_code);

pub(super) fn disconnect(disconnect: &Disconnect, out: &mut BytesMut) -> Result<(), EncodeError> {
    let properties = v5::DisconnectProperties {
        session_expiry_interval: disconnect.session_expiry_secs,
        reason_string: reason_string(&disconnect.reason_string),
        user_properties: user_properties(&disconnect.user_properties),
        server_reference: exact(&disconnect.server_reference, "the server reference")?,
    };
    let has_properties = properties != v5::DisconnectProperties::new();
    let packet = v5::Disconnect {
        reason_code: v5::DisconnectReasonCode::try_from(disconnect.reason.byte()).map_err(|_| EncodeError::Reason {
            packet: "DISCONNECT",
            reason: disconnect.reason,
        })?,
        properties: has_properties.then_some(properties),
    };
    written(packet.write(out))
}

/// Its only reachable error is a packet above the longest Remaining Length.
fn written(result: Result<usize, mqttbytes::Error>) -> Result<(), EncodeError> {
    result.map(|_| ()).map_err(|_| EncodeError::TooLong("the packet"))
}

/// What must reach the peer whole or not at all.
fn exact<T: AsRef<[u8]> + Clone>(value: &Option<T>, what: &'static str) -> Result<Option<T>, EncodeError> {
    match value {
        Some(value) if value.as_ref().len() > MAX_STRING_LENGTH => Err(EncodeError::TooLong(what)),
        value => Ok(value.clone()),
    }
}

fn reason_string(text: &Option<String>) -> Option<String> {
    text.as_deref().map(|text| fit(text).into_owned())
}

fn user_properties(list: &UserProperties) -> UserProperties {
    list.iter()
        .map(|(name, value)| (fit(name).into_owned(), fit(value).into_owned()))
        .collect()
}

/// Reason String and user properties, where there is any of them.
fn problem(reason: &Option<String>, list: &UserProperties) -> Option<(Option<String>, UserProperties)> {
    (reason.is_some() || !list.is_empty()).then(|| (reason_string(reason), user_properties(list)))
}

fn suback_code_v3(reason: ReasonCode) -> v4::SubscribeReasonCode {
    match reason {
        ReasonCode::Success => v4::SubscribeReasonCode::Success(QoS::AtMostOnce),
        ReasonCode::GrantedQoS1 => v4::SubscribeReasonCode::Success(QoS::AtLeastOnce),
        ReasonCode::GrantedQoS2 => v4::SubscribeReasonCode::Success(QoS::ExactlyOnce),
        _ => v4::SubscribeReasonCode::Failure,
    }
}

macro_rules! codes {
    ($function:ident, $packet:literal, $type:ident { $($ours:ident => $theirs:ident,)* }) => {
        fn $function(reason: ReasonCode) -> Result<v5::$type, EncodeError> {
            match reason {
                $(ReasonCode::$ours => Ok(v5::$type::$theirs),)*
                _ => Err(EncodeError::Reason { packet: $packet, reason }),
            }
        }
    };
}

codes!(connect_code, "CONNACK", ConnectReturnCode {
    Success => Success,
    UnspecifiedError => UnspecifiedError,
    MalformedPacket => MalformedPacket,
    ProtocolError => ProtocolError,
    ImplementationSpecificError => ImplementationSpecificError,
    UnsupportedProtocolVersion => UnsupportedProtocolVersion,
    ClientIdentifierNotValid => ClientIdentifierNotValid,
    BadUserNameOrPassword => BadUserNamePassword,
    NotAuthorized => NotAuthorized,
    ServerUnavailable => ServerUnavailable,
    ServerBusy => ServerBusy,
    Banned => Banned,
    BadAuthenticationMethod => BadAuthenticationMethod,
    TopicNameInvalid => TopicNameInvalid,
    PacketTooLarge => PacketTooLarge,
    QuotaExceeded => QuotaExceeded,
    PayloadFormatInvalid => PayloadFormatInvalid,
    RetainNotSupported => RetainNotSupported,
    QoSNotSupported => QoSNotSupported,
    UseAnotherServer => UseAnotherServer,
    ServerMoved => ServerMoved,
    ConnectionRateExceeded => ConnectionRateExceeded,
});

codes!(suback_code, "SUBACK", SubscribeReasonCode {
    Success => QoS0,
    GrantedQoS1 => QoS1,
    GrantedQoS2 => QoS2,
    UnspecifiedError => Unspecified,
    ImplementationSpecificError => ImplementationSpecific,
    NotAuthorized => NotAuthorized,
    TopicFilterInvalid => TopicFilterInvalid,
    PacketIdentifierInUse => PkidInUse,
    QuotaExceeded => QuotaExceeded,
    SharedSubscriptionsNotSupported => SharedSubscriptionsNotSupported,
    SubscriptionIdentifiersNotSupported => SubscriptionIdNotSupported,
    WildcardSubscriptionsNotSupported => WildcardSubscriptionsNotSupported,
});

codes!(unsuback_code, "UNSUBACK", UnsubAckReason {
    Success => Success,
    NoSubscriptionExisted => NoSubscriptionExisted,
    UnspecifiedError => UnspecifiedError,
    ImplementationSpecificError => ImplementationSpecificError,
    NotAuthorized => NotAuthorized,
    TopicFilterInvalid => TopicFilterInvalid,
    PacketIdentifierInUse => PacketIdentifierInUse,
});

macro_rules! publish_ack_codes {
    ($function:ident, $packet:literal, $type:ident) => {
        codes!($function, $packet, $type {
            Success => Success,
            NoMatchingSubscribers => NoMatchingSubscribers,
            UnspecifiedError => UnspecifiedError,
            ImplementationSpecificError => ImplementationSpecificError,
            NotAuthorized => NotAuthorized,
            TopicNameInvalid => TopicNameInvalid,
            PacketIdentifierInUse => PacketIdentifierInUse,
            QuotaExceeded => QuotaExceeded,
            PayloadFormatInvalid => PayloadFormatInvalid,
        });
    };
}

publish_ack_codes!(puback_code, "PUBACK", PubAckReason);
publish_ack_codes!(pubrec_code, "PUBREC", PubRecReason);
codes!(pubrel_code, "PUBREL", PubRelReason {
    Success => Success,
    PacketIdentifierNotFound => PacketIdentifierNotFound,
});
codes!(pubcomp_code, "PUBCOMP", PubCompReason {
    Success => Success,
    PacketIdentifierNotFound => PacketIdentifierNotFound,
});
