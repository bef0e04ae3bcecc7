//! Durable sessions in narrow places: where the disk is slow or fails, the client slow or odd, and after a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rewindmq::codec::{Ack, Connect, Packet, Will};
use rewindmq::config::Config;
use rewindmq::store::{FailingStore, Fault, MemoryStore, Store};
use rewindmq::types::{PacketId, QoS, ReasonCode};

use super::client::{Client, DEADLINE, Message, Post, lasting, packet, post, v5};
use super::server::{Broker, config, failing_store};

fn qos2<'a>(topic: &'a str, payload: &'a str) -> Post<'a> {
    Post {
        qos: 2,
        ..post(topic, payload)
    }
}

fn broker(store: &Arc<FailingStore>, change: impl FnOnce(&mut Config)) -> Broker {
    let mut config = config();
    change(&mut config);
    Broker::start_on(config, store.clone())
}

fn acknowledge(client: &mut Client, packet_id: Option<PacketId>) {
    let packet_id = packet_id.expect("QoS 1 or 2");
    client.send(&Packet::PubRec(Ack::new(packet_id, ReasonCode::Success)));
}

fn dropped(broker: &Broker) -> f64 {
    broker.metric(DROPPED)
}

const DROPPED: &str = "rewindmq_dropped_total{reason=\"session_limit\"}";

#[test]
fn absent_session_gets_a_topic_though_the_publisher_knows_one_that_nobody_wants() {
    let broker = Broker::start();
    let mut subscriber = broker.connect(lasting("subscriber"));
    subscriber.subscribe("u/#", 1, &[]);
    subscriber.disconnect();
    let mut publisher = broker.connect(v5("publisher"));
    publisher.publish(&post("nobody/wants", "1"));
    publisher.publish(&post("u/a", "2"));
    assert_eq!(broker.connect(lasting("subscriber")).take_texts(1), ["2"]);
}

#[test]
fn qos2_is_completed_though_the_client_takes_fewer_at_once_than_are_in_flight() {
    let broker = Broker::start();
    let mut subscriber = broker.connect(lasting("subscriber"));
    subscriber.subscribe("u/#", 2, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    for text in ["1", "2", "3"] {
        publisher.publish(&qos2("u/a", text));
        subscriber.next();
    }
    subscriber.cut();
    let mut subscriber = broker.connect(Connect {
        receive_maximum: Some(1),
        ..lasting("subscriber")
    });
    for text in ["1", "2", "3"] {
        let message = subscriber.take();
        assert_eq!(message.text(), text);
        subscriber.await_release(message.packet_id);
    }
    subscriber.assert_quiet();
}

#[test]
fn pubrel_follows_though_old_messages_are_dropped_while_it_waits() {
    let store = failing_store();
    let broker = broker(&store, |config| config.session.max_pending_messages = Some(5));
    let mut subscriber = broker.connect(Connect {
        receive_maximum: Some(2),
        ..lasting("subscriber")
    });
    subscriber.subscribe("u/#", 2, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    let mut flood = || (0..30).for_each(|number| drop(publisher.publish(&qos2("u/a", &number.to_string()))));
    flood();
    subscriber.leave_completing();
    let in_flight: Vec<Message> = (0..2).map(|_| subscriber.next()).collect();
    // A look at the limits has just been; the next one comes while the disk holds the place back.
    broker.await_metric(DROPPED, |dropped| dropped > 0.0);
    let before = dropped(&broker);
    flood();
    store.block();
    acknowledge(&mut subscriber, in_flight[0].packet_id);
    store.wait_blocked();
    acknowledge(&mut subscriber, in_flight[1].packet_id);
    subscriber.ping();
    broker.await_metric(DROPPED, |dropped| dropped > before);
    store.release();
    for message in in_flight {
        let released = subscriber.try_find(Instant::now() + DEADLINE, |received| match packet(received)? {
            Packet::PubRel(ack) => Some(ack.packet_id),
            _ => None,
        });
        assert_eq!(released.expect("PUBREL comes"), message.packet_id.expect("QoS 2"));
    }
}

#[test]
fn place_that_cannot_be_written_is_tried_again_now_and_then_only() {
    let store = failing_store();
    let broker = broker(&store, |_| {});
    let mut subscriber = broker.connect(lasting("subscriber"));
    subscriber.subscribe("u/#", 1, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    publisher.publish(&post("u/a", "1"));
    let message = subscriber.next();
    subscriber.ping();
    store.fail_from(1, Fault::Full);
    subscriber.acknowledge(&message);
    let begun = Instant::now();
    let before = store.writes();
    while store.writes() - before < 6 {
        assert!(begun.elapsed() < DEADLINE, "it is not tried again");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    // Each try is two writes: one with everything, and one without what takes room.
    assert!(begun.elapsed() > Duration::from_millis(50), "it is tried again at once");
}

#[test]
fn will_of_a_session_that_ends_with_the_broker_reaches_all_that_are_restored() {
    let disk = Arc::new(MemoryStore::new());
    let store = Arc::new(FailingStore::new(disk.clone()));
    let first = broker(&store, |_| {});
    first.connect(lasting("mortal")).disconnect();
    let mut heir = first.connect(lasting("heir"));
    heir.subscribe("u/#", 1, &[]);
    heir.disconnect();
    let will = Will {
        topic: "u/will".into(),
        payload: b"gone".to_vec(),
        qos: QoS::AtLeastOnce,
        retain: true,
        delay_secs: 0,
        expiry_secs: None,
        properties: Vec::new(),
    };
    let mortal = first.connect(Connect {
        session_expiry_secs: None,
        will: Some(will),
        ..lasting("mortal")
    });
    assert!(mortal.connack.session_present);
    store.freeze_from(1);
    drop(mortal);
    first.stop();
    let second = Broker::start_on(config(), disk);
    assert_eq!(second.connect(lasting("heir")).take_texts(1), ["gone"]);
    let mut newcomer = second.connect(v5("newcomer"));
    newcomer.subscribe("u/#", 1, &[]);
    assert_eq!(newcomer.take_texts(1), ["gone"]);
}

#[test]
fn limit_of_pending_bytes_counts_what_was_written_before_a_restart() {
    let disk: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let first = Broker::start_on(config(), disk.clone());
    let mut subscriber = first.connect(lasting("subscriber"));
    subscriber.subscribe("u/#", 1, &[]);
    subscriber.disconnect();
    let mut publisher = first.connect(v5("publisher"));
    let payload = "x".repeat(1 << 10);
    (0..200).for_each(|_| drop(publisher.publish(&post("u/a", &payload))));
    first.stop();
    let mut config = config();
    config.session.max_pending_bytes = Some(20 << 10);
    let second = Broker::start_on(config, disk);
    second.await_metric(DROPPED, |dropped| dropped > 100.0);
}

#[test]
fn client_that_never_acknowledges_its_first_message_is_not_sent_ever_more() {
    let broker = Broker::start();
    let mut subscriber = broker.connect(lasting("subscriber"));
    subscriber.subscribe("u/#", 1, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    let count = usize::from(u16::MAX) + 2;
    let publishing = std::thread::spawn(move || {
        for _ in 0..count.div_ceil(BATCH) {
            let sent: Vec<_> = (0..BATCH).filter_map(|_| publisher.post(&post("u/a", "x"))).collect();
            for packet_id in sent {
                publisher.publish_ack(packet_id);
            }
        }
    });
    let first = subscriber.next();
    for _ in 1..u16::MAX {
        subscriber.take();
    }
    publishing.join().expect("everything is published");
    subscriber.assert_quiet();
    subscriber.acknowledge(&first);
    for _ in usize::from(u16::MAX)..count.next_multiple_of(BATCH) {
        subscriber.take();
    }
}

const BATCH: usize = 100;
