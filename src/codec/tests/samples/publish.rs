//! PUBLISH and its four acknowledgements.

use super::{Sample, long_way, pairs, row};
use crate::codec::tests::id;
use crate::codec::*;
use crate::types::Version::{V3, V5};
use crate::types::{QoS, ReasonCode};

pub(in crate::codec::tests) fn bare_publish() -> Publish<'static> {
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

pub(super) fn publish() -> Vec<Sample> {
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

pub(super) fn acks() -> Vec<Sample> {
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
