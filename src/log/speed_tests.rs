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
            while release.is_walking() {
                release.step(&reader.shared, &mut cuts, 1_000).unwrap();
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

#[test]
#[ignore = "measures; takes long"]
fn what_letting_go_costs() {
    for batch in [100, 1_000, 10_000] {
        let folder = tempfile::tempdir().unwrap();
        let holds = Arc::new(Blocked::default());
        let options = LogOptions {
            holds: holds.clone(),
            ..LogOptions::default()
        };
        let log = store_all(open(&folder), batch, options, hold);
        let reader = log.reader();
        let (started, before) = (Instant::now(), cpu());
        holds.0.store(true, Ordering::Release);
        let is_empty = || {
            reader
                .shared
                .directory()
                .iter()
                .all(|(_, channel)| channel.count() == 0)
        };
        while !is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        report("let go, after up to a second of waiting", MESSAGES, started, before);
    }
}
