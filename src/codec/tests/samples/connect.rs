//! CONNECT and CONNACK.

use super::{Sample, long_way, pairs, row};
use crate::codec::tests::wire;
use crate::codec::*;
use crate::types::Version::{V3, V5};
use crate::types::{QoS, ReasonCode, Version};

pub(in crate::codec::tests) fn bare_connect(version: Version) -> Connect {
    Connect {
        keep_alive_secs: 60,
        ..Connect::new(version, "c")
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

pub(super) fn connect() -> Vec<Sample> {
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
                    properties: wire("03 't' 01 01 26 'k' 'v' 08 'r' 09 0001 00"),
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
                    properties: wire("03 't' 26 'k' 'v'"),
                    ..bare_will()
                }),
                ..bare_connect(V5)
            }),
        ),
    ]
}

pub(super) fn connack() -> Vec<Sample> {
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
