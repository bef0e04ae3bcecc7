//! The border to mqttbytes, both ways: what it reads and writes as we do, and the table of what it gets wrong, which
//! says why a packet has an encoder or a decoder of our own.

use bytes::BytesMut;
use mqttbytes::{v4, v5};

use super::samples::{self, Sample};
use super::{LIMITS, encoded, id, wire};
use crate::codec::*;
use crate::types::{ReasonCode, Version};

/// Samples that mqttbytes does not read, or does not write again as they were, with the reason.
const WRONG: &[(&str, &str)] = &[
    (
        "v3 connect with will, user name, password",
        "a password that is not text is refused",
    ),
    ("v5 connect with an empty user name", "an empty user name is dropped"),
    (
        "v5 will with delay, expiry and the rest as it came",
        "properties change their order",
    ),
    (
        "v5 connack",
        "no property length is written where there are no properties",
    ),
    ("v5 connack refused", "the same"),
    ("v5 connack with a session", "the same"),
    ("v5 disconnect", "a body of length 0 is refused"),
    ("v5 disconnect with reason", "a body of length 1 is refused"),
    ("v5 auth success", "there is no AUTH"),
    ("v5 auth continues", "the same"),
    ("v5 auth again", "the same"),
];

/// What mqttbytes makes of a packet: read by it and written by it again.
fn through_mqttbytes(bytes: &[u8], version: Version) -> Result<Vec<u8>, mqttbytes::Error> {
    let mut stream = BytesMut::from(bytes);
    let mut out = BytesMut::new();
    match version {
        Version::V5 => write_v5(v5::read(&mut stream, MAX_PACKET_SIZE)?, &mut out)?,
        Version::V3 => write_v3(v4::read(&mut stream, MAX_PACKET_SIZE)?, &mut out)?,
    };
    Ok(out.to_vec())
}

fn write_v5(packet: v5::Packet, out: &mut BytesMut) -> Result<usize, mqttbytes::Error> {
    match packet {
        v5::Packet::Connect(packet) => packet.write(out),
        v5::Packet::ConnAck(packet) => packet.write(out),
        v5::Packet::Publish(packet) => packet.write(out),
        v5::Packet::PubAck(packet) => packet.write(out),
        v5::Packet::PubRec(packet) => packet.write(out),
        v5::Packet::PubRel(packet) => packet.write(out),
        v5::Packet::PubComp(packet) => packet.write(out),
        v5::Packet::Subscribe(packet) => packet.write(out),
        v5::Packet::SubAck(packet) => packet.write(out),
        v5::Packet::Unsubscribe(packet) => packet.write(out),
        v5::Packet::UnsubAck(packet) => packet.write(out),
        v5::Packet::PingReq => v5::PingReq.write(out),
        v5::Packet::PingResp => v5::PingResp.write(out),
        v5::Packet::Disconnect(packet) => packet.write(out),
    }
}

fn write_v3(packet: v4::Packet, out: &mut BytesMut) -> Result<usize, mqttbytes::Error> {
    match packet {
        v4::Packet::Connect(packet) => packet.write(out),
        v4::Packet::ConnAck(packet) => packet.write(out),
        v4::Packet::Publish(packet) => packet.write(out),
        v4::Packet::PubAck(packet) => packet.write(out),
        v4::Packet::PubRec(packet) => packet.write(out),
        v4::Packet::PubRel(packet) => packet.write(out),
        v4::Packet::PubComp(packet) => packet.write(out),
        v4::Packet::Subscribe(packet) => packet.write(out),
        v4::Packet::SubAck(packet) => packet.write(out),
        v4::Packet::Unsubscribe(packet) => packet.write(out),
        v4::Packet::UnsubAck(packet) => packet.write(out),
        v4::Packet::PingReq => v4::PingReq.write(out),
        v4::Packet::PingResp => v4::PingResp.write(out),
        v4::Packet::Disconnect => v4::Disconnect.write(out),
    }
}

#[test]
fn what_we_write_mqttbytes_reads_and_writes_the_same() {
    for sample in samples::all().into_iter().filter(|sample| sample.canonical) {
        let ours = encoded(&sample.packet, sample.version);
        let theirs = through_mqttbytes(&ours, sample.version);
        let wrong = WRONG.iter().any(|(name, _)| *name == sample.name);
        assert_eq!(theirs.as_ref() != Ok(&ours), wrong, "{}: {theirs:02X?}", sample.name);
    }
}

#[test]
fn the_table_of_wrongs_names_samples() {
    let names: Vec<_> = samples::all().into_iter().map(|Sample { name, .. }| name).collect();
    for (name, why) in WRONG {
        assert!(names.contains(name), "{name}: {why}");
    }
}

#[test]
fn what_mqttbytes_writes_we_read() {
    let mut out = BytesMut::new();
    let will = v5::LastWill::new("w", "x", mqttbytes::QoS::AtLeastOnce, true);
    let mut connect = v5::Connect::new("c");
    connect.set_login("u", "p").last_will = Some(will);
    connect.write(&mut out).expect("short");
    let (packet, len) = decode(&out, None, &LIMITS).expect("well formed").expect("whole");
    let Packet::Connect(connect) = &packet else {
        panic!("a CONNECT: {packet:?}")
    };
    assert_eq!(
        (len, connect.username.as_deref(), connect.keep_alive_secs),
        (out.len(), Some("u"), 10)
    );
    assert_eq!(encoded(&packet, Version::V5), out);

    out.clear();
    v5::Subscribe::new("a/#", mqttbytes::QoS::ExactlyOnce)
        .write(&mut out)
        .expect("short");
    let refused = decode(&out, Some(Version::V5), &LIMITS).expect_err("it leaves the packet identifier at 0");
    assert_eq!(refused.reason, ReasonCode::MalformedPacket);
}

#[test]
fn an_empty_disconnect_keeps_its_reason_here_and_loses_it_there() {
    let mut out = BytesMut::new();
    let theirs = v5::Disconnect {
        reason_code: v5::DisconnectReasonCode::SessionTakenOver,
        properties: Some(v5::DisconnectProperties::new()),
    };
    theirs.write(&mut out).expect("short");
    assert_eq!(out, wire("E0 00"), "mqttbytes mended this: the border can be simpler");
    let ours = Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver));
    assert_eq!(encoded(&ours, Version::V5), wire("E0 01 8E"));
}

#[test]
fn a_long_reason_string_fits_here_and_wraps_there() {
    let long = "x".repeat(65_537);
    let mut out = BytesMut::new();
    let properties = v5::PubAckProperties {
        reason_string: Some(long.clone()),
        user_properties: Vec::new(),
    };
    let theirs = v5::PubAck {
        pkid: 1,
        reason: v5::PubAckReason::QuotaExceeded,
        properties: Some(properties),
    };
    theirs.write(&mut out).expect("it does not look");
    assert!(decode_from_server(&out, Version::V5, &LIMITS).is_err());
    let ours = Ack {
        reason_string: Some(long),
        ..Ack::new(id(1), ReasonCode::QuotaExceeded)
    };
    let bytes = encoded(&Packet::PubAck(ours), Version::V5);
    assert!(decode_from_server(&bytes, Version::V5, &LIMITS).is_ok());
}

#[test]
fn every_reason_code_of_a_packet_crosses_the_border() {
    use crate::codec::reasons::*;
    let list = |reason| SubAck {
        packet_id: id(1),
        reasons: vec![reason],
        reason_string: None,
        user_properties: Vec::new(),
    };
    type Row<'a> = (&'a [ReasonCode], &'a dyn Fn(ReasonCode) -> Packet<'static>);
    let rows: [Row<'_>; 8] = [
        (CONNACK, &|reason| Packet::ConnAck(Box::new(ConnAck::new(reason)))),
        (PUBLISH_ACK, &|reason| Packet::PubAck(Ack::new(id(1), reason))),
        (PUBLISH_ACK, &|reason| Packet::PubRec(Ack::new(id(1), reason))),
        (RELEASE, &|reason| Packet::PubRel(Ack::new(id(1), reason))),
        (RELEASE, &|reason| Packet::PubComp(Ack::new(id(1), reason))),
        (SUBACK, &|reason| Packet::SubAck(list(reason))),
        (UNSUBACK, &|reason| Packet::UnsubAck(list(reason))),
        (DISCONNECT, &|reason| Packet::Disconnect(Disconnect::new(reason))),
    ];
    for (allowed, packet) in rows {
        for reason in (0..=255).filter_map(ReasonCode::from_byte) {
            let packet = packet(reason);
            let mut out = BytesMut::new();
            if allowed.contains(&reason) {
                let bytes = encoded(&packet, Version::V5);
                let found = decode_from_server(&bytes, Version::V5, &LIMITS);
                assert_eq!(found, Ok(Some((packet, bytes.len()))));
            } else {
                assert!(
                    matches!(encode(&packet, Version::V5, &mut out), Err(EncodeError::Reason { .. })),
                    "{packet:?}"
                );
            }
        }
    }
}
