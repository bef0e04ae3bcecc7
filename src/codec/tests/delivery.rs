//! What a subscriber gets, byte for byte, and that its length is known beforehand.

use bytes::BytesMut;

use super::{LIMITS, id, wire};
use crate::codec::*;
use crate::types::{Message, MessageParts, QoS, Sequence, Timestamp, Version};

fn message(topic: &str, properties: &[u8], payload: &[u8]) -> Message {
    let parts = MessageParts {
        topic,
        properties,
        payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        expiry_secs: None,
        received: Timestamp(0),
    };
    Message::new(parts, None)
}

fn plain(message: &Message) -> Delivery<'_> {
    Delivery {
        topic: message.topic_bytes(),
        properties: message.properties(),
        payload: message.payload(),
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        packet_id: None,
        expiry_secs: None,
        topic_alias: None,
        send_topic: true,
        subscription_ids: &[],
        event: None,
    }
}

const EVENT: EventProperties<'_> = EventProperties {
    sequence: Sequence(7),
    time: Timestamp(1_700_000_000_000_000_000),
    channel: b"a.b",
    redelivered: false,
};

/// The bytes of a delivery, which must be as many as were announced and be read by a client.
fn delivered(delivery: &Delivery<'_>, version: Version) -> Vec<u8> {
    let mut out = BytesMut::from(&b"before"[..]);
    encode_delivery(delivery, version, &mut out);
    let bytes = out[6..].to_vec();
    assert_eq!(bytes.len(), delivery_len(delivery, version));
    let (packet, len) = decode_from_server(&bytes, version, &LIMITS)
        .expect("well formed")
        .expect("whole");
    let Packet::Publish(publish) = packet else {
        panic!("a PUBLISH: {packet:?}")
    };
    assert_eq!((len, publish.payload), (bytes.len(), delivery.payload));
    assert_eq!(
        (publish.qos, publish.retain, publish.packet_id),
        (delivery.qos, delivery.retain, delivery.packet_id)
    );
    bytes
}

#[test]
fn a_plain_delivery_is_the_message() {
    let raw = wire("26 'k' 'v' 03 'ct'");
    let message = message("a/b", &raw, b"hi");
    assert_eq!(
        delivered(&plain(&message), Version::V5),
        wire("30 ('a/b' (26 'k' 'v' 03 'ct') 6869)")
    );
    assert_eq!(delivered(&plain(&message), Version::V3), wire("30 ('a/b' 6869)"));
}

#[test]
fn what_is_added_stands_before_the_publishers_properties_and_the_event_behind() {
    let raw = wire("26 'k' 'v'");
    let message = message("a/b", &raw, b"hi");
    let delivery = Delivery {
        dup: true,
        qos: QoS::AtLeastOnce,
        retain: true,
        packet_id: Some(id(258)),
        expiry_secs: Some(60),
        topic_alias: Some(5),
        subscription_ids: &[1, 128],
        event: Some(EventProperties {
            redelivered: true,
            ..EVENT
        }),
        ..plain(&message)
    };
    let expected = wire(
        "3B ('a/b' 0102 (02 0000003C 23 0005 0B 01 0B 8001 26 'k' 'v' 26 'es-seq' '7' \
         26 'es-time' '1700000000000000000' 26 'es-channel' 'a.b' 26 'es-redelivered' 'true') 6869)",
    );
    assert_eq!(delivered(&delivery, Version::V5), expected);
    assert_eq!(delivered(&delivery, Version::V3), wire("3B ('a/b' 0102 6869)"));
}

#[test]
fn a_known_alias_stands_for_the_topic_in_v5_only() {
    let message = message("a/b", &[], b"");
    let delivery = Delivery {
        topic_alias: Some(9),
        send_topic: false,
        ..plain(&message)
    };
    assert_eq!(delivered(&delivery, Version::V5), wire("30 ('' (23 0009))"));
    assert_eq!(delivered(&delivery, Version::V3), wire("30 ('a/b')"));
}

#[test]
fn dup_is_not_sent_at_qos_0() {
    let message = message("a", &[], b"");
    let delivery = Delivery {
        dup: true,
        ..plain(&message)
    };
    assert_eq!(delivered(&delivery, Version::V5), wire("30 ('a' ())"));
}

#[test]
fn names_that_are_ours_are_left_out_where_we_use_them_and_pass_elsewhere() {
    let raw = wire(
        "26 'es-seq' '1' 26 'k' 'v' 26 'es-time' 'x' 26 'es-sequence' '2' 09 'es-seq' 26 'es-channel' '' \
         26 'es-redelivered' 'false' 26 'ES-SEQ' '3' 01 01",
    );
    let message = message("a/b", &raw, b"");
    let names = |delivery: &Delivery<'_>| {
        let bytes = delivered(delivery, Version::V5);
        let (packet, _) = decode_from_server(&bytes, Version::V5, &LIMITS)
            .expect("well formed")
            .expect("whole");
        let Packet::Publish(publish) = packet else {
            panic!("a PUBLISH")
        };
        let names: Vec<_> = user_properties(publish.properties)
            .map(|(name, text)| format!("{name}={text}"))
            .collect();
        (names.join(" "), properties(publish.properties).count())
    };
    let (replayed, count) = names(&Delivery {
        event: Some(EVENT),
        ..plain(&message)
    });
    assert_eq!(
        replayed,
        "k=v es-sequence=2 ES-SEQ=3 es-seq=7 es-time=1700000000000000000 es-channel=a.b"
    );
    assert_eq!(count, 8, "correlation data and payload format stay");
    let (live, count) = names(&plain(&message));
    assert!(live.starts_with("es-seq=1 k=v es-time=x"));
    assert_eq!(count, 9);
}

#[test]
fn numbers_have_no_more_digits_than_they_need() {
    let message = message("a", &[], b"");
    for number in [
        0,
        1,
        9,
        10,
        99,
        100,
        12_345,
        u64::from(u32::MAX),
        10_000_000_000_000_000_000,
        u64::MAX,
    ] {
        let event = EventProperties {
            sequence: Sequence(number),
            time: Timestamp(number),
            ..EVENT
        };
        let bytes = delivered(
            &Delivery {
                event: Some(event),
                ..plain(&message)
            },
            Version::V5,
        );
        let text = number.to_string();
        let found = bytes
            .windows(text.len())
            .filter(|window| *window == text.as_bytes())
            .count();
        assert!(found >= 2, "{number}");
    }
}

#[test]
fn a_channel_longer_than_a_string_is_left_out() {
    let message = message("a", &[], b"x");
    for (len, there) in [(65_535, true), (65_536, false)] {
        let channel = "c".repeat(len);
        let event = EventProperties {
            channel: channel.as_bytes(),
            ..EVENT
        };
        let bytes = delivered(
            &Delivery {
                event: Some(event),
                ..plain(&message)
            },
            Version::V5,
        );
        assert_eq!(bytes.len() > 65_535, there);
    }
}

#[test]
fn the_length_is_exact_for_anything() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..3_000 {
        let mut raw = Vec::new();
        for _ in 0..random.usize(..4) {
            let name = ["es-seq", "es-time", "es-channel", "es-redelivered", "other", ""][random.usize(..6)];
            encode_user_property(name, &"v".repeat(random.usize(..200)), &mut raw);
        }
        let topic = "t".repeat(random.usize(1..300));
        let message = message(&topic, &raw, &vec![0; random.usize(..20_000)]);
        let ids: Vec<u32> = (0..random.usize(..4))
            .map(|_| random.u32(1..268_435_456) >> random.u32(..20))
            .collect();
        let ids: Vec<u32> = ids.into_iter().map(|id| id.max(1)).collect();
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][random.usize(..3)];
        let alias = random.bool();
        let delivery = Delivery {
            topic: message.topic_bytes(),
            properties: message.properties(),
            payload: message.payload(),
            dup: random.bool(),
            qos,
            retain: random.bool(),
            packet_id: (qos > QoS::AtMostOnce).then(|| id(random.u16(1..))),
            expiry_secs: random.bool().then(|| random.u32(..)),
            topic_alias: alias.then(|| random.u16(1..)),
            send_topic: !alias || random.bool(),
            subscription_ids: &ids,
            event: random.bool().then(|| EventProperties {
                sequence: Sequence(random.u64(..) >> random.u32(..64)),
                redelivered: random.bool(),
                ..EVENT
            }),
        };
        delivered(&delivery, Version::V5);
        delivered(&delivery, Version::V3);
    }
}
