//! The checks of the history find what they are there for: what is lost, doubled, late, invented or misplaced.

use std::collections::HashMap;

use rewindmq::types::{PacketId, QoS};

use super::ledger::{Ledger, StreamId};
use super::replayer::{Keeps, Seen};
use super::retained;
use super::store::Store;
use super::subscriber::Exchanges;
use super::witness::{Witness, matches};
use crate::client::Message;

const QOS1: StreamId = StreamId(0);
const QOS2: StreamId = StreamId(1);
const RETAINED: StreamId = StreamId(2);

/// Three publishers that have sent nothing.
fn silent() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.add("once", "events/0", 1);
    ledger.add("twice", "events/0", 2);
    ledger.add("retaining", "retained/0", 1);
    ledger
}

/// Each of them has sent five messages.
fn ledger() -> Ledger {
    let ledger = silent();
    send(&ledger);
    ledger
}

fn send(ledger: &Ledger) {
    for id in ledger.ids() {
        for _ in 0..5 {
            ledger.stream(id).next();
        }
    }
}

/// A subscription of this QoS from before the first message.
fn subscribed(qos: u8, ledger: &Ledger) -> Witness {
    let silent = silent();
    let mut witness = Witness::new(&[("events/#", qos)], None, ledger);
    witness.subscribes(&silent);
    witness.subscribed(&silent);
    witness
}

fn message(ledger: &Ledger, id: StreamId, number: u64, qos: u8) -> Message {
    let stream = ledger.stream(id);
    Message {
        topic: stream.topic.to_owned(),
        payload: stream.text(number).into_bytes(),
        qos: QoS::from_bits(qos).expect("a QoS"),
        retain: false,
        dup: false,
        packet_id: PacketId::new(1),
        properties: Vec::new(),
    }
}

/// What such a subscription says of these numbers of a stream, each over the connection beside it.
fn witness(qos: u8, id: StreamId, came: &[(u64, u32)]) -> Result<(), String> {
    let ledger = ledger();
    let mut witness = subscribed(qos, &ledger);
    let published = ledger.stream(id).qos;
    for (number, connection) in came {
        witness.given(&message(&ledger, id, *number, qos.min(published)), *connection, &ledger)?;
    }
    Ok(())
}

/// All five numbers over the first connection, changed as the test wants.
fn all(change: impl FnOnce(&mut Vec<(u64, u32)>)) -> Vec<(u64, u32)> {
    let mut came = (1..=5).map(|number| (number, 1)).collect();
    change(&mut came);
    came
}

fn assert_fault<T: std::fmt::Debug>(result: Result<T, String>, wanted: &str) {
    let fault = result.expect_err(wanted);
    assert!(fault.contains(wanted), "{fault} should say: {wanted}");
}

#[test]
fn a_lost_message_is_found_by_the_next_one() {
    for (id, qos) in [(QOS1, 1), (QOS1, 2), (QOS2, 1), (QOS2, 2)] {
        let without = |index: usize| {
            let mut came = all(|_| ());
            came.remove(index);
            witness(qos, id, &came)
        };
        assert_fault(without(2), "4 came before number 3: that one is lost or late");
        assert_fault(without(0), "2 came before number 1: that one is lost or late");
    }
}

#[test]
fn a_lost_last_message_is_missing() {
    let ledger = ledger();
    let mut witness = subscribed(2, &ledger);
    let mut give = |id: StreamId, number| {
        let message = message(&ledger, id, number, ledger.stream(id).qos);
        witness.given(&message, 1, &ledger).unwrap();
        witness.missing(&ledger)
    };
    for number in 1..=5 {
        let missing = give(QOS1, number);
        assert!(missing.is_some_and(|missing| missing.ends_with("has not come")));
    }
    for number in 1..=4 {
        let wanted = format!("twice events/0 {} has not come", number + 1);
        assert_eq!(give(QOS2, number), Some(wanted));
    }
    assert_eq!(give(QOS2, 5), None);
}

#[test]
fn a_doubled_message_of_qos_2_is_found() {
    let again = all(|came| came.push((3, 2)));
    assert_fault(witness(2, QOS2, &again), "3 came twice: over connections 1 and 2");
}

#[test]
fn a_message_of_qos_2_comes_again_at_qos_1_only_over_another_connection() {
    witness(1, QOS2, &all(|came| came.push((3, 2)))).unwrap();
    assert_fault(
        witness(1, QOS2, &all(|came| came.push((3, 1)))),
        "3 came twice over connection 1",
    );
}

#[test]
fn a_message_of_qos_1_may_come_again() {
    for qos in [1, 2] {
        witness(qos, QOS1, &all(|came| came.extend([(4, 1), (5, 1)]))).unwrap();
    }
}

#[test]
fn a_reordered_message_is_found() {
    for (id, qos) in [(QOS1, 1), (QOS2, 2)] {
        assert_fault(witness(qos, id, &all(|came| came.swap(1, 2))), "3 came before number 2");
    }
}

#[test]
fn an_invented_message_is_found() {
    let ledger = ledger();
    for (topic, text) in [
        ("events/0", "once events/0 6"),
        ("events/0", "once events/0 0"),
        ("events/0", "once events/0 x"),
        ("events/0", "nobody events/0 1"),
        ("events/1", "once events/0 1"),
        ("events/0", "once events/1 1"),
        ("events/0", "once"),
        ("events/0", ""),
    ] {
        assert_fault(ledger.find(topic, text.as_bytes()), "was invented");
    }
    assert_eq!(ledger.find("events/0", b"once events/0 5"), Ok((QOS1, 5)));
}

#[test]
fn a_message_that_matches_nothing_or_has_another_qos_is_found() {
    let ledger = ledger();
    let mut witness = Witness::new(&[("events/#", 1), ("events/0", 2)], None, &ledger);
    witness.subscribes(&ledger);
    let stray = message(&ledger, RETAINED, 1, 1);
    assert_fault(witness.given(&stray, 1, &ledger), "matches no filter");
    assert_fault(
        witness.given(&message(&ledger, QOS2, 1, 1), 1, &ledger),
        "came with QoS 1",
    );
    let retained = Message {
        retain: true,
        ..message(&ledger, QOS2, 1, 2)
    };
    assert_fault(witness.given(&retained, 1, &ledger), "RETAIN true");
    witness.given(&message(&ledger, QOS2, 1, 2), 1, &ledger).unwrap();
}

#[test]
fn what_was_acknowledged_before_the_subscription_does_not_come_and_what_was_sent_after_it_does() {
    let ledger = ledger();
    for number in 1..=2 {
        ledger.stream(QOS2).acknowledge(number).unwrap();
    }
    let witness = || {
        let mut witness = Witness::new(&[("events/#", 2)], None, &ledger);
        witness.subscribes(&ledger);
        witness.subscribed(&ledger);
        witness
    };
    let given = |number: u64| witness().given(&message(&ledger, QOS2, number, 2), 1, &ledger);
    assert_fault(given(2), "number 2 was acknowledged before SUBSCRIBE");
    for number in 3..=5 {
        given(number).unwrap();
    }
    let waiting = witness();
    assert_eq!(waiting.missing(&ledger), None);
    ledger.stream(QOS2).next();
    assert_eq!(
        waiting.missing(&ledger).as_deref(),
        Some("twice events/0 6 has not come")
    );
    let mut late = witness();
    assert_eq!(late.missing(&ledger), None);
    ledger.stream(QOS2).next();
    ledger.stream(QOS2).next();
    assert_fault(
        late.given(&message(&ledger, QOS2, 8, 2), 1, &ledger),
        "8 came before number 7",
    );
}

#[test]
fn acknowledgements_out_of_order_are_found() {
    let ledger = ledger();
    ledger.stream(QOS1).acknowledge(1).unwrap();
    assert_fault(ledger.stream(QOS1).acknowledge(3), "3 was acknowledged after number 1");
}

#[test]
fn a_packet_identifier_holds_its_message_until_pubrel() {
    let ledger = ledger();
    let id = PacketId::new(1).unwrap();
    let first = message(&ledger, QOS2, 1, 2);
    let resent = Message {
        dup: true,
        ..first.clone()
    };
    let mut exchanges = Exchanges::default();
    assert_eq!(exchanges.begin(&first), Ok(true));
    assert_eq!(exchanges.begin(&resent), Ok(false));
    assert_fault(exchanges.begin(&first), "again without DUP");
    assert_fault(
        exchanges.begin(&message(&ledger, QOS2, 2, 2)),
        "in place of twice events/0 1",
    );
    exchanges.record(id);
    assert_eq!(exchanges.release(id), Ok(true));
    assert_eq!(exchanges.release(id), Ok(false));
    assert_eq!(exchanges.begin(&first), Ok(true));
    assert_fault(exchanges.release(id), "before it has sent PUBREC");
}

#[test]
fn a_store_with_gaps_doubles_strangers_or_losses_is_found() {
    let ledger = ledger();
    let text = |id, number| ledger.stream(id).text(number).into_bytes();
    let mut store = Store::default();
    let add = |store: &mut Store, sequence, payload: &[u8]| store.add("events/0", sequence, payload, &ledger);
    add(&mut store, 1, &text(QOS1, 1)).unwrap();
    assert_fault(add(&mut store, 3, &text(QOS1, 2)), "has sequence 3, not 2");
    assert_fault(add(&mut store, 1, &text(QOS1, 2)), "has sequence 1, not 2");
    add(&mut store, 2, &text(QOS1, 1)).unwrap();
    add(&mut store, 3, &text(QOS2, 1)).unwrap();
    assert_fault(add(&mut store, 4, &text(QOS2, 1)), "stored twice or late");
    assert_fault(add(&mut store, 4, &text(QOS2, 3)), "3 is stored after number 1");
    assert_fault(add(&mut store, 4, b"stranger"), "was invented");
    let stray = store.add("retained/0", 1, &text(RETAINED, 1), &ledger);
    assert_fault(stray, "is an event");
    assert_eq!(store.missing(&ledger).as_deref(), Some("once events/0 2 is not stored"));
}

#[test]
fn an_old_or_missing_or_second_retained_message_is_found() {
    let ledger = ledger();
    for number in 1..=3 {
        ledger.stream(RETAINED).acknowledge(number).unwrap();
    }
    let add = |number| {
        let mut found = HashMap::new();
        let text = ledger.stream(RETAINED).text(number);
        retained::add(&mut found, "retained/0", text.as_bytes(), &ledger).map(|()| found)
    };
    assert_fault(add(2), "2 is retained, number 3 was acknowledged");
    for number in 3..=5 {
        assert_eq!(retained::missing(&add(number).unwrap(), &ledger), None);
    }
    assert_fault(add(6), "was invented");
    let none = retained::missing(&HashMap::new(), &ledger);
    assert_eq!(none.as_deref(), Some("retaining retained/0 3 is not retained"));
    let mut twice = add(5).unwrap();
    assert_fault(
        retained::add(&mut twice, "retained/0", b"retaining retained/0 4", &ledger),
        "two retained messages",
    );
}

#[test]
fn a_cursor_that_skips_or_goes_back_is_found() {
    let mut seen = Seen::default();
    seen.came("events/0", 1, "a", Keeps::Cursor, 0).unwrap();
    assert_fault(seen.came("events/0", 1, "a", Keeps::Cursor, 0), "twice in one life");
    assert_fault(
        seen.came("events/0", 3, "c", Keeps::Cursor, 0),
        "3 of events/0 after event 1",
    );
    seen.came("events/0", 1, "a", Keeps::Cursor, 1).unwrap();
    assert_fault(seen.came("events/0", 1, "b", Keeps::Cursor, 2), "as b and as a");
    seen.came("events/0", 2, "b", Keeps::Cursor, 2).unwrap();
    assert_fault(
        seen.came("events/0", 1, "a", Keeps::Cursor, 3),
        "though life 2 began with event 2",
    );
    assert_fault(seen.came("events/0", 1, "a", Keeps::Cursor, 2), "after a later one");
    seen.came("events/0", 1, "a", Keeps::Session, 3).unwrap();
    seen.acknowledged("events/0", 1);
    let store = |texts: &[&str]| {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        Store {
            channels: HashMap::from([("events/0".to_owned(), texts)]),
            ..Store::default()
        }
    };
    seen.compare(&store(&["a"])).unwrap();
    assert_fault(seen.compare(&store(&["b"])), "as a, not b");
    assert_fault(seen.compare(&store(&["a", "b"])), "has not got event 2");
}

#[test]
fn what_a_selector_skips_must_not_come_and_all_else_must() {
    let ledger = ledger();
    let mut witness = Witness::new(&[("events/#", 2)], Some(2), &ledger);
    witness.subscribes(&silent());
    witness.subscribed(&silent());
    assert_eq!(
        witness.missing(&ledger).as_deref(),
        Some("twice events/0 1 has not come")
    );
    assert_fault(
        witness.given(&message(&ledger, QOS1, 1, 1), 1, &ledger),
        "or not the selector",
    );
    let mut seen = Seen::only("twice");
    assert_fault(
        seen.came("events/0", 1, "once events/0 1", Keeps::Cursor, 0),
        "which its selector skips",
    );
    seen.came("events/0", 2, "twice events/0 1", Keeps::Cursor, 0).unwrap();
    seen.acknowledged("events/0", 2);
    let texts = ["once events/0 1", "twice events/0 1", "twice events/0 2"].map(str::to_owned);
    let store = |count: usize| Store {
        channels: HashMap::from([("events/0".to_owned(), texts[..count].to_vec())]),
        ..Store::default()
    };
    seen.compare(&store(2)).unwrap();
    assert_fault(seen.compare(&store(3)), "has not got event 3");
}

#[test]
fn filters_match_as_the_specification_says() {
    for (filter, topic) in [
        ("a/#", "a/b"),
        ("a/#", "a"),
        ("#", "a/b"),
        ("+/b", "a/b"),
        ("a/b", "a/b"),
    ] {
        assert!(matches(filter, topic), "{filter} {topic}");
    }
    for (filter, topic) in [("a/#", "b/a"), ("+", "a/b"), ("a/+", "a"), ("a/b", "a/c"), ("a", "a/b")] {
        assert!(!matches(filter, topic), "{filter} {topic}");
    }
}
