//! The session's rules, one by one: packets and deliveries in, packets as text out. No socket and no clock.

mod aliases;
mod diagnostics;
mod durable;
mod durable_model;
mod model;
mod packets;
mod publishing;
mod receiving;
mod restart;
mod resume;
mod run;
mod size;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::codec::{self, Ack, DecodeLimits, Publish};
use crate::types::{Message, MessageParts, PacketId, Position, QoS, ReasonCode, Sequence, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000_000_000);
const KEY: SubscriptionKey = SubscriptionKey(3);

/// An MQTT 5 connection without anything special.
fn v5() -> LinkOptions {
    LinkOptions {
        version: Version::V5,
        server_receive_maximum: 10,
        ..LinkOptions::default()
    }
}

fn v3() -> LinkOptions {
    LinkOptions::default()
}

fn receive_maximum(client_receive_maximum: u16) -> LinkOptions {
    LinkOptions {
        client_receive_maximum,
        ..v5()
    }
}

fn session(options: LinkOptions) -> Session {
    Session::new("client".into(), options)
}

fn id(n: u16) -> PacketId {
    PacketId::new(n).expect("not zero")
}

fn after(secs: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(secs))
}

/// A live delivery of this QoS to `t`; its payload is `payload`.
fn live(qos: u8, payload: &str) -> Delivery {
    delivery("t", qos, payload, None)
}

fn delivery(topic: &str, qos: u8, payload: &str, expiry_secs: Option<u32>) -> Delivery {
    let qos = QoS::from_bits(qos).expect("a QoS");
    let parts = MessageParts {
        topic,
        properties: &[],
        payload: payload.as_bytes(),
        qos,
        retain: false,
        expiry_secs,
        received: NOW,
    };
    Delivery {
        message: Arc::new(Message::new(parts, None)),
        qos,
        retain: false,
        subscription_ids: SubscriptionIds::new(),
        source: Source::Live,
        event: None,
    }
}

/// A delivery from a replay subscription or, with `Source::Group`, a group.
fn stored(qos: u8, position: u64, source: fn(SubscriptionKey, Position) -> Source) -> Delivery {
    Delivery {
        source: source(KEY, Position(position)),
        event: Some(EventPlace {
            sequence: Sequence(position),
            time: Timestamp(7),
            redelivered: false,
        }),
        ..live(qos, &position.to_string())
    }
}

/// A delivery from the plain subscriptions of a durable session.
fn kept(qos: u8, position: u64) -> Delivery {
    Delivery {
        source: Source::Session(Position(position)),
        ..live(qos, &position.to_string())
    }
}

/// Whether the delivery went out.
fn send(session: &mut Session, delivery: Delivery) -> bool {
    match session.send(delivery, NOW) {
        Sent::Written => true,
        Sent::Blocked(_) => false,
        Sent::Dropped(reason, _) => panic!("dropped: {reason:?}"),
    }
}

/// A QoS 1 delivery that the client acknowledges at once; gives its packet identifier.
fn send_and_acknowledge(session: &mut Session) -> u16 {
    assert!(send(session, live(1, "")));
    let output = std::mem::take(session.output());
    // Type, length, the length of the topic, one letter of topic.
    let packet_id = u16::from_be_bytes([output[5], output[6]]);
    acknowledge(session, Packet::PubAck, packet_id, 0);
    packet_id
}

fn dropped(session: &mut Session, delivery: Delivery, now: Timestamp) -> Option<DropReason> {
    match session.send(delivery, now) {
        Sent::Dropped(reason, _) => Some(reason),
        _ => None,
    }
}

/// A PUBLISH of the client to `t`.
fn publish(qos: u8, packet_id: u16) -> Packet<'static> {
    Packet::Publish(Publish {
        dup: false,
        qos: QoS::from_bits(qos).expect("a QoS"),
        retain: false,
        topic: "t",
        packet_id: PacketId::new(packet_id),
        topic_alias: None,
        expiry_secs: None,
        properties: &[],
        has_hop_properties: false,
        has_user_properties: false,
        payload: b"x",
    })
}

/// The client publishes a message that is new; gives its token.
fn publish_new(session: &mut Session, qos: u8, packet_id: u16) -> PublishToken {
    match session.handle_packet(publish(qos, packet_id)) {
        Ok(Action::Publish(incoming)) => incoming.token.expect("QoS 1 and 2 have a token"),
        other => panic!("not a new message: {other:?}"),
    }
}

/// The client publishes something that nothing is to be done about beyond what the session does itself.
fn publish_again(session: &mut Session, qos: u8, packet_id: u16) {
    let action = session.handle_packet(publish(qos, packet_id)).expect("no fault");
    assert!(matches!(action, Action::None), "{action:?}");
}

fn accept(session: &mut Session, token: PublishToken) {
    session
        .handle_outcome(token, PublishOutcome::accepted())
        .expect("no fault");
}

/// Handles an acknowledgement; gives the source if a cursor moves.
fn acknowledge(session: &mut Session, packet: fn(Ack) -> Packet<'static>, packet_id: u16, code: u8) -> Option<Source> {
    let reason = ReasonCode::from_byte(code).expect("a reason code");
    match session.handle_packet(packet(Ack::new(id(packet_id), reason))) {
        Ok(Action::Acked(source)) => Some(source),
        Ok(Action::None) => None,
        other => panic!("unexpected {other:?}"),
    }
}

/// The reason of the fault that the packet is.
fn fault(session: &mut Session, packet: Packet<'_>) -> ReasonCode {
    session.handle_packet(packet).expect_err("the packet is a fault").reason
}

/// Everything the session wrote since the last time, a line per packet.
fn written(session: &mut Session) -> Vec<String> {
    let version = session.version();
    let bytes: Bytes = std::mem::take(session.output()).freeze();
    decode(&bytes, version)
}

fn decode(mut bytes: &[u8], version: Version) -> Vec<String> {
    let limits = DecodeLimits {
        max_packet_size: u32::MAX,
    };
    let mut lines = Vec::new();
    while let Some((packet, len)) = codec::decode_from_server(bytes, version, &limits).expect("well-formed") {
        lines.push(describe(&packet));
        bytes = &bytes[len..];
    }
    assert!(bytes.is_empty(), "half a packet");
    lines
}

fn describe(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Publish(publish) => describe_publish(publish),
        Packet::PubAck(ack) => describe_ack("PUBACK", ack),
        Packet::PubRec(ack) => describe_ack("PUBREC", ack),
        Packet::PubRel(ack) => describe_ack("PUBREL", ack),
        Packet::PubComp(ack) => describe_ack("PUBCOMP", ack),
        Packet::PingResp => "PINGRESP".into(),
        other => format!("{other:?}"),
    }
}

/// `PUBLISH q1 #1 dup t alias=2 expiry=3 es-seq=4 'payload'`, each part where it is there.
fn describe_publish(publish: &Publish<'_>) -> String {
    let mut line = format!("PUBLISH q{}", publish.qos.bits());
    let mut part = |text: String| line.extend([" ", &text]);
    if let Some(packet_id) = publish.packet_id {
        part(format!("#{packet_id}"));
    }
    if publish.dup {
        part("dup".into());
    }
    if publish.retain {
        part("retain".into());
    }
    if !publish.topic.is_empty() {
        part(publish.topic.into());
    }
    if let Some(alias) = publish.topic_alias {
        part(format!("alias={alias}"));
    }
    if let Some(secs) = publish.expiry_secs {
        part(format!("expiry={secs}"));
    }
    for (name, value) in codec::user_properties(publish.properties) {
        part(format!("{name}={value}"));
    }
    part(format!("'{}'", String::from_utf8_lossy(publish.payload)));
    line
}

/// `PUBACK #1 0x97 'why' es-seq=4`, each part where it is there.
fn describe_ack(name: &str, ack: &Ack) -> String {
    let mut line = format!("{name} #{}", ack.packet_id);
    if ack.reason != ReasonCode::Success {
        line += &format!(" {:#04x}", ack.reason.byte());
    }
    if let Some(why) = &ack.reason_string {
        line += &format!(" '{why}'");
    }
    for (name, value) in &ack.user_properties {
        line += &format!(" {name}={value}");
    }
    line
}
