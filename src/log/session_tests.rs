//! Tests of the rows of durable sessions and of retained messages: one transaction with what they belong to.

use std::sync::Arc;

use super::testing::{Bench, Filter, append, hold, message, options};
use super::*;
use crate::store::{Changes, FailingStore, Fault, MemoryStore, Snapshot, Store, Table, Visit, subscription_key};
use crate::types::{Clock, Message, MessageParts, PacketId, Position, QoS, SessionId, Timestamp};

fn open(store: Arc<dyn Store>) -> Bench {
    Bench::open(store, options(&Clock::manual(Timestamp(1_000)))).unwrap()
}

fn failing() -> (Arc<MemoryStore>, Arc<FailingStore>) {
    let inner = Arc::new(MemoryStore::new());
    (inner.clone(), Arc::new(FailingStore::new(inner)))
}

fn packet_id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn session(id: u64) -> SessionRecord {
    SessionRecord {
        id: SessionId(id),
        client_id: format!("c{id}"),
        expiry_secs: 60,
        created: Timestamp(5),
        disconnected: Some(Timestamp(9)),
        owner: None,
    }
}

fn subscription(id: u64, number: u32) -> SubscriptionRecord {
    SubscriptionRecord {
        session: SessionId(id),
        number,
        kind: SubscriptionKind::Live,
        group: None,
        filter: format!("a/{number}"),
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: true,
        id: Some(number),
        since: Position(3),
        selector: (number == 2).then(|| "a = 1".into()),
    }
}

fn place(id: u64) -> PlaceRecord {
    PlaceRecord {
        session: SessionId(id),
        floor: Position(3),
        acked: vec![Position(5)],
        sent: Position(6),
        last_packet_id: 2,
        in_flight: vec![InFlightRecord {
            packet_id: packet_id(2),
            from: InFlightFrom::Session(Position(4)),
            qos: QoS::ExactlyOnce,
            retain: false,
            completing: true,
            subscription_ids: vec![1],
        }],
    }
}

fn will(id: u64) -> WillRecord {
    WillRecord {
        session: SessionId(id),
        delay_secs: 7,
        message: (*message("w", "gone")).clone(),
    }
}

/// Everything a session can have.
fn save_all(id: u64) -> Vec<Command> {
    vec![
        Command::SaveSession(Box::new(session(id))),
        Command::SaveSubscription(Box::new(subscription(id, 1))),
        Command::SaveSubscription(Box::new(subscription(id, 2))),
        Command::SavePlace(Box::new(place(id))),
        Command::SaveWill(Box::new(will(id))),
        received(Publish::held(message("a", "x")), id, 9),
    ]
}

fn delete_all(id: u64) -> Command {
    Command::DeleteSession {
        id: SessionId(id),
        subscriptions: vec![1, 2],
        received: vec![packet_id(9)],
    }
}

fn received(publish: Publish, id: u64, number: u16) -> Command {
    Command::Publish(Publish {
        received: Some((SessionId(id), packet_id(number))),
        ..publish
    })
}

fn retain(publish: Publish) -> Command {
    Command::Publish(Publish {
        retain: true,
        ..publish
    })
}

/// A message with RETAIN.
fn retained(topic: &str, payload: &str) -> Arc<Message> {
    let parts = MessageParts {
        topic,
        properties: &[],
        payload: payload.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: true,
        expiry_secs: None,
        received: Timestamp(1),
    };
    Arc::new(Message::new(parts, None))
}

fn topics(bench: &Bench) -> Vec<&str> {
    let retained = bench.recovered.retained.iter();
    retained.map(|message| message.topic()).collect()
}

const SESSION_TABLES: [Table; 5] = [
    Table::Sessions,
    Table::Subscriptions,
    Table::Places,
    Table::Received,
    Table::Wills,
];

fn rows(store: &dyn Store, tables: &[Table]) -> usize {
    let mut count = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        count += 1;
        Ok(Visit::More)
    };
    let mut read = |snapshot: &dyn Snapshot| {
        let mut tables = tables.iter();
        tables.try_for_each(|table| snapshot.upwards(*table, &[], &mut visit))
    };
    store.read(&mut read).unwrap();
    count
}

#[test]
fn a_session_comes_back_with_all_its_rows() {
    let store = Arc::new(MemoryStore::new());
    let mut bench = open(store.clone());
    assert_eq!(bench.recovered.next_session, SessionId(1));
    bench.run([save_all(4), save_all(2)].concat());
    bench.run_one(Command::SaveSession(Box::new(session(300)))).unwrap();
    drop(bench);
    let bench = open(store);
    let [two, four, last] = &bench.recovered.sessions[..] else {
        panic!("{:?}", bench.recovered.sessions)
    };
    for (found, id) in [(two, 2), (four, 4)] {
        let whole = RecoveredSession {
            record: session(id),
            subscriptions: vec![subscription(id, 1), subscription(id, 2)],
            place: Some(place(id)),
            received: vec![packet_id(9)],
            will: Some(will(id)),
        };
        assert_eq!(*found, whole);
    }
    assert_eq!((&last.record, &last.place, &last.will), (&session(300), &None, &None));
    assert_eq!(bench.recovered.next_session, SessionId(301));
}

#[test]
fn single_rows_go_one_by_one() {
    let store = Arc::new(MemoryStore::new());
    let mut bench = open(store.clone());
    bench.run(save_all(1));
    bench.run(vec![
        Command::DeleteSubscription(SessionId(1), 1),
        Command::Release(SessionId(1), packet_id(9)),
        Command::DeleteWill(SessionId(1)),
    ]);
    drop(bench);
    let bench = open(store);
    let found = &bench.recovered.sessions[0];
    assert_eq!(found.subscriptions, [subscription(1, 2)]);
    assert_eq!((found.received.len(), &found.will), (0, &None));
    assert!(found.place.is_some());
}

#[test]
fn a_session_goes_with_all_its_rows_or_not_at_all() {
    let (inner, store) = failing();
    let mut bench = open(store.clone());
    bench.run([save_all(1), save_all(2)].concat());
    let before = rows(&*inner, &SESSION_TABLES);
    store.fail_from(1, Fault::Full);
    assert_eq!(bench.run_one(delete_all(1)), Err(LogError::Full));
    assert_eq!(rows(&*inner, &SESSION_TABLES), before);
    drop(bench);
    let mut bench = open(inner.clone());
    bench.run_one(delete_all(1)).unwrap();
    assert_eq!(rows(&*inner, &SESSION_TABLES), before / 2);
    drop(bench);
    let bench = open(inner);
    assert_eq!(bench.recovered.sessions.len(), 1);
    assert_eq!(bench.recovered.sessions[0].record.id, SessionId(2));
}

#[test]
fn a_row_without_its_session_is_left_out_and_its_identifier_not_reused() {
    let store = Arc::new(MemoryStore::new());
    let mut changes = Changes::new();
    let key = subscription_key(SessionId(8), 1);
    changes.put(Table::Subscriptions, &key, |out| subscription(8, 1).encode(out));
    store.write(&changes).unwrap();
    let bench = open(store);
    assert!(bench.recovered.sessions.is_empty());
    assert_eq!(bench.recovered.next_session, SessionId(9));
}

#[test]
fn a_record_and_the_rows_that_come_with_it_are_one_transaction() {
    let (inner, store) = failing();
    let mut bench = open(store.clone());
    bench.run(save_all(1));
    let count = || [&SESSION_TABLES[..], &[Table::Log], &[Table::Retained]].map(|tables| rows(&*inner, tables));
    let before = count();
    let publish = Command::Publish(Publish {
        message: retained("a", "y"),
        keep: Keep::Event,
        retain: true,
        received: Some((SessionId(1), packet_id(10))),
        will_of: Some(SessionId(1)),
    });
    store.freeze_from(1);
    bench.run_one(publish.clone()).unwrap();
    drop(bench);
    assert_eq!(count(), before);
    let mut bench = open(inner.clone());
    assert!(matches!(bench.run_one(publish), Ok(Outcome::Stored(_))));
    drop(bench);
    let bench = open(inner.clone());
    let found = &bench.recovered.sessions[0];
    assert_eq!((found.received.len(), &found.will), (2, &None));
    assert_eq!(topics(&bench), ["a"]);
    assert_eq!(bench.read(&Filter::all(), Position(0)).len(), 1);
}

#[test]
fn a_retained_message_is_replaced_and_cleared() {
    let store = Arc::new(MemoryStore::new());
    let mut bench = open(store.clone());
    let long = "t".repeat(2_000);
    bench.run(vec![
        retain(Publish::event(retained("a", "1"))),
        retain(Publish::passing(retained("b", "2"))),
        retain(Publish::passing(retained(&long, "3"))),
        retain(Publish::passing(retained("a", "4"))),
        retain(Publish::passing(retained("c", "5"))),
        retain(Publish::event(retained("b", ""))),
        Command::DeleteRetained("c".into()),
    ]);
    drop(bench);
    let mut bench = open(store.clone());
    assert_eq!(topics(&bench), ["a", &long]);
    assert_eq!(bench.recovered.retained[0], retained("a", "4"));
    assert_eq!(bench.kept(), ["1", ""]);
    bench.run_one(Command::DeleteRetained(long.into())).unwrap();
    drop(bench);
    assert_eq!(topics(&open(store)), ["a"]);
}

#[test]
fn without_room_only_what_takes_room_is_refused() {
    let (inner, store) = failing();
    let mut bench = open(store.clone());
    bench.run([save_all(1), vec![retain(Publish::passing(retained("r", "1")))]].concat());
    store.fail_write(1, Fault::Full);
    let outcomes = bench.run(vec![
        append("a", "1"),
        received(Publish::held(message("a", "2")), 1, 20),
        retain(Publish::passing(retained("s", "3"))),
        received(Publish::passing(message("a", "4")), 1, 21),
        retain(Publish::passing(retained("r", ""))),
        Command::SavePlace(Box::new(place(1))),
        Command::Release(SessionId(1), packet_id(9)),
    ]);
    let (full, forwarded, done) = (Err(LogError::Full), Ok(Outcome::Forwarded), Ok(Outcome::Done));
    assert_eq!(outcomes[..3], [full.clone(), full.clone(), full]);
    assert_eq!(outcomes[3..], [forwarded.clone(), forwarded, done.clone(), done]);
    drop(bench);
    let bench = open(inner);
    assert_eq!(bench.recovered.sessions[0].received, [packet_id(21)]);
    assert!(topics(&bench).is_empty());
    assert_eq!(
        bench.reader.watermark(),
        Position(1),
        "what was refused has written nothing"
    );
}

#[test]
fn a_passing_message_fails_with_the_rows_it_writes_and_only_then() {
    let (_, store) = failing();
    let mut bench = open(store.clone());
    store.fail_write(1, Fault::Io);
    let commands = || {
        vec![
            hold("a", "1"),
            Command::Publish(Publish::passing(message("a", "2"))),
            retain(Publish::passing(retained("a", "3"))),
            retain(Publish::passing(retained("a", ""))),
            received(Publish::passing(message("a", "4")), 1, 1),
            Command::Publish(Publish {
                will_of: Some(SessionId(1)),
                ..Publish::passing(message("a", "5"))
            }),
        ]
    };
    let errors = |outcomes: Vec<Result<Outcome, LogError>>| {
        assert_eq!(outcomes[1], Ok(Outcome::Forwarded));
        outcomes.into_iter().filter_map(Result::err).collect::<Vec<_>>()
    };
    let failed = errors(bench.run(commands()));
    assert!(failed.len() == 5 && failed.iter().all(|error| matches!(error, LogError::Io(_))));
    assert_eq!(errors(bench.run(commands())), vec![LogError::Poisoned; 5]);
}
