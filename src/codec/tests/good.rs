//! Well-formed packets, byte for byte, both ways.

use bytes::BytesMut;

use super::samples::{self, bare_connect, bare_publish};
use super::{LIMITS, encoded, id, wire};
use crate::codec::*;
use crate::types::{QoS, ReasonCode, Version};

#[test]
fn every_sample_decodes_from_either_side() {
    for sample in samples::all() {
        let bytes = wire(sample.wire);
        let expected = Ok(Some((sample.packet.clone(), bytes.len())));
        assert_eq!(
            decode(&bytes, Some(sample.version), &LIMITS),
            expected,
            "{}",
            sample.name
        );
        assert_eq!(
            decode_from_server(&bytes, sample.version, &LIMITS),
            expected,
            "{}",
            sample.name
        );
    }
}

#[test]
fn every_sample_encodes_to_its_bytes() {
    for sample in samples::all() {
        let bytes = encoded(&sample.packet, sample.version);
        if sample.canonical {
            assert_eq!(bytes, wire(sample.wire), "{}", sample.name);
        } else {
            assert!(bytes.len() <= wire(sample.wire).len(), "{}", sample.name);
        }
    }
}

#[test]
fn a_part_of_a_packet_asks_for_more_and_what_follows_is_left_alone() {
    for sample in samples::all() {
        let mut bytes = wire(sample.wire);
        for end in 0..bytes.len() {
            assert_eq!(
                decode(&bytes[..end], Some(sample.version), &LIMITS),
                Ok(None),
                "{} {end}",
                sample.name
            );
        }
        let len = bytes.len();
        bytes.extend([0xFF; 9]);
        assert_eq!(
            decode(&bytes, Some(sample.version), &LIMITS),
            Ok(Some((sample.packet, len))),
            "{}",
            sample.name
        );
    }
}

#[test]
fn connect_says_the_version_that_nobody_knew() {
    for version in [Version::V3, Version::V5] {
        let packet = Packet::Connect(Box::new(bare_connect(version)));
        let bytes = encoded(&packet, version);
        assert_eq!(decode(&bytes, None, &LIMITS), Ok(Some((packet, bytes.len()))));
    }
}

#[test]
fn a_server_names_several_subscriptions_and_a_client_none() {
    let bytes = wire("30 ('a' (0B 01 26 'k' 'v' 0B 8001) 68)");
    let packet = Publish {
        topic: "a",
        properties: b"\x0B\x01\x26\x00\x01k\x00\x01v\x0B\x80\x01",
        has_user_properties: true,
        payload: b"h",
        ..bare_publish()
    };
    let found = decode_from_server(&bytes, Version::V5, &LIMITS)
        .expect("allowed")
        .expect("whole");
    assert_eq!(found, (Packet::Publish(packet), bytes.len()));
    let ids: Vec<_> = properties(packet_properties(&found.0))
        .filter(|(id, _)| *id == PropertyId::SubscriptionIdentifier)
        .map(|(_, value)| value)
        .collect();
    assert_eq!(ids, [PropertyValue::Variable(1), PropertyValue::Variable(128)]);
    assert_eq!(encoded(&found.0, Version::V5), bytes);
    let refused = decode(&bytes, Some(Version::V5), &LIMITS).expect_err("from a client");
    assert_eq!(refused.reason, ReasonCode::ProtocolError);
}

fn packet_properties<'a>(packet: &Packet<'a>) -> &'a [u8] {
    match packet {
        Packet::Publish(publish) => publish.properties,
        other => panic!("not a PUBLISH: {other:?}"),
    }
}

#[test]
fn hop_properties_are_written_from_their_fields_once() {
    let publish = Publish {
        topic_alias: Some(7),
        expiry_secs: Some(60),
        ..bare_publish()
    };
    let bytes = encoded(&Packet::Publish(publish), Version::V5);
    assert_eq!(bytes, wire("30 ('a/b' (02 0000003C 23 0007))"));
    let (again, _) = decode(&bytes, Some(Version::V5), &LIMITS)
        .expect("well formed")
        .expect("whole");
    assert_eq!(encoded(&again, Version::V5), bytes);
}

#[test]
fn long_packets_have_long_lengths() {
    for (payload_len, header_len) in [
        (121usize, 2),
        (122, 3),
        (16_377, 3),
        (16_378, 4),
        (2_097_145, 4),
        (2_097_146, 5),
    ] {
        let payload = vec![7; payload_len];
        let publish = Publish {
            payload: &payload,
            ..bare_publish()
        };
        let bytes = encoded(&Packet::Publish(publish.clone()), Version::V5);
        assert_eq!(bytes.len(), header_len + 6 + payload_len);
        let found = decode(&bytes, Some(Version::V5), &LIMITS);
        assert_eq!(found, Ok(Some((Packet::Publish(publish), bytes.len()))));
    }
}

#[test]
fn the_maximum_packet_size_counts_the_whole_packet_and_is_seen_before_the_body() {
    let bytes = wire("30 ('a/b' () 6869)");
    let limits = |max_packet_size| DecodeLimits { max_packet_size };
    assert!(decode(&bytes, Some(Version::V5), &limits(bytes.len() as u32)).is_ok_and(|found| found.is_some()));
    for end in 2..=bytes.len() {
        let error = decode(&bytes[..end], Some(Version::V5), &limits(bytes.len() as u32 - 1)).expect_err("too large");
        assert_eq!(
            (error.reason, error.version),
            (ReasonCode::PacketTooLarge, Some(Version::V5))
        );
    }
}

#[test]
fn v3_says_less() {
    let mut out = BytesMut::new();
    let rows = [
        Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::ProtocolError))),
        Packet::PubAck(Ack::new(id(1), ReasonCode::QuotaExceeded)),
        Packet::PubRec(Ack::new(id(1), ReasonCode::ImplementationSpecificError)),
        Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver)),
        Packet::Auth(Auth {
            reason: ReasonCode::Success,
            method: None,
            data: None,
            reason_string: None,
            user_properties: Vec::new(),
        }),
    ];
    for packet in rows {
        let refused = encode(&packet, Version::V3, &mut out);
        assert!(matches!(refused, Err(EncodeError::NotInVersion(_))), "{packet:?}");
    }
    assert!(out.is_empty());
    let unknown = Ack::new(id(1), ReasonCode::PacketIdentifierNotFound);
    assert_eq!(encoded(&Packet::PubComp(unknown), Version::V3), wire("70 02 0001"));
    let nobody = Ack::new(id(1), ReasonCode::NoMatchingSubscribers);
    assert_eq!(encoded(&Packet::PubAck(nobody), Version::V3), wire("40 02 0001"));
}

#[test]
fn v3_connack_has_a_return_code_for_each_refusal_that_has_one() {
    let rows = [
        (ReasonCode::UnsupportedProtocolVersion, 1),
        (ReasonCode::ClientIdentifierNotValid, 2),
        (ReasonCode::ServerUnavailable, 3),
        (ReasonCode::ServerBusy, 3),
        (ReasonCode::QuotaExceeded, 3),
        (ReasonCode::UseAnotherServer, 3),
        (ReasonCode::ServerMoved, 3),
        (ReasonCode::ConnectionRateExceeded, 3),
        (ReasonCode::BadUserNameOrPassword, 4),
        (ReasonCode::NotAuthorized, 5),
        (ReasonCode::Banned, 5),
        (ReasonCode::BadAuthenticationMethod, 5),
    ];
    for (reason, code) in rows {
        let bytes = encoded(&Packet::ConnAck(Box::new(ConnAck::new(reason))), Version::V3);
        assert_eq!(bytes, [0x20, 2, 0, code], "{reason:?}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_and_nothing_is_appended() {
    let long = "x".repeat(MAX_STRING_LENGTH + 1);
    let connect = Connect {
        client_id: long.clone(),
        ..bare_connect(Version::V5)
    };
    let connack = ConnAck {
        assigned_client_id: Some(long.clone()),
        ..ConnAck::new(ReasonCode::Success)
    };
    let rows = [
        Packet::Connect(Box::new(connect)),
        Packet::ConnAck(Box::new(connack)),
        Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::SessionTakenOver))),
        Packet::PubAck(Ack::new(id(1), ReasonCode::PacketIdentifierNotFound)),
        Packet::PubComp(Ack::new(id(1), ReasonCode::QuotaExceeded)),
        Packet::Disconnect(Disconnect::new(ReasonCode::GrantedQoS1)),
        Packet::Publish(Publish {
            topic: &long,
            ..bare_publish()
        }),
        Packet::Publish(Publish {
            qos: QoS::AtLeastOnce,
            ..bare_publish()
        }),
        Packet::Publish(Publish {
            packet_id: Some(id(1)),
            ..bare_publish()
        }),
    ];
    for packet in rows {
        let mut out = BytesMut::from(&b"before"[..]);
        assert!(encode(&packet, Version::V5, &mut out).is_err(), "{packet:?}");
        assert_eq!(out, b"before"[..]);
        assert!(encoded_len(&packet, Version::V5).is_err(), "{packet:?}");
    }
}

#[test]
fn reason_strings_and_user_properties_are_made_to_fit() {
    let ack = Ack {
        reason_string: Some("é".repeat(40_000)),
        user_properties: vec![("a\0b".into(), "x".repeat(70_000))],
        ..Ack::new(id(1), ReasonCode::QuotaExceeded)
    };
    let bytes = encoded(&Packet::PubAck(ack), Version::V5);
    let found = decode_from_server(&bytes, Version::V5, &LIMITS)
        .expect("well formed")
        .expect("whole");
    let Packet::PubAck(ack) = found.0 else {
        panic!("a PUBACK")
    };
    assert_eq!(ack.reason_string.map(|text| text.len()), Some(65_534));
    assert_eq!(ack.user_properties[0].0, "a?b");
    assert_eq!(ack.user_properties[0].1.len(), 65_535);
}
