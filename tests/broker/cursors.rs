//! Cursors across restarts, takeovers and resets: what is acknowledged never comes again, everything else does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rewindmq::codec::Connect;
use rewindmq::store::{MemoryStore, Store};

use super::client::{Client, Message, lasting, post, v5};
use super::flag::Flag;
use super::seed::Seed;
use super::server::{Broker, config};

/// A broker on a store that outlives it.
fn start(store: &Arc<dyn Store>) -> Broker {
    Broker::start_on(config(), store.clone())
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn fill(broker: &Broker, numbers: std::ops::RangeInclusive<u64>) {
    let mut publisher = broker.connect(v5("publisher"));
    for number in numbers {
        publisher.publish(&post("s/a", &number.to_string()));
    }
}

fn sequences(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(Message::sequence).collect()
}

/// The next messages, not acknowledged.
fn next(client: &mut Client, count: usize) -> Vec<Message> {
    (0..count).map(|_| client.next()).collect()
}

fn redelivered(messages: &[Message]) -> Vec<bool> {
    let flags = messages.iter().map(|message| message.user("es-redelivered"));
    flags.map(|flag| flag.as_deref() == Some("true")).collect()
}

#[test]
fn after_a_graceful_stop_exactly_what_was_not_acknowledged_comes_again() {
    for filter in ["s/#", "s/a", "$share/group/s/#"] {
        let store = store();
        let broker = start(&store);
        fill(&broker, 1..=10);
        let mut reader = broker.connect(Connect {
            receive_maximum: Some(8),
            ..v5("reader")
        });
        reader.subscribe(filter, 1, &[("replay", "first")]);
        let messages = next(&mut reader, 8);
        for index in [0, 1, 2, 4, 7] {
            reader.acknowledge(&messages[index]);
        }
        reader.ping();
        drop(messages);
        broker.stop();
        drop(reader);
        let broker = start(&store);
        fill(&broker, 11..=11);
        let mut reader = broker.connect(v5("reader"));
        reader.subscribe(filter, 1, &[("replay", "first")]);
        let messages = next(&mut reader, 6);
        let flags = redelivered(&messages);
        assert_eq!(sequences(&messages), [4, 6, 7, 9, 10, 11], "{filter}");
        assert_eq!(flags[..3], [true; 3], "{filter}");
        assert!(!flags[5], "{filter}");
        reader.assert_quiet();
    }
}

#[test]
fn qos2_is_acknowledged_by_pubcomp_alone() {
    let broker = Broker::start();
    fill(&broker, 1..=3);
    let mut reader = broker.connect(lasting("reader"));
    reader.subscribe("s/#", 2, &[("replay", "first")]);
    let mut publisher = broker.connect(v5("publisher"));
    let qos2 = super::client::Post {
        qos: 2,
        ..post("s/a", "4")
    };
    publisher.publish(&qos2);
    let messages = next(&mut reader, 4);
    messages[..3].iter().for_each(|message| reader.acknowledge(message));
    reader.cut();
    let mut reader = broker.connect(lasting("reader"));
    let again = reader.next();
    assert_eq!(
        (again.sequence(), again.dup, again.packet_id),
        (4, true, messages[3].packet_id)
    );
    reader.acknowledge(&again);
    reader.await_release(again.packet_id);
    reader.assert_quiet();
    reader.disconnect();
    let mut reader = broker.connect(v5("reader"));
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    reader.assert_quiet();
}

#[test]
fn kept_session_goes_on_without_subscribe_in_flight_first() {
    let broker = Broker::start();
    fill(&broker, 1..=5);
    let mut reader = broker.connect(Connect {
        receive_maximum: Some(3),
        ..lasting("reader")
    });
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    let before = next(&mut reader, 3);
    reader.acknowledge(&before[1]);
    let fourth = reader.next();
    reader.cut();
    fill(&broker, 6..=6);
    let mut reader = broker.connect(lasting("reader"));
    assert!(reader.connack.session_present);
    let messages = next(&mut reader, 5);
    assert_eq!(sequences(&messages), [1, 3, 4, 5, 6]);
    let dups: Vec<bool> = messages.iter().map(|message| message.dup).collect();
    assert_eq!(dups, [true, true, true, false, false]);
    let ids: Vec<_> = messages[..3].iter().map(|message| message.packet_id).collect();
    assert_eq!(ids, [before[0].packet_id, before[2].packet_id, fourth.packet_id]);
}

#[test]
fn reset_of_a_cursor_in_use_starts_again_and_survives_a_restart() {
    for filter in ["s/#", "$share/group/s/#"] {
        let store = store();
        let broker = start(&store);
        fill(&broker, 1..=3);
        let mut reader = broker.connect(v5("reader"));
        reader.subscribe(filter, 1, &[("replay", "first")]);
        assert_eq!(reader.take_texts(3), ["1", "2", "3"]);
        reader.unsubscribe(filter, &[("cursor", "keep")]);
        for _ in 0..2 {
            reader.subscribe(filter, 1, &[("replay", "first"), ("cursor", "reset")]);
            assert_eq!(reader.take_texts(3), ["1", "2", "3"], "{filter}");
            reader.assert_quiet();
        }
        reader.disconnect();
        broker.stop();
        let broker = start(&store);
        let mut reader = broker.connect(v5("reader"));
        let ack = reader.subscribe(filter, 1, &[("replay", "first")]);
        assert!(
            ack.user_properties.contains(&("es-start".into(), "resumed".into())),
            "{ack:?}"
        );
        reader.assert_quiet();
        reader.unsubscribe(filter, &[]);
        broker.stop();
        let broker = start(&store);
        assert!(broker.metric("rewindmq_cursors") < 0.5, "{filter}");
    }
}

#[test]
fn cursor_that_was_deleted_stays_deleted_after_a_restart() {
    let store = store();
    let broker = start(&store);
    fill(&broker, 1..=3);
    let mut reader = broker.connect(v5("reader"));
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    assert_eq!(reader.take_texts(3), ["1", "2", "3"]);
    reader.unsubscribe("s/#", &[]);
    broker.stop();
    let broker = start(&store);
    let mut reader = broker.connect(v5("reader"));
    let ack = reader.subscribe("s/#", 1, &[("replay", "last")]);
    assert!(
        ack.user_properties.contains(&("es-start".into(), "fresh".into())),
        "{ack:?}"
    );
    assert_eq!(reader.take_texts(1), ["3"]);
}

#[test]
fn assigned_client_identifier_without_a_session_leaves_no_cursor() {
    let store = store();
    let broker = start(&store);
    let mut reader = broker.connect(v5(""));
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    reader.disconnect();
    let mut reader = broker.connect(v5(""));
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    reader.cut();
    broker.stop();
    let broker = start(&store);
    assert!(broker.metric("rewindmq_cursors") < 0.5);
}

/// A reader whose connections are taken over or cut at random while events come; it acknowledges some of them.
#[test]
fn nothing_is_lost_when_connections_change_under_load() {
    let mut seed = Seed::new();
    let broker = Broker::start();
    let (stop, sent) = (Flag::default(), AtomicU64::new(0));
    let mut acknowledged = BTreeSet::new();
    std::thread::scope(|scope| {
        let _stop = stop.guard();
        scope.spawn(|| {
            let mut publisher = broker.connect(v5("publisher"));
            while !stop.is_raised() {
                let number = sent.load(Ordering::SeqCst) + 1;
                publisher.publish(&post(["s/a", "s/b"][number as usize % 2], &number.to_string()));
                sent.store(number, Ordering::SeqCst);
            }
        });
        let mut earlier = None;
        for round in 0..60 {
            let is_kept = seed.random.bool();
            let connect = Connect {
                receive_maximum: Some(seed.random.u16(4..50)),
                clean_start: !is_kept,
                ..lasting("reader")
            };
            let mut reader = broker.connect(connect);
            if !reader.connack.session_present {
                reader.subscribe("s/#", 1, &[("replay", "first")]);
            }
            let mut newest = [0; 2];
            let (mut seen, mut open) = (BTreeSet::new(), 0);
            for _ in 0..seed.random.usize(0..80) {
                let message = reader.next();
                let channel = usize::from(message.topic == "s/b");
                assert!(message.sequence() > newest[channel], "order in round {round}");
                newest[channel] = message.sequence();
                assert!(seen.insert((channel, message.sequence())), "twice in round {round}");
                if seed.random.u8(0..4) > 0 {
                    reader.acknowledge(&message);
                    acknowledged.insert((channel, message.sequence()));
                } else {
                    open += 1;
                }
                if open == 1 + round % 3 {
                    break;
                }
            }
            match seed.random.u8(0..3) {
                0 => drop(reader.cut()),
                1 => reader.disconnect(),
                _ => earlier = Some(reader),
            }
        }
        drop(earlier);
    });
    let total = sent.load(Ordering::SeqCst);
    let mut reader = broker.connect(v5("reader"));
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    while (acknowledged.len() as u64) < total {
        let message = reader.take();
        acknowledged.insert((usize::from(message.topic == "s/b"), message.sequence()));
    }
}
