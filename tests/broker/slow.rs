//! Clients that do not read: what they cost is bounded, what may be dropped is counted, and what is stored comes later.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rewindmq::codec::{self, Connect, Packet, Publish};
use rewindmq::config::Config;
use rewindmq::store::MemoryStore;
use rewindmq::types::{PacketId, QoS, Version};

use super::client::{Client, Message, Post, Received, lasting, message, packet, post, v5};
use super::server::{Broker, config};

/// More of these than the system's own buffers hold make a client that does not read stand still.
const PAYLOAD: usize = 16 << 10;
const MANY: usize = 2_500;

/// A broker with this configuration and an empty store.
fn broker(change: impl FnOnce(&mut Config)) -> Broker {
    let mut config = config();
    change(&mut config);
    Broker::start_on(config, Arc::new(MemoryStore::new()))
}

/// Publishes so many large numbered messages.
fn flood(publisher: &mut Client, topic: &str, qos: u8, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let payload = format!("{number:PAYLOAD$}");
        let message = Post {
            qos,
            ..post(topic, &payload)
        };
        match qos {
            0 => drop(publisher.post(&message)),
            _ => assert!(!publisher.publish(&message).reason.is_error()),
        }
    }
    publisher.ping();
}

fn number(message: &Message) -> usize {
    message.text().trim_start().parse().expect("a number")
}

fn dropped(broker: &Broker) -> usize {
    ["queue_full", "slow_reader"]
        .map(|reason| broker.metric(&format!("rewindmq_dropped_total{{reason=\"{reason}\"}}")) as usize)
        .iter()
        .sum()
}

/// Takes messages up to one on the topic `u/end`; gives their numbers.
fn take_to_end(client: &mut Client) -> Vec<usize> {
    let messages = std::iter::from_fn(|| Some(client.take()).filter(|message| message.topic != "u/end"));
    messages.map(|message| number(&message)).collect()
}

#[test]
fn qos0_for_a_client_that_does_not_read_is_dropped_and_counted() {
    let broker = broker(|config| config.session.outbox_bytes = 64 << 10);
    let mut subscriber = broker.connect(v5("subscriber"));
    subscriber.subscribe("u/#", 1, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    flood(&mut publisher, "u/a", 0, 0..MANY);
    let dropped = dropped(&broker);
    assert!(dropped > MANY / 4, "most waits for nobody: {dropped}");
    publisher.publish(&post("u/end", ""));
    let got = take_to_end(&mut subscriber);
    assert!(got.is_sorted(), "order");
    assert_eq!(got.len() + dropped, MANY);
}

#[test]
fn qos1_for_a_client_that_does_not_acknowledge_is_bounded_and_counted() {
    let broker = broker(|config| config.session.max_queued_messages = Some(50));
    let mut subscriber = broker.connect(Connect {
        receive_maximum: Some(10),
        ..v5("subscriber")
    });
    subscriber.subscribe("u/#", 1, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    let count = 4_000;
    for number in 0..count {
        publisher.publish(&post("u/a", &number.to_string()));
    }
    let dropped = dropped(&broker);
    assert!(dropped > count / 2, "few wait: {dropped}");
    let got: Vec<usize> = (0..count - dropped).map(|_| number(&subscriber.take())).collect();
    assert!(got.is_sorted(), "order");
    subscriber.assert_quiet();
}

#[test]
fn replay_subscriber_that_stalls_gets_everything_later_and_holds_up_nobody() {
    for qos in [0, 1] {
        let broker = broker(|config| config.session.max_queued_bytes = Some(64 << 10));
        let mut publisher = broker.connect(v5("publisher"));
        let subscribers = ["slow", "quick"].map(|name| {
            let mut client = broker.connect(v5(name));
            client.subscribe("s/#", qos, &[("replay", "new")]);
            client
        });
        let [mut slow, mut quick] = subscribers;
        std::thread::scope(|scope| {
            scope.spawn(|| (0..MANY).for_each(|expected| assert_eq!(number(&quick.take()), expected)));
            flood(&mut publisher, "s/a", 1, 0..MANY);
        });
        for expected in 0..MANY {
            let message = slow.take();
            assert_eq!((number(&message), message.sequence()), (expected, expected as u64 + 1));
        }
        slow.assert_quiet();
    }
}

#[test]
fn durable_subscriber_that_stalls_gets_everything_later_and_once() {
    let broker = broker(|config| config.session.max_queued_bytes = Some(256 << 10));
    let mut publisher = broker.connect(v5("publisher"));
    let mut subscriber = broker.connect(lasting("subscriber"));
    subscriber.subscribe("u/#", 1, &[]);
    flood(&mut publisher, "u/a", 1, 0..MANY);
    for expected in 0..MANY {
        assert_eq!(number(&subscriber.take()), expected);
    }
    subscriber.assert_quiet();
}

#[test]
fn replay_that_is_cut_off_goes_on_where_writing_ended() {
    for qos in [0, 1] {
        let broker = Broker::start();
        let mut publisher = broker.connect(v5("publisher"));
        flood(&mut publisher, "s/a", 1, 0..MANY);
        let mut reader = broker.connect(lasting("reader"));
        reader.subscribe("s/#", qos, &[("replay", "first")]);
        let first = reader.next();
        let cut = reader.cut_unread(&broker);
        let mut written: Vec<usize> = [first].iter().map(number).collect();
        written.extend(cut.iter().filter_map(message).map(|message| number(&message)));
        assert!(written.len() < MANY, "cut off before the end");
        let mut reader = broker.connect(lasting("reader"));
        assert!(reader.connack.session_present);
        let mut next = number(&reader.take());
        assert!(
            next <= written.len(),
            "{next} comes after {} were written",
            written.len()
        );
        while next + 1 < MANY {
            let number = number(&reader.take());
            assert_eq!(number, next + 1);
            next = number;
        }
        reader.assert_quiet();
    }
}

#[test]
fn client_that_does_not_read_its_answers_is_not_read_from() {
    let broker = Broker::start();
    let mut client = broker.connect(v5("client"));
    // Twelve bytes that are answered with about fifty.
    let mut request = BytesMut::new();
    let publish = Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "$SYS/",
        packet_id: Some(PacketId::MIN),
        topic_alias: None,
        expiry_secs: None,
        properties: &[],
        has_hop_properties: false,
        has_user_properties: false,
        payload: &[],
    });
    codec::encode(&publish, Version::V5, &mut request).unwrap();
    let batch = request.repeat(5_000);
    let stream = client.stream();
    stream.set_write_timeout(Some(Duration::from_millis(700))).unwrap();
    let mut sent = 0;
    while sent < FLOOD_LIMIT {
        match stream.write(&batch[sent % request.len()..]) {
            Ok(bytes) => sent += bytes,
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
            Err(fault) => panic!("{fault}"),
        }
    }
    assert!(
        sent < FLOOD_LIMIT,
        "the broker reads on although nobody reads its answers"
    );
    let deadline = std::time::Instant::now() + super::client::DEADLINE;
    for _ in 0..sent / request.len() {
        let received = client.try_receive(deadline).expect("every request is answered");
        assert!(matches!(packet(&received), Some(Packet::PubAck(_))), "{received:?}");
    }
}

/// Bytes of requests whose answers are more than any buffers of the system hold.
const FLOOD_LIMIT: usize = 64 << 20;

#[test]
fn newest_message_reaches_a_client_that_reads_again() {
    let broker = broker(|config| config.session.outbox_bytes = 64 << 10);
    let mut subscriber = broker.connect(v5("subscriber"));
    subscriber.subscribe("u/#", 0, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    flood(&mut publisher, "u/a", 0, 0..MANY);
    let deadline = std::time::Instant::now() + super::client::DEADLINE;
    let kept = MANY - dropped(&broker);
    for _ in 0..kept {
        assert!(matches!(subscriber.try_receive(deadline), Ok(Received::Message(_))));
    }
    publisher.post(&Post {
        qos: 0,
        ..post("u/a", "-")
    });
    assert_eq!(subscriber.take().text(), "-");
}
