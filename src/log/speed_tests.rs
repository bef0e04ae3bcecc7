//! What the log costs: run with `cargo test --release --lib log::speed -- --ignored --nocapture`.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::testing::{Filter, append};
use super::*;
use crate::store::{LmdbOptions, LmdbStore, Store};
use crate::types::Position;

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

fn store_all(store: Arc<dyn Store>, batch: usize) -> LogReader {
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
        ..LogOptions::default()
    };
    let (log, _) = Log::open(store, options, Arc::new(()), Box::new(sink)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let payload = "x".repeat(256);
    let messages: Vec<_> = (0..CHANNELS)
        .map(|n| append(&format!("plant/{}/sensor/{n}", n % 100), &payload))
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
    let (started, before) = (Instant::now(), cpu());
    log.close();
    report("checkpoint at the end, per channel", CHANNELS, started, before);
    log.reader()
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
        let store = Arc::new(LmdbStore::open(folder.path(), &LmdbOptions::default()).unwrap());
        let reader = store_all(store.clone(), batch);
        println!("used {} MiB", store.used_bytes().unwrap() >> 20);
        read_all(&reader, Filter::all());
        read_all(&reader, Filter::Prefix("plant/7/".into()));
        read_all(&reader, Filter::exact("plant/7/sensor/7"));
        drop((reader, store));
        let (started, before) = (Instant::now(), cpu());
        let store = Arc::new(LmdbStore::open(folder.path(), &LmdbOptions::default()).unwrap());
        let ready = Log::<u32>::open(store, LogOptions::default(), Arc::new(()), Box::new(|_| {}));
        ready.unwrap();
        report("start", 1, started, before);
    }
}
