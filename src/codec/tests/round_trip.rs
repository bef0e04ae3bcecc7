//! Whatever packet there is: written and read again it is the same, in both versions.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::samples::{bare_connect, bare_publish};
use super::{LIMITS, encoded, id};
use crate::codec::reasons;
use crate::codec::*;
use crate::types::{PacketId, QoS, ReasonCode, Version};

fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,12}"
}

fn topic() -> impl Strategy<Value = String> {
    "[^\\x00+#]{1,20}"
}

fn binary() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn pairs() -> impl Strategy<Value = UserProperties> {
    vec((text(), text()), 0..4)
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(id)
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn reason(allowed: &'static [ReasonCode]) -> impl Strategy<Value = ReasonCode> {
    select(allowed)
}

/// The properties that a PUBLISH and a will share, as wire bytes.
fn message_properties() -> impl Strategy<Value = Vec<u8>> {
    let parts = (of(any::<bool>()), of(text()), of(topic()), of(binary()), pairs());
    parts.prop_map(|(utf8, content_type, response_topic, correlation, pairs)| {
        let mut raw = Vec::new();
        let rows = [
            (
                PropertyId::PayloadFormatIndicator,
                utf8.map(|flag| PropertyValue::U8(flag.into())),
            ),
            (
                PropertyId::ContentType,
                content_type.as_deref().map(PropertyValue::Text),
            ),
            (
                PropertyId::ResponseTopic,
                response_topic.as_deref().map(PropertyValue::Text),
            ),
            (
                PropertyId::CorrelationData,
                correlation.as_deref().map(PropertyValue::Binary),
            ),
        ];
        for (id, value) in rows {
            if let Some(value) = value {
                encode_property(id, value, &mut raw).expect("its own type");
            }
        }
        pairs
            .iter()
            .for_each(|(name, value)| encode_user_property(name, value, &mut raw));
        raw
    })
}

fn will() -> impl Strategy<Value = Will> {
    let parts = (
        topic(),
        binary(),
        qos(),
        any::<bool>(),
        any::<u32>(),
        of(any::<u32>()),
        message_properties(),
    );
    parts.prop_map(
        |(topic, payload, qos, retain, delay_secs, expiry_secs, properties)| Will {
            topic,
            payload,
            qos,
            retain,
            delay_secs,
            expiry_secs,
            properties,
        },
    )
}

fn connect() -> impl Strategy<Value = Connect> {
    let who = (
        text(),
        any::<bool>(),
        any::<u16>(),
        of(will()),
        of(text()),
        of(binary()),
    );
    let numbers = (of(any::<u32>()), of(1..=u16::MAX), of(1..=u32::MAX), of(any::<u16>()));
    let rest = (
        of(any::<bool>()),
        of(any::<bool>()),
        of((text(), of(binary()))),
        pairs(),
    );
    (who, numbers, rest).prop_map(|(who, numbers, rest)| Connect {
        client_id: who.0,
        clean_start: who.1,
        keep_alive_secs: who.2,
        will: who.3,
        username: who.4,
        password: who.5,
        session_expiry_secs: numbers.0,
        receive_maximum: numbers.1,
        maximum_packet_size: numbers.2,
        topic_alias_maximum: numbers.3,
        request_response_information: rest.0,
        request_problem_information: rest.1,
        authentication_data: rest.2.as_ref().and_then(|(_, data)| data.clone()),
        authentication_method: rest.2.map(|(method, _)| method),
        user_properties: rest.3,
        ..bare_connect(Version::V5)
    })
}

fn connack() -> impl Strategy<Value = ConnAck> {
    let head = (reason(reasons::CONNACK), any::<bool>(), of(text()), pairs());
    let numbers = (
        of(any::<u32>()),
        of(1..=u16::MAX),
        of(0..=1u8),
        of(1..=u32::MAX),
        of(any::<u16>()),
        of(any::<u16>()),
    );
    let flags = (
        of(any::<bool>()),
        of(any::<bool>()),
        of(any::<bool>()),
        of(any::<bool>()),
    );
    let texts = (of(text()), of(text()), of(text()), of((text(), of(binary()))));
    (head, numbers, flags, texts).prop_map(|(head, numbers, flags, texts)| ConnAck {
        session_present: head.1 && head.0 == ReasonCode::Success,
        reason_string: head.2,
        user_properties: head.3,
        session_expiry_secs: numbers.0,
        receive_maximum: numbers.1,
        maximum_qos: numbers.2,
        maximum_packet_size: numbers.3,
        topic_alias_maximum: numbers.4,
        server_keep_alive_secs: numbers.5,
        retain_available: flags.0,
        wildcard_subscription_available: flags.1,
        subscription_identifiers_available: flags.2,
        shared_subscription_available: flags.3,
        assigned_client_id: texts.0,
        response_information: texts.1,
        server_reference: texts.2,
        authentication_data: texts.3.as_ref().and_then(|(_, data)| data.clone()),
        authentication_method: texts.3.map(|(method, _)| method),
        ..ConnAck::new(head.0)
    })
}

fn ack(allowed: &'static [ReasonCode]) -> impl Strategy<Value = Ack> {
    (packet_id(), reason(allowed), of(text()), pairs()).prop_map(
        |(packet_id, reason, reason_string, user_properties)| Ack {
            packet_id,
            reason,
            reason_string,
            user_properties,
        },
    )
}

fn suback(allowed: &'static [ReasonCode]) -> impl Strategy<Value = SubAck> {
    let parts = (packet_id(), vec(reason(allowed), 1..5), of(text()), pairs());
    parts.prop_map(|(packet_id, reasons, reason_string, user_properties)| SubAck {
        packet_id,
        reasons,
        reason_string,
        user_properties,
    })
}

fn subscribe() -> impl Strategy<Value = Subscribe> {
    let handling = select(vec![
        RetainHandling::Send,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
    ]);
    let filter = (text(), qos(), any::<bool>(), any::<bool>(), handling).prop_map(|parts| SubscribeFilter {
        no_local: parts.2 && !parts.0.starts_with("$share/"),
        filter: parts.0,
        qos: parts.1,
        retain_as_published: parts.3,
        retain_handling: parts.4,
    });
    let parts = (
        packet_id(),
        of(1..=MAX_REMAINING_LENGTH as u32),
        pairs(),
        vec(filter, 1..5),
    );
    parts.prop_map(|(packet_id, subscription_id, user_properties, filters)| Subscribe {
        packet_id,
        subscription_id,
        user_properties,
        filters,
    })
}

fn unsubscribe() -> impl Strategy<Value = Unsubscribe> {
    (packet_id(), pairs(), vec(text(), 1..5)).prop_map(|(packet_id, user_properties, filters)| Unsubscribe {
        packet_id,
        user_properties,
        filters,
    })
}

fn disconnect() -> impl Strategy<Value = Disconnect> {
    let parts = (
        reason(reasons::DISCONNECT),
        of(any::<u32>()),
        of(text()),
        of(text()),
        pairs(),
    );
    parts.prop_map(
        |(reason, session_expiry_secs, reason_string, server_reference, user_properties)| Disconnect {
            reason,
            session_expiry_secs,
            reason_string,
            server_reference,
            user_properties,
        },
    )
}

fn auth() -> impl Strategy<Value = Auth> {
    let parts = (reason(reasons::AUTH), text(), of(binary()), of(text()), pairs());
    parts.prop_map(|(reason, method, data, reason_string, user_properties)| Auth {
        reason,
        method: Some(method),
        data,
        reason_string,
        user_properties,
    })
}

/// Every packet but PUBLISH, with all that MQTT 5.0 lets it say.
fn packet() -> impl Strategy<Value = Packet<'static>> {
    prop_oneof![
        connect().prop_map(|packet| Packet::Connect(Box::new(packet))),
        connack().prop_map(|packet| Packet::ConnAck(Box::new(packet))),
        ack(reasons::PUBLISH_ACK).prop_map(Packet::PubAck),
        ack(reasons::PUBLISH_ACK).prop_map(Packet::PubRec),
        ack(reasons::RELEASE).prop_map(Packet::PubRel),
        ack(reasons::RELEASE).prop_map(Packet::PubComp),
        subscribe().prop_map(Packet::Subscribe),
        suback(reasons::SUBACK).prop_map(Packet::SubAck),
        unsubscribe().prop_map(Packet::Unsubscribe),
        suback(reasons::UNSUBACK).prop_map(Packet::UnsubAck),
        Just(Packet::PingReq),
        Just(Packet::PingResp),
        disconnect().prop_map(Packet::Disconnect),
        auth().prop_map(Packet::Auth),
    ]
}

/// What 3.1.1 can say of a packet; `None` where it has no such packet.
fn in_v3(packet: Packet<'static>) -> Option<Packet<'static>> {
    Some(match packet {
        Packet::Connect(connect) => Packet::Connect(Box::new(connect_in_v3(*connect))),
        Packet::ConnAck(connack) => {
            let code = reasons::return_code(connack.reason)?;
            let reason = reasons::from_return_code(code).expect("a return code");
            Packet::ConnAck(Box::new(ConnAck {
                session_present: connack.session_present,
                ..ConnAck::new(reason)
            }))
        }
        Packet::PubAck(ack) => Packet::PubAck(acked_in_v3(&ack)?),
        Packet::PubRec(ack) => Packet::PubRec(acked_in_v3(&ack)?),
        Packet::PubRel(ack) => Packet::PubRel(Ack::new(ack.packet_id, ReasonCode::Success)),
        Packet::PubComp(ack) => Packet::PubComp(Ack::new(ack.packet_id, ReasonCode::Success)),
        Packet::Subscribe(mut subscribe) => {
            subscribe.subscription_id = None;
            subscribe.user_properties.clear();
            for filter in &mut subscribe.filters {
                (filter.no_local, filter.retain_as_published) = (false, false);
                filter.retain_handling = RetainHandling::Send;
            }
            Packet::Subscribe(subscribe)
        }
        Packet::SubAck(suback) => Packet::SubAck(SubAck {
            reasons: suback.reasons.iter().map(|reason| granted_in_v3(*reason)).collect(),
            ..bare_suback(suback.packet_id)
        }),
        Packet::Unsubscribe(unsubscribe) => Packet::Unsubscribe(Unsubscribe {
            user_properties: Vec::new(),
            ..unsubscribe
        }),
        Packet::UnsubAck(unsuback) => Packet::UnsubAck(bare_suback(unsuback.packet_id)),
        Packet::Disconnect(disconnect) if disconnect.reason == ReasonCode::Success => {
            Packet::Disconnect(Disconnect::new(ReasonCode::Success))
        }
        Packet::Disconnect(_) | Packet::Auth(_) => return None,
        other => other,
    })
}

fn connect_in_v3(connect: Connect) -> Connect {
    Connect {
        clean_start: connect.clean_start || connect.client_id.is_empty(),
        keep_alive_secs: connect.keep_alive_secs,
        client_id: connect.client_id,
        will: connect.will.map(|will| Will {
            delay_secs: 0,
            expiry_secs: None,
            properties: Vec::new(),
            ..will
        }),
        password: connect.username.is_some().then_some(connect.password).flatten(),
        username: connect.username,
        ..bare_connect(Version::V3)
    }
}

fn acked_in_v3(ack: &Ack) -> Option<Ack> {
    (!ack.reason.is_error()).then(|| Ack::new(ack.packet_id, ReasonCode::Success))
}

fn granted_in_v3(reason: ReasonCode) -> ReasonCode {
    if reason.is_error() {
        ReasonCode::UnspecifiedError
    } else {
        reason
    }
}

fn bare_suback(packet_id: PacketId) -> SubAck {
    SubAck {
        packet_id,
        reasons: Vec::new(),
        reason_string: None,
        user_properties: Vec::new(),
    }
}

fn same_again(packet: &Packet<'_>, version: Version) {
    let bytes = encoded(packet, version);
    let expected = Ok(Some((packet.clone(), bytes.len())));
    assert_eq!(decode(&bytes, Some(version), &LIMITS), expected);
    assert_eq!(decode_from_server(&bytes, version, &LIMITS), expected);
}

proptest! {
    #[test]
    fn a_v5_packet_comes_back(packet in packet()) {
        same_again(&packet, Version::V5);
    }

    #[test]
    fn a_v3_packet_comes_back_with_what_3_1_1_can_say(packet in packet()) {
        let Some(expected) = in_v3(packet.clone()) else {
            prop_assert!(encode(&packet, Version::V3, &mut bytes::BytesMut::new()).is_err());
            return Ok(());
        };
        if !matches!(expected, Packet::Connect(_)) {
            prop_assert_eq!(encoded(&packet, Version::V3), encoded(&expected, Version::V3));
        }
        same_again(&expected, Version::V3);
    }

    #[test]
    fn a_publish_comes_back(
        topic in topic(),
        payload in vec(any::<u8>(), 0..300),
        (qos, number) in (qos(), packet_id()),
        (dup, retain) in (any::<bool>(), any::<bool>()),
        properties in message_properties(),
        (topic_alias, expiry_secs) in (of(1..=u16::MAX), of(any::<u32>())),
    ) {
        let sent = Publish {
            dup: dup && qos > QoS::AtMostOnce,
            qos,
            retain,
            topic: &topic,
            packet_id: (qos > QoS::AtMostOnce).then_some(number),
            payload: &payload,
            ..bare_publish()
        };
        same_again(&Packet::Publish(sent.clone()), Version::V3);

        let sent = Publish { topic_alias, expiry_secs, properties: &properties, ..sent };
        let bytes = encoded(&Packet::Publish(sent.clone()), Version::V5);
        let (packet, len) = decode(&bytes, Some(Version::V5), &LIMITS).expect("well formed").expect("whole");
        let Packet::Publish(found) = packet else { panic!("a PUBLISH: {packet:?}") };
        prop_assert_eq!(len, bytes.len());
        prop_assert_eq!(found.has_hop_properties, topic_alias.is_some() || expiry_secs.is_some());
        prop_assert_eq!(found.has_user_properties, user_properties(&properties).next().is_some());
        let mut kept = Vec::new();
        without_hop_properties(found.properties, &mut kept);
        prop_assert_eq!(&kept, &properties);
        prop_assert_eq!(
            (found.topic, found.qos, found.packet_id, found.topic_alias, found.expiry_secs, found.payload),
            (sent.topic, sent.qos, sent.packet_id, sent.topic_alias, sent.expiry_secs, sent.payload)
        );
        same_again(&Packet::Publish(found), Version::V5);
    }
}
