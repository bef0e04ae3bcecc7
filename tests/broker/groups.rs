//! Groups with a cursor: members come and go, take little or nothing, and every event is still acknowledged once.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rewindmq::codec::Connect;
use rewindmq::config::SharedStrategy;
use rewindmq::store::MemoryStore;

use super::client::{Client, DEADLINE, Message, post, v5};
use super::flag::Flag;
use super::seed::Seed;
use super::server::{Broker, config};

const GROUP: &str = "$share/group/s/#";
const FIRST: &[(&str, &str)] = &[("replay", "first")];

fn member(broker: &Broker, name: &str, receive_maximum: u16) -> Client {
    let mut client = broker.connect(Connect {
        receive_maximum: Some(receive_maximum),
        ..v5(name)
    });
    client.subscribe(GROUP, 1, FIRST);
    client
}

fn publish(broker: &Broker, numbers: std::ops::RangeInclusive<u64>) {
    let mut publisher = broker.connect(v5("publisher"));
    for number in numbers {
        publisher.publish(&post("s/a", &number.to_string()));
    }
}

fn sequences(client: &mut Client, count: usize) -> Vec<u64> {
    (0..count).map(|_| client.take().sequence()).collect()
}

#[test]
fn member_that_unsubscribes_hands_its_events_over_and_keeps_its_own_quota() {
    let broker = Broker::start();
    let mut first = member(&broker, "first", 2);
    publish(&broker, 1..=2);
    let open = [first.next(), first.next()];
    let mut second = member(&broker, "second", 10);
    first.unsubscribe(GROUP, &[]);
    for sequence in [1, 2] {
        let message = second.take();
        assert_eq!(message.sequence(), sequence);
        assert_eq!(message.user("es-redelivered").as_deref(), Some("true"));
    }
    first.subscribe("u/#", 1, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    for text in ["a", "b", "c"] {
        publisher.publish(&post("u/a", text));
    }
    open.iter().for_each(|message| first.acknowledge(message));
    assert_eq!(first.take_texts(3), ["a", "b", "c"]);
    publish(&broker, 3..=3);
    assert_eq!(sequences(&mut second, 1), [3]);
    second.assert_quiet();
}

#[test]
fn event_goes_to_a_member_with_room_while_another_is_full() {
    let mut config = config();
    // One worker, so that the members' turns come one after the other.
    config.runtime.workers = 1;
    let broker = Broker::start_on(config, Arc::new(MemoryStore::new()));
    let [mut free, mut full] = [("free", 100), ("full", 1)].map(|(name, receive_maximum)| {
        let mut client = broker.connect(Connect {
            receive_maximum: Some(receive_maximum),
            ..v5(name)
        });
        client.subscribe("$share/group/+/g", 1, FIRST);
        client
    });
    full.subscribe("u/a", 1, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    for round in 0..40 {
        // While the group counts on the member, the other message takes its only place.
        let event = if round % 4 < 2 { "u/g" } else { "s/g" };
        publisher.post_all(&[post(event, &round.to_string()), post("u/a", "other")]);
        give_one_to_each(&mut free, &mut full, &round.to_string());
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(1)
}

/// The full member takes the other message; the event goes to either.
fn give_one_to_each(free: &mut Client, full: &mut Client, wanted: &str) {
    let (mut event, mut other) = (None, None);
    let deadline = Instant::now() + Duration::from_secs(5);
    while event.is_none() || other.is_none() {
        assert!(Instant::now() < deadline, "event {wanted}: {event:?}, other: {other:?}");
        match full.try_next(soon()) {
            Ok(message) if message.topic == "u/a" => other = Some(message),
            Ok(message) => {
                full.acknowledge(&message);
                event = Some(message);
            }
            Err(_) => {
                if let Ok(message) = free.try_next(soon()) {
                    free.acknowledge(&message);
                    event = Some(message);
                }
            }
        }
    }
    assert_eq!(event.expect("it came").text(), wanted);
    full.acknowledge(&other.expect("it came"));
}

#[test]
fn events_of_a_lost_member_go_to_others_before_newer_ones() {
    let broker = Broker::start();
    let mut lost = member(&broker, "lost", 5);
    publish(&broker, 1..=8);
    let open: Vec<_> = (0..5).map(|_| lost.next()).collect();
    lost.acknowledge(&open[1]);
    lost.next();
    let mut other = member(&broker, "other", 1);
    let message = other.next();
    assert_eq!(message.sequence(), 7);
    lost.cut();
    other.acknowledge(&message);
    let rest: Vec<_> = (0..6).map(|_| other.take()).collect();
    let numbers: Vec<_> = rest.iter().map(Message::sequence).collect();
    assert_eq!(numbers, [1, 3, 4, 5, 6, 8]);
    let marks = rest.iter().map(|message| message.user("es-redelivered").is_some());
    assert_eq!(marks.collect::<Vec<_>>(), [true, true, true, true, true, false]);
    other.assert_quiet();
}

/// What became of each event.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<u64, u32>,
}

/// Takes part for a while with some Receive Maximum, acknowledges most of what comes, and leaves in some way.
fn visit(broker: &Broker, name: &str, random: &mut fastrand::Rng, ledger: &Mutex<Ledger>) {
    let mut client = member(broker, name, random.u16(1..30));
    let mut newest = BTreeMap::new();
    for _ in 0..random.u32(1..60) {
        let message = match client.try_next(Instant::now() + Duration::from_millis(20)) {
            Ok(message) => message,
            Err(fault) if fault.kind() == ErrorKind::TimedOut => break,
            Err(fault) => panic!("{fault}"),
        };
        if message.user("es-redelivered").is_none() {
            let earlier = newest.insert(message.topic.clone(), message.sequence());
            assert!(
                earlier.is_none_or(|earlier| earlier < message.sequence()),
                "order at {name}"
            );
        }
        if random.u8(0..8) > 0 {
            client.acknowledge(&message);
            let number = message.text().parse().expect("a number");
            *ledger
                .lock()
                .expect("no member failed")
                .acknowledged
                .entry(number)
                .or_default() += 1;
        }
    }
    client.ping();
    match random.u8(0..3) {
        0 => drop(client.cut()),
        1 => client.disconnect(),
        _ => {
            client.unsubscribe(GROUP, &[("cursor", "keep")]);
        }
    }
}

fn churn(strategy: SharedStrategy) {
    let mut seed = Seed::new();
    let mut config = config();
    config.shared.strategy = strategy;
    let broker = Broker::start_on(config, Arc::new(MemoryStore::new()));
    let (ledger, stop) = (Mutex::new(Ledger::default()), Flag::default());
    let sent = thread::scope(|scope| {
        let _stop = stop.guard();
        let publisher = scope.spawn(|| {
            let mut publisher = broker.connect(v5("publisher"));
            let mut number = 0_u64;
            while !stop.is_raised() {
                number += 1;
                publisher.publish(&post(&format!("s/{}", number % 7), &number.to_string()));
            }
            number
        });
        let members: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let mut random = fastrand::Rng::with_seed(seed.random.u64(..));
                let (broker, ledger) = (&broker, &ledger);
                scope.spawn(move || (0..25).for_each(|_| visit(broker, name, &mut random, ledger)))
            })
            .collect();
        for member in members {
            member.join().expect("a member");
        }
        stop.raise();
        publisher.join().expect("the publisher")
    });
    let mut last = member(&broker, "last", 20);
    let mut ledger = ledger.into_inner().expect("no member failed");
    let deadline = Instant::now() + DEADLINE;
    while (ledger.acknowledged.len() as u64) < sent {
        let message = last.try_next(deadline).unwrap_or_else(|fault| {
            let lost = (1..=sent).find(|number| !ledger.acknowledged.contains_key(number));
            panic!("{lost:?} of {sent} does not come: {fault}")
        });
        last.acknowledge(&message);
        *ledger
            .acknowledged
            .entry(message.text().parse().expect("a number"))
            .or_default() += 1;
    }
    last.assert_quiet();
    let twice: Vec<_> = ledger.acknowledged.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "acknowledged and sent to another member: {twice:?}");
}

#[test]
fn members_come_and_go_under_load_round_robin() {
    churn(SharedStrategy::RoundRobin);
}

#[test]
fn members_come_and_go_under_load_least_inflight() {
    churn(SharedStrategy::LeastInflight);
}

#[test]
fn members_come_and_go_under_load_sticky() {
    churn(SharedStrategy::Sticky);
}

#[test]
fn members_come_and_go_under_load_hash_topic() {
    churn(SharedStrategy::HashTopic);
}

#[test]
fn members_come_and_go_under_load_random() {
    churn(SharedStrategy::Random);
}
