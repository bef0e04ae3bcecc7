//! Shared subscriptions of durable sessions: messages wait on disk while nobody is there, and each goes to one member.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rewindmq::codec::{Connect, Packet, Subscribe, SubscribeFilter};
use rewindmq::config::SharedStrategy;
use rewindmq::store::{LmdbOptions, LmdbStore, MemoryStore, Store, Table, Visit};
use rewindmq::types::ReasonCode;

use super::client::{Client, DEADLINE, Post, filter, lasting, post, v5};
use super::flag::Flag;
use super::seed::Seed;
use super::server::{Broker, config};

const SHARE: &str = "$share/group/t/#";

fn member(broker: &Broker, connect: Connect) -> Client {
    let mut client = broker.connect(connect);
    client.subscribe(SHARE, 1, &[]);
    client
}

/// Says goodbye; the session lasts.
fn away(broker: &Broker, name: &str) {
    member(broker, lasting(name)).disconnect();
}

fn publish(broker: &Broker, numbers: std::ops::RangeInclusive<u64>) {
    let mut publisher = broker.connect(v5("publisher"));
    for number in numbers {
        let ack = publisher.publish(&post("t/a", &number.to_string()));
        assert_eq!(ack.reason, ReasonCode::Success);
    }
}

fn texts(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

/// Takes until so many messages have come to these clients.
fn take_from(clients: &mut [&mut Client], count: usize) -> Vec<Vec<String>> {
    let deadline = Instant::now() + DEADLINE;
    let mut got = vec![Vec::new(); clients.len()];
    while got.iter().map(Vec::len).sum::<usize>() < count {
        assert!(Instant::now() < deadline, "{got:?} is all that comes");
        for (client, got) in clients.iter_mut().zip(&mut got) {
            while let Ok(message) = client.try_next(Instant::now() + Duration::from_millis(2)) {
                client.acknowledge(&message);
                got.push(message.text().to_owned());
            }
        }
    }
    clients.iter_mut().for_each(|client| client.assert_quiet());
    got
}

/// Everything that came, in the order of the numbers.
fn sorted(got: &[Vec<String>]) -> Vec<u64> {
    let mut all: Vec<u64> = got
        .iter()
        .flatten()
        .map(|text| text.parse().expect("a number"))
        .collect();
    all.sort_unstable();
    all
}

fn cursor_rows(store: &dyn Store) -> usize {
    let mut rows = 0;
    let count = &mut |_: &[u8], _: &[u8]| {
        rows += 1;
        Ok(Visit::More)
    };
    store
        .read(&mut |snapshot| snapshot.upwards(Table::Cursors, &[], count))
        .expect("the store reads");
    rows
}

#[test]
fn durable_member_is_granted_qos1_at_most() {
    let broker = Broker::start();
    let mut clean = broker.connect(v5("clean"));
    assert_eq!(clean.subscribe(SHARE, 2, &[]).reasons, [ReasonCode::GrantedQoS2]);
    let mut durable = broker.connect(lasting("durable"));
    for (asked, granted) in [
        (0, ReasonCode::Success),
        (1, ReasonCode::GrantedQoS1),
        (2, ReasonCode::GrantedQoS1),
    ] {
        assert_eq!(durable.subscribe(SHARE, asked, &[]).reasons, [granted]);
    }
    let mut publisher = broker.connect(v5("publisher"));
    publisher.publish(&Post {
        qos: 2,
        ..post("t/a", "1")
    });
    assert_eq!(sorted(&take_from(&mut [&mut clean, &mut durable], 1)), [1]);
}

#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let broker = Broker::start();
    let mut client = broker.connect(lasting("durable"));
    let packet_id = client.new_packet_id();
    client.send(&Packet::Subscribe(Subscribe {
        packet_id,
        subscription_id: None,
        user_properties: Vec::new(),
        filters: vec![SubscribeFilter {
            no_local: true,
            ..filter(SHARE, 1)
        }],
    }));
    let disconnect = client.closed().expect("DISCONNECT");
    assert_eq!(disconnect.reason, ReasonCode::ProtocolError);
    assert_eq!(broker.metric("rewindmq_cursors"), 0.0);
}

#[test]
fn each_message_goes_to_one_member() {
    let broker = Broker::start();
    let mut members = ["a", "b", "c"].map(|name| member(&broker, lasting(name)));
    let mut clean = member(&broker, v5("clean"));
    publish(&broker, 1..=60);
    let [a, b, c] = &mut members;
    let got = take_from(&mut [a, b, c, &mut clean], 60);
    assert_eq!(sorted(&got), (1..=60).collect::<Vec<_>>());
    assert!(got.iter().all(|got| !got.is_empty()), "{got:?}");
}

#[test]
fn messages_wait_over_a_restart_and_come_in_order_to_the_first_who_returns() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Arc::new(LmdbStore::open(folder.path(), &LmdbOptions::default()).unwrap());
    let broker = Broker::start_on(config(), open());
    away(&broker, "a");
    away(&broker, "b");
    publish(&broker, 1..=20);
    broker.stop();
    let broker = Broker::start_on(config(), open());
    publish(&broker, 21..=30);
    let mut first = broker.connect(lasting("b"));
    assert!(first.connack.session_present);
    let got: Vec<_> = (0..30).map(|_| first.take()).collect();
    assert!(
        got.iter()
            .all(|message| message.user("es-seq").is_none() && !message.dup)
    );
    assert_eq!(
        got.iter().map(|message| message.text()).collect::<Vec<_>>(),
        texts(1..=30)
    );
    let mut second = broker.connect(lasting("a"));
    first.assert_quiet();
    second.assert_quiet();
}

#[test]
fn what_was_acknowledged_before_a_restart_does_not_come_again_and_what_was_not_does() {
    let store = Arc::new(MemoryStore::new());
    let broker = Broker::start_on(config(), store.clone());
    away(&broker, "b");
    let mut first = member(&broker, lasting("a"));
    publish(&broker, 1..=6);
    let open: Vec<_> = (0..6).map(|_| first.next()).collect();
    [0, 1, 3].iter().for_each(|&index| first.acknowledge(&open[index]));
    first.ping();
    broker.stop();
    let broker = Broker::start_on(config(), store);
    let mut second = broker.connect(lasting("b"));
    assert_eq!(second.take_texts(3), texts([3, 5, 6]));
    second.assert_quiet();
    broker.connect(lasting("a")).assert_quiet();
}

#[test]
fn messages_of_a_lost_member_go_to_others_before_newer_ones() {
    let broker = Broker::start();
    let mut lost = member(&broker, lasting("lost"));
    publish(&broker, 1..=5);
    let open: Vec<_> = (0..5).map(|_| lost.next()).collect();
    lost.acknowledge(&open[2]);
    lost.ping();
    lost.cut();
    publish(&broker, 6..=7);
    let mut other = member(&broker, lasting("other"));
    assert_eq!(other.take_texts(6), texts([1, 2, 4, 5, 6, 7]));
    let mut lost = broker.connect(lasting("lost"));
    assert!(lost.connack.session_present);
    lost.assert_quiet();
    other.assert_quiet();
}

#[test]
fn member_that_unsubscribes_hands_its_messages_over_and_the_last_takes_the_cursor_away() {
    let store = Arc::new(MemoryStore::new());
    let broker = Broker::start_on(config(), store.clone());
    let mut first = member(&broker, lasting("first"));
    publish(&broker, 1..=3);
    (0..3).for_each(|_| drop(first.next()));
    let mut second = member(&broker, lasting("second"));
    assert_eq!((broker.metric("rewindmq_cursors"), cursor_rows(&*store)), (1.0, 1));
    first.unsubscribe(SHARE, &[]);
    assert_eq!(second.take_texts(3), texts(1..=3));
    second.unsubscribe(SHARE, &[]);
    assert_eq!((broker.metric("rewindmq_cursors"), cursor_rows(&*store)), (0.0, 0));
    publish_to_nobody(&broker);
    second.subscribe(SHARE, 1, &[]);
    second.assert_quiet();
}

fn publish_to_nobody(broker: &Broker) {
    let ack = broker.connect(v5("publisher")).publish(&post("t/a", "lost"));
    assert_eq!(ack.reason, ReasonCode::NoMatchingSubscribers);
}

#[test]
fn session_that_expires_leaves_the_group() {
    let broker = Broker::start();
    let short = Connect {
        session_expiry_secs: Some(1),
        ..lasting("short")
    };
    member(&broker, short).disconnect();
    away(&broker, "long");
    publish(&broker, 1..=3);
    broker.await_metric("rewindmq_sessions{state=\"absent\"}", |sessions| sessions == 1.0);
    assert_eq!(broker.metric("rewindmq_cursors"), 1.0);
    let mut long = broker.connect(lasting("long"));
    assert_eq!(long.take_texts(3), texts(1..=3));
    long.disconnect();
    // A clean start ends the session as well, and nobody is left.
    broker.connect(v5("long"));
    broker.await_metric("rewindmq_cursors", |cursors| cursors == 0.0);
    publish_to_nobody(&broker);
}

#[test]
fn qos0_goes_to_connected_members_alone() {
    let broker = Broker::start();
    away(&broker, "a");
    let mut publisher = broker.connect(v5("publisher"));
    let qos0 = |text| Post {
        qos: 0,
        ..post("t/a", text)
    };
    publisher.post(&qos0("nobody is there"));
    publisher.publish(&post("t/a", "1"));
    let mut here = member(&broker, lasting("b"));
    assert_eq!(here.take_texts(1), ["1"]);
    publisher.post(&qos0("2"));
    publisher.publish(&post("t/a", "3"));
    let got: Vec<_> = [here.take(), here.take()]
        .iter()
        .map(|message| message.text().to_owned())
        .collect();
    assert_eq!(got, ["2", "3"]);
    broker.connect(lasting("a")).assert_quiet();
    here.assert_quiet();
}

#[test]
fn member_with_qos0_has_its_messages_when_they_are_written() {
    let broker = Broker::start();
    let mut client = broker.connect(lasting("a"));
    client.subscribe(SHARE, 0, &[]);
    publish(&broker, 1..=3);
    assert_eq!(client.take_texts(3), texts(1..=3));
    client.assert_quiet();
    client.disconnect();
    publish(&broker, 4..=5);
    assert_eq!(broker.connect(lasting("a")).take_texts(2), texts(4..=5));
}

#[test]
fn clean_member_keeps_what_it_has_when_a_durable_one_joins() {
    let broker = Broker::start();
    let mut clean = broker.connect(Connect {
        receive_maximum: Some(2),
        ..v5("clean")
    });
    clean.subscribe(SHARE, 1, &[]);
    publish(&broker, 1..=5);
    let open = [clean.next(), clean.next()];
    let mut durable = member(&broker, lasting("durable"));
    publish(&broker, 6..=9);
    assert_eq!(durable.take_texts(4), texts(6..=9), "the other takes no more now");
    open.iter().for_each(|message| clean.acknowledge(message));
    assert_eq!(clean.take_texts(3), texts(3..=5));
    publish(&broker, 10..=49);
    let got = take_from(&mut [&mut clean, &mut durable], 40);
    assert_eq!(sorted(&got), (10..=49).collect::<Vec<_>>());
    assert!(got.iter().all(|got| !got.is_empty()), "{got:?}");
}

/// Rounds of a conversion under load.
const ROUNDS: usize = 25;
/// Messages that the publisher is ahead of the members at most.
const AHEAD: usize = 100;
/// Messages of one round.
const MESSAGES: usize = 400;

/// A durable member joins a live group while messages arrive; each comes to one of the two. The publisher sends each of
/// them behind one to `before`, too.
fn join_under_load(topic: &str, before: &[&str]) {
    let mut seed = Seed::new();
    let broker = Broker::start();
    let mut publisher = broker.connect(v5("publisher"));
    let mut worked = [0, 0];
    for round in 0..ROUNDS {
        let filter = format!("$share/group-{round}/{topic}");
        let mut clean = broker.connect(v5("clean"));
        clean.subscribe(&filter, 1, &[]);
        let mut durable = broker.connect(lasting("durable"));
        let (got, count, stop) = (Mutex::new(BTreeMap::new()), AtomicUsize::new(0), Flag::default());
        thread::scope(|scope| {
            let _stop = stop.guard();
            let (got, count, stop, publisher) = (&got, &count, &stop, &mut publisher);
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    while number > count.load(Ordering::SeqCst) + AHEAD && !stop.is_raised() {
                        thread::yield_now();
                    }
                    for topic in before.iter().chain(&[topic]) {
                        publisher.post(&post(topic, &number.to_string()));
                    }
                }
                (0..MESSAGES * (1 + before.len()))
                    .for_each(|_| drop(publisher.try_receive(Instant::now() + DEADLINE).expect("PUBACK")));
            });
            let read = move |client: &mut Client, worked: &mut usize| {
                let deadline = Instant::now() + DEADLINE;
                while count.load(Ordering::SeqCst) < MESSAGES && !stop.is_raised() {
                    let Ok(message) = client.try_next(Instant::now() + Duration::from_millis(2)) else {
                        assert!(
                            Instant::now() < deadline,
                            "{} of {MESSAGES} come",
                            count.load(Ordering::SeqCst)
                        );
                        continue;
                    };
                    client.acknowledge(&message);
                    *got.lock()
                        .expect("no reader failed")
                        .entry(message.text().to_owned())
                        .or_insert(0) += 1;
                    count.fetch_add(1, Ordering::SeqCst);
                    *worked += 1;
                }
            };
            let [clean_worked, durable_worked] = &mut worked;
            let clean = &mut clean;
            scope.spawn(move || read(clean, clean_worked));
            let joins_at = seed.random.usize(0..MESSAGES / 2);
            while count.load(Ordering::SeqCst) < joins_at && !stop.is_raised() {
                thread::yield_now();
            }
            durable.subscribe(&filter, 1, &[]);
            read(&mut durable, durable_worked);
        });
        clean.assert_quiet();
        durable.assert_quiet();
        let got = got.into_inner().expect("no reader failed");
        assert!(got.len() == MESSAGES, "{} of {MESSAGES} in round {round}", got.len());
        durable.unsubscribe(&filter, &[]);
    }
    assert!(worked.iter().all(|worked| *worked > 0), "{worked:?}");
}

#[test]
fn nothing_is_lost_or_doubled_when_a_durable_member_joins_under_load() {
    join_under_load("t/a", &[]);
}

#[test]
fn nothing_is_lost_or_doubled_when_a_durable_member_joins_under_load_of_stored_messages() {
    join_under_load("s/a", &[]);
}

#[test]
fn nothing_is_lost_or_doubled_when_a_durable_member_joins_under_load_that_waits_for_commits() {
    join_under_load("t/a", &["s/other"]);
}

/// Two durable members of a group with this strategy.
const SESSION_ENDED: &str = "rewindmq_dropped_total{reason=\"session_ended\"}";

fn sticky() -> Broker {
    let mut config = config();
    config.shared.strategy = SharedStrategy::Sticky;
    Broker::start_on(config, Arc::new(MemoryStore::new()))
}

#[test]
fn what_a_clean_member_leaves_behind_goes_to_another() {
    let broker = sticky();
    let slow = Connect {
        receive_maximum: Some(2),
        ..v5("first")
    };
    let mut first = member(&broker, slow);
    publish(&broker, 1..=5);
    let open = [first.next(), first.next()];
    first.acknowledge(&open[0]);
    let third = first.next();
    assert_eq!(third.text(), "3");
    first.ping();
    let mut second = member(&broker, v5("second"));
    second.assert_quiet();
    first.cut();
    assert_eq!(second.take_texts(4), texts(2..=5));
    publish(&broker, 6..=6);
    assert_eq!(second.take_texts(1), texts([6]));
    second.assert_quiet();
    assert_eq!(broker.metric(SESSION_ENDED), 0.0);
}

#[test]
fn a_qos2_message_that_a_clean_member_has_begun_to_get_is_nobody_else_s() {
    let broker = sticky();
    let mut first = broker.connect(Connect {
        receive_maximum: Some(1),
        ..v5("first")
    });
    first.subscribe(SHARE, 2, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    for text in ["1", "2"] {
        publisher.publish(&Post {
            qos: 2,
            ..post("t/a", text)
        });
    }
    assert_eq!(first.next().text(), "1");
    let mut second = broker.connect(v5("second"));
    second.subscribe(SHARE, 2, &[]);
    first.cut();
    assert_eq!(second.next().text(), "2");
    second.assert_quiet();
}

#[test]
fn what_the_last_clean_member_leaves_behind_is_counted() {
    let broker = sticky();
    let mut first = member(&broker, v5("first"));
    publish(&broker, 1..=2);
    assert_eq!((first.next().text(), first.next().text()), ("1", "2"));
    first.disconnect();
    let deadline = Instant::now() + DEADLINE;
    while broker.metric(SESSION_ENDED) < 2.0 {
        assert!(Instant::now() < deadline, "nobody counts them");
        thread::yield_now();
    }
}

fn pair(strategy: SharedStrategy) -> (Broker, Client, Client) {
    let mut config = config();
    config.shared.strategy = strategy;
    let broker = Broker::start_on(config, Arc::new(MemoryStore::new()));
    let (first, second) = (member(&broker, lasting("first")), member(&broker, lasting("second")));
    (broker, first, second)
}

#[test]
fn round_robin_takes_turns() {
    let (broker, mut first, mut second) = pair(SharedStrategy::RoundRobin);
    publish(&broker, 1..=20);
    let got = take_from(&mut [&mut first, &mut second], 20);
    assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10]);
}

#[test]
fn least_inflight_avoids_the_member_that_does_not_acknowledge() {
    let (broker, mut first, mut second) = pair(SharedStrategy::LeastInflight);
    publish(&broker, 1..=2);
    let open = [first.next(), second.next()];
    second.acknowledge(&open[1]);
    second.ping();
    for number in 3..=8 {
        publish(&broker, number..=number);
        assert_eq!(second.take_texts(1), texts([number]));
        second.ping();
    }
    first.assert_quiet();
}

#[test]
fn sticky_stays_with_one_member_until_it_leaves() {
    let (broker, mut first, mut second) = pair(SharedStrategy::Sticky);
    publish(&broker, 1..=10);
    let got = take_from(&mut [&mut first, &mut second], 10);
    let (stuck, mut other) = if got[0].is_empty() {
        (second, first)
    } else {
        (first, second)
    };
    assert!(got.iter().any(Vec::is_empty), "{got:?}");
    stuck.disconnect();
    publish(&broker, 11..=12);
    assert_eq!(other.take_texts(2), texts(11..=12));
}

#[test]
fn hash_topic_keeps_each_topic_at_one_member() {
    let (broker, mut first, mut second) = pair(SharedStrategy::HashTopic);
    let mut publisher = broker.connect(v5("publisher"));
    for number in 0..60 {
        let topic = number % 12;
        publisher.publish(&post(&format!("t/{topic}"), &topic.to_string()));
    }
    let got = take_from(&mut [&mut first, &mut second], 60);
    assert!(got[0].iter().all(|topic| !got[1].contains(topic)), "{got:?}");
    assert!(got.iter().all(|got| !got.is_empty()), "{got:?}");
}

#[test]
fn random_uses_every_member() {
    let (broker, mut first, mut second) = pair(SharedStrategy::Random);
    publish(&broker, 1..=60);
    let got = take_from(&mut [&mut first, &mut second], 60);
    assert!(got.iter().all(|got| !got.is_empty()), "{got:?}");
}
