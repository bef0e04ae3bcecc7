//! Where replay meets live, under load: publishers at full speed while subscribers start at random moments. Per channel
//! there is no gap and no duplicate, order holds, and the first event is the right one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rewindmq::codec::{Connect, Packet};
use rewindmq::config::Config;
use rewindmq::store::{LmdbOptions, LmdbStore, MemoryStore, Store};

use super::client::{Client, DEADLINE, Received, post, v5};
use super::flag::Flag;
use super::seed::Seed;
use super::server::{Broker, config};

const TOPICS: u64 = 5;
/// Events of each channel before the load begins.
const PRELOADED: u64 = 150;
const SUBSCRIBERS: u64 = 24;
/// Messages that are published at most until one more subscriber starts.
const APART: u64 = 1_200;
/// Messages that one publisher has unacknowledged.
const WINDOW: usize = 64;

/// What all threads of one run share.
struct Load {
    address: SocketAddr,
    /// Per topic: how many PUBLISH packets were begun, and how many were acknowledged.
    begun: Vec<AtomicU64>,
    acknowledged: Vec<AtomicU64>,
    subscribed: AtomicU64,
    stop: Flag,
    /// Commit time of each preloaded event, by topic.
    preloaded: Vec<Vec<u64>>,
}

/// Where a subscriber starts.
#[derive(Clone, Copy, Debug)]
enum Start {
    First,
    New,
    Last(u64),
    Sequence(u64),
    Time(u64),
}

#[derive(Debug)]
struct Plan {
    number: u64,
    /// `None` is every topic.
    topic: Option<u64>,
    wildcard: &'static str,
    start: Start,
    qos: u8,
    receive_maximum: Option<u16>,
}

/// How many events of each channel there were: at least before SUBSCRIBE, at most after SUBACK.
struct Bounds {
    least: Vec<u64>,
    most: Vec<u64>,
}

/// What a subscriber got, by topic: sequences and payloads.
type Got = BTreeMap<String, Vec<(u64, String)>>;

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::New => f.write_str("new"),
            Self::Last(n) => write!(f, "last:{n}"),
            Self::Sequence(n) => write!(f, "seq:{n}"),
            Self::Time(ns) => write!(f, "time:{ns}ns"),
        }
    }
}

impl Plan {
    fn random(number: u64, random: &mut fastrand::Rng, load: &Load) -> Self {
        let time = *random.choice(&load.preloaded[0]).expect("events");
        let start = match number % 6 {
            0 => Start::First,
            1 => Start::New,
            2 => Start::Last(random.u64(1..400)),
            3 => Start::Sequence(random.u64(1..400)),
            4 => Start::Time(time),
            _ => Start::Last(1),
        };
        Self {
            number,
            topic: random.bool().then(|| random.u64(0..TOPICS)),
            wildcard: if random.bool() { "s/#" } else { "s/+" },
            start,
            qos: random.u8(0..=1),
            receive_maximum: *random.choice(&[Some(1), Some(7), None]).expect("three"),
        }
    }

    fn filter(&self) -> String {
        self.topic.map_or(self.wildcard.to_owned(), topic)
    }

    fn topics(&self) -> std::ops::Range<u64> {
        self.topic.map_or(0..TOPICS, |topic| topic..topic + 1)
    }

    /// Between which sequences the first event of a channel must be.
    fn first(&self, topic: usize, bounds: &Bounds, load: &Load) -> (u64, u64) {
        let (least, most) = (bounds.least[topic], bounds.most[topic]);
        match self.start {
            Start::First => (1, 1),
            Start::New => (least + 1, most + 1),
            Start::Last(n) => (
                (least + 1).saturating_sub(n).max(1),
                (most + 1).saturating_sub(n).max(1),
            ),
            Start::Sequence(n) => (n.min(least + 1), n.min(most + 1)),
            Start::Time(time) => {
                let earlier = load.preloaded[topic].iter().filter(|&&other| other < time).count() as u64;
                (earlier + 1, earlier + 1)
            }
        }
    }
}

impl Load {
    fn counts(counters: &[AtomicU64]) -> Vec<u64> {
        counters.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    fn total(&self) -> u64 {
        Self::counts(&self.acknowledged).iter().sum()
    }

    /// Publishes at full speed until it is told to stop.
    fn publish(&self, publisher: u64) {
        let mut client = Client::connect(self.address, v5(&format!("publisher-{publisher}")));
        let mut window = Window::default();
        let mut number = 0;
        while !self.stop.is_raised() {
            number += 1;
            window.post(self, &mut client, publisher, number);
        }
        window.drain(self, &mut client, 0);
    }

    /// Subscribes by plan, and reads until the last event of each of its channels.
    fn subscribe(&self, plan: &Plan) -> (Bounds, Got) {
        let connect = Connect {
            receive_maximum: plan.receive_maximum,
            ..v5(&format!("subscriber-{}", plan.number))
        };
        let mut client = Client::connect(self.address, connect);
        let least = Self::counts(&self.acknowledged);
        client.subscribe(&plan.filter(), plan.qos, &[("replay", &plan.start.to_string())]);
        let most = Self::counts(&self.begun);
        self.subscribed.fetch_add(1, Ordering::SeqCst);
        let (mut got, mut last_time) = (Got::new(), 0);
        let mut open: Vec<String> = plan.topics().map(topic).collect();
        while !open.is_empty() {
            let message = client.take();
            assert!(message.time() >= last_time, "commit order across channels");
            last_time = message.time();
            if message.text() == END {
                open.retain(|topic| *topic != message.topic);
            }
            let event = (message.sequence(), message.text().to_owned());
            got.entry(message.topic).or_default().push(event);
        }
        client.assert_quiet();
        (Bounds { least, most }, got)
    }
}

/// The PUBLISH packets of one publisher that are not acknowledged, oldest first.
#[derive(Default)]
struct Window(VecDeque<u64>);

impl Window {
    fn post(&mut self, load: &Load, client: &mut Client, publisher: u64, number: u64) {
        self.drain(load, client, WINDOW - 1);
        let topic = number % TOPICS;
        load.begun[topic as usize].fetch_add(1, Ordering::SeqCst);
        client.post(&post(&self::topic(topic), &format!("{publisher}:{number}")));
        self.0.push_back(topic);
    }

    /// Reads acknowledgements until only so many are missing; they come in order.
    fn drain(&mut self, load: &Load, client: &mut Client, most: usize) {
        while self.0.len() > most {
            match client.try_receive(Instant::now() + DEADLINE).expect("PUBACK comes") {
                Received::Packet(packet) if matches!(*packet, Packet::PubAck(_)) => {}
                other => panic!("no PUBACK: {other:?}"),
            }
            let topic = self.0.pop_front().expect("not empty");
            load.acknowledged[topic as usize].fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn topic(number: u64) -> String {
    format!("s/{number}")
}

/// Fills every channel, and reads back when each event was committed.
fn preload(broker: &Broker) -> Vec<Vec<u64>> {
    let mut client = broker.connect(v5("preload"));
    for number in 0..PRELOADED * TOPICS {
        client.publish(&post(&topic(number % TOPICS), &format!("preload:{number}")));
    }
    client.subscribe("s/#", 0, &[("replay", "first")]);
    let mut times = vec![Vec::new(); TOPICS as usize];
    for number in 0..PRELOADED * TOPICS {
        times[(number % TOPICS) as usize].push(client.take().time());
    }
    times
}

/// Every event of every channel, as one more subscriber finds them afterwards.
fn reference(broker: &Broker) -> Got {
    let mut client = broker.connect(v5("reference"));
    client.subscribe("s/#", 1, &[("replay", "first")]);
    let (mut got, mut ends) = (Got::new(), 0);
    while ends < TOPICS {
        let message = client.take();
        let channel = got.entry(message.topic.clone()).or_default();
        channel.push((message.sequence(), message.text().to_owned()));
        assert_eq!(message.sequence(), channel.len() as u64, "dense");
        ends += u64::from(message.text() == END);
    }
    got
}

fn check(plan: &Plan, bounds: &Bounds, got: &Got, all: &Got, load: &Load) {
    for number in plan.topics() {
        let topic = topic(number);
        let (got, all) = (&got[&topic], &all[&topic]);
        let (least, most) = plan.first(number as usize, bounds, load);
        let first = got[0].0;
        assert!((least..=most).contains(&first), "{first} of {least}..={most}: {plan:?}");
        assert!(
            *got == all[first as usize - 1..],
            "a gap, a duplicate or the order: {plan:?}"
        );
    }
}

/// Each publisher's messages stand in each channel in the order in which they were sent.
fn check_order_of_publishers(all: &Got) {
    for channel in all.values() {
        let mut last = BTreeMap::new();
        for (publisher, number) in channel.iter().filter_map(|(_, text)| text.split_once(':')) {
            let number: u64 = number.parse().expect("a number");
            let earlier = last.insert(publisher, number);
            assert!(earlier.is_none_or(|earlier| earlier < number), "{publisher}:{number}");
        }
    }
}

fn run(config: Config, store: Arc<dyn Store>) {
    let mut seed = Seed::new();
    let broker = Broker::start_on(config, store);
    let load = Load {
        address: broker.address,
        begun: (0..TOPICS).map(|_| AtomicU64::new(PRELOADED)).collect(),
        acknowledged: (0..TOPICS).map(|_| AtomicU64::new(PRELOADED)).collect(),
        subscribed: AtomicU64::new(0),
        stop: Flag::default(),
        preloaded: preload(&broker),
    };
    let results = thread::scope(|scope| {
        let load = &load;
        let _stop = load.stop.guard();
        let publishers = [0, 1, 2].map(|publisher| scope.spawn(move || load.publish(publisher)));
        let subscribers: Vec<_> = (0..SUBSCRIBERS)
            .map(|number| {
                let plan = Plan::random(number, &mut seed.random, load);
                let from = load.total() + seed.random.u64(0..APART);
                wait_until(|| load.total() >= from);
                scope.spawn(move || {
                    let (bounds, got) = load.subscribe(&plan);
                    (plan, bounds, got)
                })
            })
            .collect();
        wait_until(|| load.subscribed.load(Ordering::SeqCst) == SUBSCRIBERS);
        load.stop.raise();
        for publisher in publishers {
            publisher.join().expect("a publisher");
        }
        let mut last = broker.connect(v5("last"));
        (0..TOPICS).for_each(|number| drop(last.publish(&post(&topic(number), END))));
        let results = subscribers.into_iter().map(|subscriber| subscriber.join());
        results.map(|result| result.expect("a subscriber")).collect::<Vec<_>>()
    });
    let all = reference(&broker);
    check_order_of_publishers(&all);
    for (plan, bounds, got) in &results {
        check(plan, bounds, got, &all, &load);
    }
}

fn wait_until(there: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !there() {
        assert!(Instant::now() < deadline, "the load does not go on");
        thread::park_timeout(Duration::from_micros(200));
    }
}

/// The last event of every channel.
const END: &str = "end";

#[test]
fn replay_meets_live_without_gap_or_duplicate_in_memory() {
    run(config(), Arc::new(MemoryStore::new()));
}

#[test]
fn replay_meets_live_without_gap_or_duplicate_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = LmdbStore::open(folder.path(), &LmdbOptions::default()).unwrap();
    run(config(), Arc::new(store));
}

#[test]
fn subscribers_that_fall_behind_again_and_again_miss_nothing() {
    let mut config = config();
    config.session.max_queued_bytes = Some(2_000);
    run(config, Arc::new(MemoryStore::new()));
}
