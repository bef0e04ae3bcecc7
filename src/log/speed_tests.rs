//! What the log costs: run with `cargo test --release --lib log::speed -- --ignored --nocapture`.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::testing::{Filter, append, hold};
use super::*;
use crate::store::{FailingStore, LmdbOptions, LmdbStore, Store};
use crate::types::{ChannelId, Position};

const MESSAGES: u64 = 1_000_000;
const CHANNELS: u64 = 10_000;

/// The processor time of this process; none where the system does not tell it this way.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    Duration::from_millis(10 * fields.get(13..15).map_or(0, |ticks| ticks.iter().sum::<u64>()))
}

fn report(what: &str, count: u64, started: Instant, before: Duration) {
    let (wall, cpu) = (started.elapsed(), cpu() - before);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{what}: {:.0}/s, {:.2} us of processor time each, {:.2} us each",
        count as f64 / wall.as_secs_f64(),
        each(cpu),
        each(wall),
    );
}

fn store_all(store: Arc<dyn Store>, batch: usize, options: LogOptions, command: fn(&str, &str) -> Command) -> Log<u32> {
    let count = Arc::new(AtomicU64::new(0));
    let sink = {
        let count = count.clone();
        move |batch: Vec<Committed<u32>>| {
            assert!(batch.iter().all(|entry| entry.outcome.is_ok()));
            count.fetch_add(batch.len() as u64, Ordering::AcqRel);
        }
    };
    let options = LogOptions {
        max_batch_records: batch,
        ..options
    };
    let (log, _) = Log::open(store, options, Arc::new(()), Box::new(sink)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let payload = "x".repeat(256);
    let messages: Vec<_> = (0..CHANNELS)
        .map(|n| command(&format!("plant/{}/sensor/{n}", n % 100), &payload))
        .collect();
    let (started, before) = (Instant::now(), cpu());
    for _ in 0..MESSAGES / batch as u64 {
        let submission = |tag| Submission {
            command: messages[fastrand::usize(..messages.len())].clone(),
            tag,
        };
        runtime.block_on(log.room());
        log.submit((0..batch as u32).map(submission).collect());
    }
    while count.load(Ordering::Acquire) < MESSAGES {
        std::thread::yield_now();
    }
    report(&format!("store, batches of {batch}"), MESSAGES, started, before);
    log
}

fn open(folder: &tempfile::TempDir) -> Arc<LmdbStore> {
    Arc::new(LmdbStore::open(folder.path(), &LmdbOptions::default()).unwrap())
}

fn start(folder: &tempfile::TempDir) {
    let (started, before) = (Instant::now(), cpu());
    let ready = Log::<u32>::open(open(folder), LogOptions::default(), Arc::new(()), Box::new(|_| {}));
    report("start", 1, started, before);
    ready.unwrap().0.close();
}

fn read_all(reader: &LogReader, filter: Filter) {
    let (started, before) = (Instant::now(), cpu());
    let mut scan = reader.scan(Arc::new(filter.clone()), Position(0));
    let mut out = Vec::new();
    let mut count = 0;
    while scan
        .next_batch(reader, &mut |_, _, _| true, 1_000, 1 << 20, &mut out)
        .unwrap()
        < reader.watermark()
    {
        count += out.len() as u64;
        out.clear();
    }
    count += out.len() as u64;
    report(&format!("read {filter:?}, {count} events"), count, started, before);
}

#[test]
#[ignore = "measures; takes long"]
fn what_an_event_costs() {
    for batch in [100, 1_000, 10_000] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let log = store_all(store.clone(), batch, LogOptions::default(), append);
        let (started, before) = (Instant::now(), cpu());
        log.close();
        report("checkpoint at the end, per channel", CHANNELS, started, before);
        println!("used {} MiB", store.used_bytes().unwrap() >> 20);
        let reader = log.reader();
        read_all(&reader, Filter::all());
        read_all(&reader, Filter::Prefix("plant/7/".into()));
        read_all(&reader, Filter::exact("plant/7/sensor/7"));
        drop((log, reader, store));
        start(&folder);
    }
}

/// A session that does not come on, so that nothing held may go, until it is told to have passed everything.
#[derive(Default)]
struct Blocked(AtomicBool);

impl Holds for Blocked {
    fn passed(&self, _: ChannelId, _: &str, _: ChannelKind) -> Option<Position> {
        self.0.load(Ordering::Acquire).then_some(Position(u64::MAX))
    }
}

#[test]
#[ignore = "measures; takes long"]
fn what_a_held_record_costs() {
    for (batch, checkpoint_records) in [(100, 0), (10_000, 0), (1_000, 0), (1_000, 500_000), (1_000, 250_000)] {
        let folder = tempfile::tempdir().unwrap();
        let inner = open(&folder);
        let store = Arc::new(FailingStore::new(inner.clone()));
        let options = LogOptions {
            holds: Arc::new(Blocked::default()),
            checkpoint_records: if checkpoint_records == 0 {
                u64::MAX
            } else {
                checkpoint_records
            },
            ..LogOptions::default()
        };
        println!("a checkpoint after {checkpoint_records} records (0: none)");
        let log = store_all(store.clone(), batch, options, hold);
        let reader = log.reader();
        let mut release = release::Release::new(Arc::new(Blocked::default()));
        for walk in ["first", "second", "third"] {
            let started = Instant::now();
            let mut cuts = Vec::new();
            release.begin();
            while release.is_busy() {
                let mut changes = crate::store::Changes::new();
                release.step(&reader.shared, &mut cuts, &mut changes, 1_000).unwrap();
                release.done(&mut reader.shared.directory_mut());
            }
            println!("{walk} walk over {CHANNELS} blocked channels: {:?}", started.elapsed());
        }
        for after in [MESSAGES / 2, MESSAGES - 1_000] {
            let started = Instant::now();
            let backlog = reader.backlog(&Filter::all(), Position(after)).unwrap();
            println!(
                "a backlog of {} in {CHANNELS} channels: {:?}",
                backlog.records,
                started.elapsed()
            );
        }
        let limits = BacklogLimits {
            max_records: Some(MESSAGES / 3),
            ..BacklogLimits::default()
        };
        let started = Instant::now();
        let cut = reader.cut_point(&Filter::all(), Position(0), &limits).unwrap();
        println!("its cut point {cut}: {:?}", started.elapsed());
        store.freeze_from(1);
        drop((reader, log, store, inner));
        start(&folder);
    }
}

/// Lets go of everything but, once told to, what one channel keeps.
struct OneBlocked(Blocked);

impl Holds for OneBlocked {
    fn passed(&self, channel: ChannelId, topic: &str, asked_for: ChannelKind) -> Option<Position> {
        match topic {
            "plant/7/sensor/7" => None,
            _ => self.0.passed(channel, topic, asked_for),
        }
    }
}

fn holding(holds: Arc<dyn Holds>) -> LogOptions {
    LogOptions {
        holds,
        release_interval: Duration::from_millis(250),
        ..LogOptions::default()
    }
}

/// Waits until no more than so many channels keep anything.
fn wait_for_release(reader: &LogReader, channels: usize) {
    let keeping = || {
        let directory = reader.shared.directory();
        directory.iter().filter(|(_, channel)| channel.count() > 0).count()
    };
    while keeping() > channels {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn print_size(store: &LmdbStore) {
    let file = std::fs::metadata(store.path().join("data.mdb")).unwrap().len();
    println!("used {} MiB of {} MiB", store.used_bytes().unwrap() >> 20, file >> 20);
}

#[test]
#[ignore = "measures; takes long"]
fn what_letting_go_of_a_backlog_costs() {
    for batch in [100, 1_000, 10_000] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let holds = Arc::new(Blocked::default());
        let log = store_all(store.clone(), batch, holding(holds.clone()), hold);
        let (started, before) = (Instant::now(), cpu());
        holds.0.store(true, Ordering::Release);
        wait_for_release(&log.reader(), 0);
        report("let go", MESSAGES, started, before);
        print_size(&store);
    }
}

#[test]
#[ignore = "measures; takes long"]
fn what_letting_go_costs_beside_a_blocked_channel() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let holds = Arc::new(OneBlocked(Blocked::default()));
    let log = store_all(store.clone(), 1_000, holding(holds.clone()), hold);
    let (started, before) = (Instant::now(), cpu());
    holds.0.0.store(true, Ordering::Release);
    wait_for_release(&log.reader(), 1);
    report("let go of all but one channel", MESSAGES, started, before);
    print_size(&store);
}

#[test]
#[ignore = "measures; takes long"]
fn what_holding_for_a_reader_at_the_tail_costs() {
    for passes in [false, true, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let holds = Arc::new(Blocked(AtomicBool::new(passes)));
        let (started, before) = (Instant::now(), cpu());
        let log = store_all(store.clone(), 1_000, holding(holds), hold);
        if passes {
            wait_for_release(&log.reader(), 0);
        }
        report(&format!("store, released at once: {passes}"), MESSAGES, started, before);
        print_size(&store);
    }
}
