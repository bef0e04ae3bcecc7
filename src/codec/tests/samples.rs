//! One table of well-formed packets, used by the byte-exact tests, the border tests and the fuzz.

use super::id;
use crate::codec::*;
use crate::types::Version::{V3, V5};
use crate::types::{QoS, ReasonCode, Version};

/// A packet with its bytes.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) version: Version,
    /// In the shorthand of [`super::wire`].
    pub(super) wire: &'static str,
    pub(super) packet: Packet<'static>,
    /// Whether the packet encodes to just these bytes: there are longer ways to say some things.
    pub(super) canonical: bool,
}

fn row(name: &'static str, version: Version, wire: &'static str, packet: Packet<'static>) -> Sample {
    Sample {
        name,
        version,
        wire,
        packet,
        canonical: true,
    }
}

fn long_way(name: &'static str, version: Version, wire: &'static str, packet: Packet<'static>) -> Sample {
    Sample {
        canonical: false,
        ..row(name, version, wire, packet)
    }
}

fn pairs(list: &[(&str, &str)]) -> UserProperties {
    list.iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

pub(super) fn all() -> Vec<Sample> {
    [
        connect(),
        connack(),
        publish(),
        acks(),
        subscribe(),
        subscribe_acks(),
        ends(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn bare_connect(version: Version) -> Connect {
    Connect {
        version,
        clean_start: true,
        keep_alive_secs: 60,
        client_id: "c".into(),
        will: None,
        username: None,
        password: None,
        session_expiry_secs: None,
        receive_maximum: None,
        maximum_packet_size: None,
        topic_alias_maximum: None,
        request_response_information: None,
        request_problem_information: None,
        authentication_method: None,
        authentication_data: None,
        user_properties: Vec::new(),
    }
}

fn bare_will() -> Will {
    Will {
        topic: "w".into(),
        payload: b"x".to_vec(),
        qos: QoS::AtMostOnce,
        retain: false,
        delay_secs: 0,
        expiry_secs: None,
        properties: Vec::new(),
    }
}

fn connect() -> Vec<Sample> {
    let packet = |connect| Packet::Connect(Box::new(connect));
    vec![
        row(
            "v5 connect",
            V5,
            "10 ('MQTT' 05 02 003C () 'c')",
            packet(bare_connect(V5)),
        ),
        row("v3 connect", V3, "10 ('MQTT' 04 02 003C 'c')", packet(bare_connect(V3))),
        row(
            "v5 connect, empty id, clean start 0, keep alive 0",
            V5,
            "10 ('MQTT' 05 00 0000 () '')",
            packet(Connect {
                clean_start: false,
                keep_alive_secs: 0,
                client_id: String::new(),
                ..bare_connect(V5)
            }),
        ),
        row(
            "v3 connect, empty id, clean session",
            V3,
            "10 ('MQTT' 04 02 FFFF '')",
            packet(Connect {
                keep_alive_secs: 65_535,
                client_id: String::new(),
                ..bare_connect(V3)
            }),
        ),
        row(
            "v3 connect with will, user name, password",
            V3,
            "10 ('MQTT' 04 EE 003C 'c' 'w' 'x' 'u' 0002 00FF)",
            packet(Connect {
                will: Some(Will {
                    qos: QoS::AtLeastOnce,
                    retain: true,
                    ..bare_will()
                }),
                username: Some("u".into()),
                password: Some(vec![0, 255]),
                ..bare_connect(V3)
            }),
        ),
        row(
            "v5 connect with a password only",
            V5,
            "10 ('MQTT' 05 42 003C () 'c' 'p')",
            packet(Connect {
                password: Some(b"p".to_vec()),
                ..bare_connect(V5)
            }),
        ),
        row(
            "v5 connect with an empty user name",
            V5,
            "10 ('MQTT' 05 82 003C () 'c' '')",
            packet(Connect {
                username: Some(String::new()),
                ..bare_connect(V5)
            }),
        ),
        row(
            "v5 connect with every property",
            V5,
            "10 ('MQTT' 05 02 003C (11 FFFFFFFF 21 0014 27 00010000 22 000A 19 01 17 00 26 'a' '1' 26 'a' '' \
             15 'SCRAM' 16 0002 00FF) 'c')",
            packet(Connect {
                session_expiry_secs: Some(u32::MAX),
                receive_maximum: Some(20),
                maximum_packet_size: Some(65_536),
                topic_alias_maximum: Some(10),
                request_response_information: Some(true),
                request_problem_information: Some(false),
                authentication_method: Some("SCRAM".into()),
                authentication_data: Some(vec![0, 255]),
                user_properties: pairs(&[("a", "1"), ("a", "")]),
                ..bare_connect(V5)
            }),
        ),
        row(
            "v5 will with delay, expiry and the rest as it came",
            V5,
            "10 ('MQTT' 05 16 003C () 'c' (18 00000005 02 0000003C 03 't' 01 01 26 'k' 'v' 08 'r' 09 0001 00) 'w' 'x')",
            packet(Connect {
                will: Some(Will {
                    qos: QoS::ExactlyOnce,
                    delay_secs: 5,
                    expiry_secs: Some(60),
                    properties: super::wire("03 't' 01 01 26 'k' 'v' 08 'r' 09 0001 00"),
                    ..bare_will()
                }),
                ..bare_connect(V5)
            }),
        ),
        row(
            "v5 will with empty payload",
            V5,
            "10 ('MQTT' 05 06 003C () 'c' () 'w' '')",
            packet(Connect {
                will: Some(Will {
                    payload: Vec::new(),
                    ..bare_will()
                }),
                ..bare_connect(V5)
            }),
        ),
        long_way(
            "v5 will delay 0 written out, hop properties between others",
            V5,
            "10 ('MQTT' 05 06 003C () 'c' (03 't' 02 0000003C 26 'k' 'v' 18 00000000) 'w' 'x')",
            packet(Connect {
                will: Some(Will {
                    expiry_secs: Some(60),
                    properties: super::wire("03 't' 26 'k' 'v'"),
                    ..bare_will()
                }),
                ..bare_connect(V5)
            }),
        ),
    ]
}

fn connack() -> Vec<Sample> {
    let packet = |connack| Packet::ConnAck(Box::new(connack));
    vec![
        row(
            "v5 connack",
            V5,
            "20 (00 00 ())",
            packet(ConnAck::new(ReasonCode::Success)),
        ),
        row(
            "v5 connack refused",
            V5,
            "20 (00 87 ())",
            packet(ConnAck::new(ReasonCode::NotAuthorized)),
        ),
        row(
            "v5 connack with a session",
            V5,
            "20 (01 00 ())",
            packet(ConnAck {
                session_present: true,
                ..ConnAck::new(ReasonCode::Success)
            }),
        ),
        row(
            "v5 connack with every property",
            V5,
            "20 (00 00 (11 0000000A 21 0014 24 01 25 01 27 00010000 12 'id' 22 000A 1F 'why' 26 'k' 'v' 28 01 29 01 \
             2A 00 13 001E 1A 'info' 1C 'other' 15 'M' 16 0001 FF))",
            packet(ConnAck {
                session_expiry_secs: Some(10),
                receive_maximum: Some(20),
                maximum_qos: Some(1),
                retain_available: Some(true),
                maximum_packet_size: Some(65_536),
                assigned_client_id: Some("id".into()),
                topic_alias_maximum: Some(10),
                reason_string: Some("why".into()),
                user_properties: pairs(&[("k", "v")]),
                wildcard_subscription_available: Some(true),
                subscription_identifiers_available: Some(true),
                shared_subscription_available: Some(false),
                server_keep_alive_secs: Some(30),
                response_information: Some("info".into()),
                server_reference: Some("other".into()),
                authentication_method: Some("M".into()),
                authentication_data: Some(vec![255]),
                ..ConnAck::new(ReasonCode::Success)
            }),
        ),
        row(
            "v3 connack",
            V3,
            "20 02 00 00",
            packet(ConnAck::new(ReasonCode::Success)),
        ),
        row(
            "v3 connack with a session",
            V3,
            "20 02 01 00",
            packet(ConnAck {
                session_present: true,
                ..ConnAck::new(ReasonCode::Success)
            }),
        ),
        row(
            "v3 connack 1",
            V3,
            "20 02 00 01",
            packet(ConnAck::new(ReasonCode::UnsupportedProtocolVersion)),
        ),
        row(
            "v3 connack 2",
            V3,
            "20 02 00 02",
            packet(ConnAck::new(ReasonCode::ClientIdentifierNotValid)),
        ),
        row(
            "v3 connack 3",
            V3,
            "20 02 00 03",
            packet(ConnAck::new(ReasonCode::ServerUnavailable)),
        ),
        row(
            "v3 connack 4",
            V3,
            "20 02 00 04",
            packet(ConnAck::new(ReasonCode::BadUserNameOrPassword)),
        ),
        row(
            "v3 connack 5",
            V3,
            "20 02 00 05",
            packet(ConnAck::new(ReasonCode::NotAuthorized)),
        ),
    ]
}

pub(super) fn bare_publish() -> Publish<'static> {
    Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "a/b",
        packet_id: None,
        topic_alias: None,
        expiry_secs: None,
        properties: &[],
        has_hop_properties: false,
        has_user_properties: false,
        payload: b"",
    }
}

fn publish() -> Vec<Sample> {
    let packet = Packet::Publish;
    vec![
        row(
            "v5 publish",
            V5,
            "30 ('a/b' () 6869)",
            packet(Publish {
                payload: b"hi",
                ..bare_publish()
            }),
        ),
        row(
            "v3 publish",
            V3,
            "30 ('a/b' 6869)",
            packet(Publish {
                payload: b"hi",
                ..bare_publish()
            }),
        ),
        row(
            "v5 publish without payload",
            V5,
            "30 ('a/b' ())",
            packet(bare_publish()),
        ),
        row("v3 publish without payload", V3, "30 ('a/b')", packet(bare_publish())),
        row(
            "v5 publish qos 1, retain",
            V5,
            "33 ('a/b' 0001 () FF)",
            packet(Publish {
                qos: QoS::AtLeastOnce,
                retain: true,
                packet_id: Some(id(1)),
                payload: &[255],
                ..bare_publish()
            }),
        ),
        row(
            "v3 publish qos 1 again",
            V3,
            "3A ('a/b' FFFF FF)",
            packet(Publish {
                qos: QoS::AtLeastOnce,
                dup: true,
                packet_id: Some(id(65_535)),
                payload: &[255],
                ..bare_publish()
            }),
        ),
        row(
            "v5 publish qos 2 again",
            V5,
            "3C ('a/b' 0100 () 00)",
            packet(Publish {
                qos: QoS::ExactlyOnce,
                dup: true,
                packet_id: Some(id(256)),
                payload: &[0],
                ..bare_publish()
            }),
        ),
        row(
            "v3 publish qos 2",
            V3,
            "34 ('a/b' 0100)",
            packet(Publish {
                qos: QoS::ExactlyOnce,
                packet_id: Some(id(256)),
                ..bare_publish()
            }),
        ),
        row(
            "v5 publish with topic and alias",
            V5,
            "30 ('a/b' (23 0001) 68)",
            packet(Publish {
                topic_alias: Some(1),
                properties: &[0x23, 0, 1],
                has_hop_properties: true,
                payload: b"h",
                ..bare_publish()
            }),
        ),
        row(
            "v5 publish by alias alone",
            V5,
            "30 ('' (23 FFFF) 68)",
            packet(Publish {
                topic: "",
                topic_alias: Some(65_535),
                properties: &[0x23, 0xFF, 0xFF],
                has_hop_properties: true,
                payload: b"h",
                ..bare_publish()
            }),
        ),
        row(
            "v5 publish with user properties",
            V5,
            "30 ('a/b' (26 'k' 'v' 26 'k' '') 68)",
            packet(Publish {
                properties: b"\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x00",
                has_user_properties: true,
                payload: b"h",
                ..bare_publish()
            }),
        ),
        row(
            "v5 publish with every property",
            V5,
            "30 ('a/b' (01 01 02 0000003C 23 0007 08 'r/t' 09 0002 00FF 26 'k' 'v' 03 'ct') 68)",
            packet(Publish {
                topic_alias: Some(7),
                expiry_secs: Some(60),
                properties: b"\x01\x01\x02\x00\x00\x00\x3C\x23\x00\x07\x08\x00\x03r/t\x09\x00\x02\x00\xFF\
                              \x26\x00\x01k\x00\x01v\x03\x00\x02ct",
                has_hop_properties: true,
                has_user_properties: true,
                payload: b"h",
                ..bare_publish()
            }),
        ),
        row(
            "v5 publish, topic of spaces and beyond ASCII",
            V5,
            "30 (' é/$x' () 68)",
            packet(Publish {
                topic: " é/$x",
                payload: b"h",
                ..bare_publish()
            }),
        ),
        row(
            "v3 publish to $",
            V3,
            "30 ('$store/a' 68)",
            packet(Publish {
                topic: "$store/a",
                payload: b"h",
                ..bare_publish()
            }),
        ),
    ]
}

fn acks() -> Vec<Sample> {
    let ok = |number| Ack::new(id(number), ReasonCode::Success);
    let full = |reason| Ack {
        reason_string: Some("why".into()),
        user_properties: pairs(&[("es-seq", "7")]),
        ..Ack::new(id(2), reason)
    };
    let none = Ack {
        user_properties: pairs(&[("es-seq", "7")]),
        ..ok(2)
    };
    let unknown = ReasonCode::PacketIdentifierNotFound;
    vec![
        row("v5 puback", V5, "40 02 0001", Packet::PubAck(ok(1))),
        row("v3 puback", V3, "40 02 FFFF", Packet::PubAck(ok(65_535))),
        row(
            "v5 puback with reason",
            V5,
            "40 03 0002 10",
            Packet::PubAck(Ack::new(id(2), ReasonCode::NoMatchingSubscribers)),
        ),
        row(
            "v5 puback with a user property",
            V5,
            "40 (0002 00 (26 'es-seq' '7'))",
            Packet::PubAck(none),
        ),
        row(
            "v5 puback with all",
            V5,
            "40 (0002 97 (1F 'why' 26 'es-seq' '7'))",
            Packet::PubAck(full(ReasonCode::QuotaExceeded)),
        ),
        long_way(
            "v5 puback success written out",
            V5,
            "40 03 0001 00",
            Packet::PubAck(ok(1)),
        ),
        long_way(
            "v5 puback no properties written out",
            V5,
            "40 04 0001 00 00",
            Packet::PubAck(ok(1)),
        ),
        row("v5 pubrec", V5, "50 02 0001", Packet::PubRec(ok(1))),
        row("v3 pubrec", V3, "50 02 0001", Packet::PubRec(ok(1))),
        row(
            "v5 pubrec with reason",
            V5,
            "50 03 0002 83",
            Packet::PubRec(Ack::new(id(2), ReasonCode::ImplementationSpecificError)),
        ),
        row(
            "v5 pubrec with all",
            V5,
            "50 (0002 91 (1F 'why' 26 'es-seq' '7'))",
            Packet::PubRec(full(ReasonCode::PacketIdentifierInUse)),
        ),
        row("v5 pubrel", V5, "62 02 0001", Packet::PubRel(ok(1))),
        row("v3 pubrel", V3, "62 02 0001", Packet::PubRel(ok(1))),
        row(
            "v5 pubrel with reason",
            V5,
            "62 03 0002 92",
            Packet::PubRel(Ack::new(id(2), unknown)),
        ),
        row(
            "v5 pubrel with all",
            V5,
            "62 (0002 92 (1F 'why' 26 'es-seq' '7'))",
            Packet::PubRel(full(unknown)),
        ),
        row("v5 pubcomp", V5, "70 02 0001", Packet::PubComp(ok(1))),
        row("v3 pubcomp", V3, "70 02 0001", Packet::PubComp(ok(1))),
        row(
            "v5 pubcomp with reason",
            V5,
            "70 03 0002 92",
            Packet::PubComp(Ack::new(id(2), unknown)),
        ),
        row(
            "v5 pubcomp with all",
            V5,
            "70 (0002 92 (1F 'why' 26 'es-seq' '7'))",
            Packet::PubComp(full(unknown)),
        ),
        long_way("v5 pubcomp written out", V5, "70 04 0001 00 00", Packet::PubComp(ok(1))),
    ]
}

fn filter(text: &str, qos: QoS) -> SubscribeFilter {
    SubscribeFilter {
        filter: text.into(),
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    }
}

fn subscribe() -> Vec<Sample> {
    let packet = |subscription_id, list: &[(&str, &str)], filters| {
        Packet::Subscribe(Subscribe {
            packet_id: id(10),
            subscription_id,
            user_properties: pairs(list),
            filters,
        })
    };
    let unsubscribe = |list: &[(&str, &str)], filters: &[&str]| {
        Packet::Unsubscribe(Unsubscribe {
            packet_id: id(10),
            user_properties: pairs(list),
            filters: filters.iter().map(|text| text.to_string()).collect(),
        })
    };
    let many = vec![
        filter("a/#", QoS::AtMostOnce),
        SubscribeFilter {
            no_local: true,
            ..filter("+", QoS::AtLeastOnce)
        },
        SubscribeFilter {
            retain_as_published: true,
            retain_handling: RetainHandling::SendIfNew,
            ..filter("$share/g/x", QoS::ExactlyOnce)
        },
        SubscribeFilter {
            retain_handling: RetainHandling::DoNotSend,
            ..filter("q", QoS::AtMostOnce)
        },
    ];
    vec![
        row(
            "v5 subscribe",
            V5,
            "82 (000A () 'a/b' 01)",
            packet(None, &[], vec![filter("a/b", QoS::AtLeastOnce)]),
        ),
        row(
            "v3 subscribe",
            V3,
            "82 (000A 'a/b' 02)",
            packet(None, &[], vec![filter("a/b", QoS::ExactlyOnce)]),
        ),
        row(
            "v3 subscribe to two",
            V3,
            "82 (000A '#' 00 '$replay/first/a' 01)",
            packet(
                None,
                &[],
                vec![
                    filter("#", QoS::AtMostOnce),
                    filter("$replay/first/a", QoS::AtLeastOnce),
                ],
            ),
        ),
        row(
            "v5 subscribe with every option",
            V5,
            "82 (000A () 'a/#' 00 '+' 05 '$share/g/x' 1A 'q' 20)",
            packet(None, &[], many),
        ),
        row(
            "v5 subscribe with properties",
            V5,
            "82 (000A (0B 01 26 'replay' 'first') 'a' 00)",
            packet(Some(1), &[("replay", "first")], vec![filter("a", QoS::AtMostOnce)]),
        ),
        row(
            "v5 subscribe with the largest identifier",
            V5,
            "82 (000A (0B FFFFFF7F) 'a' 00)",
            packet(Some(268_435_455), &[], vec![filter("a", QoS::AtMostOnce)]),
        ),
        row(
            "v5 subscribe to text that is no filter",
            V5,
            "82 (000A () 'a#' 00 '' 00)",
            packet(
                None,
                &[],
                vec![filter("a#", QoS::AtMostOnce), filter("", QoS::AtMostOnce)],
            ),
        ),
        row(
            "v5 unsubscribe",
            V5,
            "A2 (000A () 'a' 'b/+')",
            unsubscribe(&[], &["a", "b/+"]),
        ),
        row(
            "v5 unsubscribe with a property",
            V5,
            "A2 (000A (26 'cursor' 'keep') 'a')",
            unsubscribe(&[("cursor", "keep")], &["a"]),
        ),
        row(
            "v3 unsubscribe",
            V3,
            "A2 (000A 'a' 'b/+')",
            unsubscribe(&[], &["a", "b/+"]),
        ),
    ]
}

fn subscribe_acks() -> Vec<Sample> {
    let ack = |reasons: &[ReasonCode], reason: Option<&str>, list: &[(&str, &str)]| SubAck {
        packet_id: id(10),
        reasons: reasons.to_vec(),
        reason_string: reason.map(str::to_owned),
        user_properties: pairs(list),
    };
    let granted = [ReasonCode::Success, ReasonCode::GrantedQoS1, ReasonCode::GrantedQoS2];
    let mixed = [
        ReasonCode::GrantedQoS1,
        ReasonCode::TopicFilterInvalid,
        ReasonCode::QuotaExceeded,
    ];
    let removed = [
        ReasonCode::Success,
        ReasonCode::NoSubscriptionExisted,
        ReasonCode::NotAuthorized,
    ];
    vec![
        row(
            "v5 suback",
            V5,
            "90 (000A () 00 01 02)",
            Packet::SubAck(ack(&granted, None, &[])),
        ),
        row(
            "v5 suback with all",
            V5,
            "90 (000A (1F 'why' 26 'es-start' 'fresh') 01 8F 97)",
            Packet::SubAck(ack(&mixed, Some("why"), &[("es-start", "fresh")])),
        ),
        row(
            "v3 suback",
            V3,
            "90 (000A 00 01 02)",
            Packet::SubAck(ack(&granted, None, &[])),
        ),
        row(
            "v3 suback refused",
            V3,
            "90 (000A 80)",
            Packet::SubAck(ack(&[ReasonCode::UnspecifiedError], None, &[])),
        ),
        row(
            "v5 unsuback",
            V5,
            "B0 (000A () 00 11 87)",
            Packet::UnsubAck(ack(&removed, None, &[])),
        ),
        row(
            "v5 unsuback with all",
            V5,
            "B0 (000A (1F 'why' 26 'k' 'v') 00 11 87)",
            Packet::UnsubAck(ack(&removed, Some("why"), &[("k", "v")])),
        ),
        row("v3 unsuback", V3, "B0 02 000A", Packet::UnsubAck(ack(&[], None, &[]))),
    ]
}

fn ends() -> Vec<Sample> {
    let bare = |reason| Auth {
        reason,
        method: None,
        data: None,
        reason_string: None,
        user_properties: Vec::new(),
    };
    let full = Disconnect {
        session_expiry_secs: Some(0),
        reason_string: Some("why".into()),
        server_reference: Some("other".into()),
        user_properties: pairs(&[("k", "v")]),
        ..Disconnect::new(ReasonCode::ServerMoved)
    };
    vec![
        row("v5 pingreq", V5, "C0 00", Packet::PingReq),
        row("v3 pingreq", V3, "C0 00", Packet::PingReq),
        row("v5 pingresp", V5, "D0 00", Packet::PingResp),
        row("v3 pingresp", V3, "D0 00", Packet::PingResp),
        row(
            "v5 disconnect",
            V5,
            "E0 00",
            Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
        ),
        row(
            "v3 disconnect",
            V3,
            "E0 00",
            Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
        ),
        row(
            "v5 disconnect with reason",
            V5,
            "E0 01 8E",
            Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver)),
        ),
        long_way(
            "v5 disconnect success written out",
            V5,
            "E0 01 00",
            Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
        ),
        long_way(
            "v5 disconnect no properties written out",
            V5,
            "E0 02 04 00",
            Packet::Disconnect(Disconnect::new(ReasonCode::DisconnectWithWill)),
        ),
        row(
            "v5 disconnect that changes the session expiry",
            V5,
            "E0 (00 (11 0000003C))",
            Packet::Disconnect(Disconnect {
                session_expiry_secs: Some(60),
                ..Disconnect::new(ReasonCode::Success)
            }),
        ),
        row(
            "v5 disconnect with all",
            V5,
            "E0 (9D (11 00000000 1F 'why' 26 'k' 'v' 1C 'other'))",
            Packet::Disconnect(full),
        ),
        row("v5 auth success", V5, "F0 00", Packet::Auth(bare(ReasonCode::Success))),
        long_way(
            "v5 auth success written out",
            V5,
            "F0 01 00",
            Packet::Auth(bare(ReasonCode::Success)),
        ),
        long_way(
            "v5 auth no properties written out",
            V5,
            "F0 02 00 00",
            Packet::Auth(bare(ReasonCode::Success)),
        ),
        row(
            "v5 auth continues",
            V5,
            "F0 (18 (15 'M' 16 0002 00FF 1F 'why' 26 'k' 'v'))",
            Packet::Auth(Auth {
                method: Some("M".into()),
                data: Some(vec![0, 255]),
                reason_string: Some("why".into()),
                user_properties: pairs(&[("k", "v")]),
                ..bare(ReasonCode::ContinueAuthentication)
            }),
        ),
        row(
            "v5 auth again",
            V5,
            "F0 (19 (15 'M'))",
            Packet::Auth(Auth {
                method: Some("M".into()),
                ..bare(ReasonCode::ReAuthenticate)
            }),
        ),
    ]
}
