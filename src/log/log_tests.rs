//! Tests of the log's promises, one by one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::testing::{Bench, Filter, append, keeping, options, pass, payload, read};
use super::*;
use crate::store::{Changes, FailingStore, Fault, MemoryStore, Store, Table, Visit, channel_key, log_key};
use crate::types::{ChannelId, Clock, CursorId, Position, Sequence, Timestamp};

fn clock() -> Clock {
    Clock::manual(Timestamp(1_000))
}

fn failing() -> (Arc<MemoryStore>, Arc<FailingStore>) {
    let inner = Arc::new(MemoryStore::new());
    (inner.clone(), Arc::new(FailingStore::new(inner)))
}

fn bench() -> Bench {
    Bench::open(Arc::new(MemoryStore::new()), options(&clock())).unwrap()
}

fn rows(store: &dyn Store, table: Table) -> usize {
    let mut count = 0;
    store
        .read(&mut |snapshot| {
            snapshot.upwards(table, &[], &mut |_, _| {
                count += 1;
                Ok(Visit::More)
            })
        })
        .unwrap();
    count
}

fn trim(channel: ChannelId, through: u64) -> Command {
    Command::Trim {
        channel,
        through: Sequence(through),
    }
}

fn cursor(id: u64) -> CursorRecord {
    CursorRecord {
        id: CursorId(id),
        owner: CursorOwner::Group("g".into()),
        filter: "a/#".into(),
        floor: Position(3),
        acked: vec![Position(5)],
        sent: Position(6),
        created: Timestamp(1),
        used: Timestamp(2),
    }
}

#[test]
fn nothing_is_acknowledged_or_read_before_its_commit() {
    let (_, store) = failing();
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    store.block();
    let tags = bench.submit(vec![append("a", "1")]);
    store.wait_blocked();
    assert!(!bench.has_come(tags[0]));
    assert_eq!(bench.reader.watermark(), Position(0));
    assert!(bench.reader.channels().is_empty());
    store.release();
    bench.wait(tags[0]).unwrap();
    assert_eq!(bench.reader.watermark(), Position(1));
    assert_eq!(payload(&bench.read(&Filter::exact("a"), Position(0))[0]), "1");
}

#[test]
fn what_arrives_during_a_commit_is_one_batch_in_its_order() {
    let (_, store) = failing();
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    store.block();
    let first = bench.submit(vec![append("a", "1")]);
    store.wait_blocked();
    let mut rest = bench.submit(vec![append("a", "2"), pass("a", "3")]);
    rest.extend(bench.submit(vec![append("b", "4"), Command::Flush]));
    store.release();
    bench.wait(*rest.last().unwrap()).unwrap();
    assert_eq!(bench.batches.recv().unwrap(), first);
    assert_eq!(bench.batches.recv().unwrap(), rest);
    assert_eq!(store.writes(), 2);
}

#[test]
fn a_batch_is_bounded_by_commands_and_by_bytes() {
    let mut bounded = options(&clock());
    bounded.max_batch_records = 3;
    let mut bench = Bench::open(Arc::new(MemoryStore::new()), bounded).unwrap();
    bench.run((0..7).map(|n| append("a", &n.to_string())).collect());
    let sizes: Vec<_> = (0..3).map(|_| bench.batches.recv().unwrap().len()).collect();
    assert_eq!(sizes, [3, 3, 1]);

    let mut bounded = options(&clock());
    bounded.max_batch_bytes = 1_000;
    let mut bench = Bench::open(Arc::new(MemoryStore::new()), bounded).unwrap();
    bench.run((0..2).map(|_| append("a", &"x".repeat(2_000))).collect());
    assert_eq!(bench.batches.recv().unwrap().len(), 1);
}

#[test]
fn a_commit_has_one_time_that_never_falls() {
    let clock = clock();
    let Clock::Manual(at) = clock.clone() else {
        unreachable!()
    };
    let mut bench = Bench::open(Arc::new(MemoryStore::new()), options(&clock)).unwrap();
    let first = bench.append("a", "1").unwrap();
    at.store(10, Ordering::Release);
    let second = bench.append("a", "2").unwrap();
    at.store(2_000, Ordering::Release);
    let third = bench.append("b", "3").unwrap();
    assert_eq!(
        [first.time, second.time, third.time],
        [Timestamp(1_000), Timestamp(1_000), Timestamp(2_000)]
    );
}

#[test]
fn a_forward_behind_a_failed_append_is_still_forwarded() {
    let (_, store) = failing();
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    store.fail_from(1, Fault::Io);
    let forward = || pass("a", "x");
    let outcomes = bench.run(vec![
        append("a", "1"),
        forward(),
        Command::SaveCursor(Box::new(cursor(1))),
    ]);
    assert!(matches!(outcomes[0], Err(LogError::Io(_))));
    assert_eq!(outcomes[1], Ok(Outcome::Forwarded));
    assert!(matches!(outcomes[2], Err(LogError::Io(_))));
    let outcomes = bench.run(vec![append("a", "1"), forward(), trim(ChannelId(1), 1), Command::Flush]);
    let poisoned = Err(LogError::Poisoned);
    assert_eq!(
        outcomes,
        [poisoned.clone(), Ok(Outcome::Forwarded), poisoned.clone(), poisoned]
    );
}

#[test]
fn a_poisoned_log_can_still_be_read() {
    let (_, store) = failing();
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    bench.append("a", "1").unwrap();
    store.fail_from(1, Fault::Io);
    bench.append("a", "2").unwrap_err();
    let events = bench.read(&Filter::all(), Position(0));
    assert_eq!(events.iter().map(payload).collect::<Vec<_>>(), ["1"]);
    assert_eq!(bench.reader.watermark(), Position(1));
}

#[test]
fn a_full_disk_refuses_events_only_and_heals() {
    let (_, store) = failing();
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    store.fail_write(1, Fault::Full);
    let outcomes = bench.run(vec![append("a", "1"), Command::SaveCursor(Box::new(cursor(1)))]);
    assert_eq!(outcomes, [Err(LogError::Full), Ok(Outcome::Done)]);
    let stored = bench.append("a", "2").unwrap();
    assert_eq!((stored.position, stored.sequence), (Position(1), Sequence(1)));
}

#[test]
fn beyond_max_bytes_events_are_refused_until_some_are_trimmed() {
    let mut bounded = options(&clock());
    bounded.max_bytes = 20_000;
    let mut bench = Bench::open(Arc::new(MemoryStore::new()), bounded).unwrap();
    let text = "x".repeat(1_000);
    let outcomes = bench.run((0..40).map(|_| append("a", &text)).collect());
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((15..=20).contains(&stored), "{stored}");
    assert!(outcomes[stored..].iter().all(|outcome| *outcome == Err(LogError::Full)));
    let saved = bench.run_one(Command::SaveCursor(Box::new(cursor(1))));
    assert_eq!(saved, Ok(Outcome::Done));
    bench.run_one(trim(ChannelId(1), 10)).unwrap();
    assert_eq!(bench.append("a", &text).unwrap().sequence, Sequence(stored as u64 + 1));
}

#[test]
fn sequences_and_positions_are_not_reused_after_trimming_all_and_a_crash() {
    let (inner, store) = failing();
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    bench.run(vec![append("a", "1"), append("b", "2"), append("a", "3")]);
    bench.run(vec![trim(ChannelId(1), 9), trim(ChannelId(2), 9)]);
    store.freeze_from(1);
    drop(bench);
    let mut bench = Bench::open(inner, options(&clock())).unwrap();
    assert!(bench.read(&Filter::all(), Position(0)).is_empty());
    assert_eq!(bench.reader.watermark(), Position(3));
    let stored = bench.append("a", "4").unwrap();
    assert_eq!((stored.position, stored.sequence), (Position(4), Sequence(3)));
}

#[test]
fn a_checkpoint_counts_channels_whose_tail_is_empty() {
    let store = Arc::new(MemoryStore::new());
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    bench.run((0..128).map(|n| append("a", &n.to_string())).collect());
    // The next commit moves the full tail into the index.
    bench.append("b", "x").unwrap();
    drop(bench);
    let mut bench = Bench::open(store, options(&clock())).unwrap();
    assert_eq!(bench.append("a", "y").unwrap().sequence, Sequence(129));
    assert_eq!(bench.read(&Filter::exact("a"), Position(0)).len(), 129);
}

#[test]
fn a_trim_of_many_is_done_in_steps_and_answered_at_the_end() {
    let store = Arc::new(MemoryStore::new());
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    bench.run((0..4_500).map(|n| append("a", &n.to_string())).collect());
    assert_eq!(bench.run_one(trim(ChannelId(1), 4_321)), Ok(Outcome::Done));
    assert_eq!(rows(&*store, Table::Log), 179);
    let stats = bench.reader.channel_stats(ChannelId(1)).unwrap();
    assert_eq!(
        (stats.first, stats.next, stats.count),
        (Sequence(4_322), Sequence(4_501), 179)
    );
    bench.run_one(trim(ChannelId(1), 9_999)).unwrap();
    assert_eq!((rows(&*store, Table::Log), rows(&*store, Table::Index)), (0, 0));
    assert_eq!(bench.reader.channel_stats(ChannelId(1)).unwrap().bytes, 0);
    assert_eq!(bench.run_one(trim(ChannelId(7), 1)), Ok(Outcome::Done));
}

#[test]
fn retention_removes_what_is_beyond_each_limit_and_the_rows_that_go_with_it() {
    let clock = clock();
    let store = Arc::new(MemoryStore::new());
    let mut options = options(&clock);
    options.retention = Arc::new(|topic| Retention {
        max_age: (topic == "age").then_some(Duration::from_nanos(500)),
        max_count: (topic == "count").then_some(3),
        max_bytes: (topic == "bytes").then_some(400),
    });
    let mut bench = Bench::open(store.clone(), options).unwrap();
    for _ in 0..1_500 {
        let topics = ["age", "count", "bytes"];
        bench.run(topics.map(|topic| append(topic, &"x".repeat(50))).into());
        clock.advance(Duration::from_nanos(1));
    }
    bench.run_one(Command::ApplyRetention).unwrap();
    let counts: Vec<_> = bench.reader.channels().iter().map(|stats| stats.count).collect();
    assert_eq!(counts[..2], [500, 3]);
    let bytes = bench.reader.channels()[2].bytes;
    assert!(bytes <= 400 && bytes > 400 - 100, "{bytes}");
    bench.run_one(Command::ApplyRetention).unwrap();
    assert!(rows(&*store, Table::Times) <= 501);
    assert!(rows(&*store, Table::Index) <= 6);
}

#[test]
fn retention_can_be_replaced_while_the_log_runs() {
    let mut bench = bench();
    bench.run((0..10).map(|n| append("a", &n.to_string())).collect());
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.reader.channels()[0].count, 10);
    bench.log.set_retention(keeping(Retention {
        max_count: Some(4),
        ..Retention::default()
    }));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.reader.channels()[0].first, Sequence(7));
}

#[test]
fn a_time_is_found_after_the_rows_before_it_were_removed() {
    let clock = clock();
    let mut bench = Bench::open(Arc::new(MemoryStore::new()), options(&clock)).unwrap();
    for _ in 0..10 {
        bench.append("a", "x").unwrap();
        clock.advance(Duration::from_nanos(10));
    }
    bench.run_one(trim(ChannelId(1), 5)).unwrap();
    bench.run_one(Command::ApplyRetention).unwrap();
    let first = |time| {
        let origin = bench
            .reader
            .resolve(&Filter::all(), StartAt::Time(Timestamp(time)), clock.now(), &mut |_| {
                true
            });
        origin.unwrap().first
    };
    assert!(first(1) <= Position(6));
    assert_eq!(first(1_070), Position(8));
    assert_eq!(first(1_071), Position(9));
    assert_eq!(first(1_091), Position(11));
}

#[test]
fn a_scan_meets_channels_that_are_born_behind_it() {
    let mut bench = bench();
    bench.append("a/1", "1").unwrap();
    let mut scan = bench.reader.scan(Arc::new(Filter::Prefix("a/".into())), Position(0));
    let mut exact = bench.reader.scan(Arc::new(Filter::exact("a/2")), Position(0));
    let mut out = Vec::new();
    let mut next = |scan: &mut Scan, reader: &LogReader| {
        out.clear();
        let reached = scan.next_batch(reader, &mut |_, _, _| true, 10, 1_000, &mut out);
        assert_eq!(reached, Ok(reader.watermark()));
        out.iter().map(|event| payload(event).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(next(&mut scan, &bench.reader), ["1"]);
    assert!(next(&mut exact, &bench.reader).is_empty());
    bench.run(vec![append("b/1", "2"), append("a/2", "3")]);
    assert_eq!(next(&mut scan, &bench.reader), ["3"]);
    assert_eq!(next(&mut exact, &bench.reader), ["3"]);
    assert!(next(&mut scan, &bench.reader).is_empty());
}

#[test]
fn readers_miss_and_repeat_nothing_while_events_are_stored_and_trimmed() {
    let mut few = options(&clock());
    few.checkpoint_records = 700;
    let mut bench = Bench::open(Arc::new(MemoryStore::new()), few).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let filters = [Filter::exact("t/3"), Filter::Prefix("t/".into()), Filter::exact("t/0")];
    let readers = filters.map(|filter| {
        let (reader, done) = (bench.reader.clone(), done.clone());
        thread::spawn(move || {
            let mut scan = reader.scan(Arc::new(filter), Position(0));
            let mut out = Vec::new();
            loop {
                let last = done.load(Ordering::Acquire);
                let reached = scan.next_batch(&reader, &mut |_, _, _| true, 100, 1 << 20, &mut out);
                if reached.unwrap() == reader.watermark() && last {
                    return out;
                }
                thread::yield_now();
            }
        })
    });
    for round in 0..400u64 {
        let topic = |n: u64| format!("t/{}", if n.is_multiple_of(50) { 3 } else { n % 2 });
        bench.run((0..60).map(|n| append(&topic(n), "x")).collect());
        if round % 10 == 9 {
            bench.run_one(trim(ChannelId(2), round * 20)).unwrap();
        }
    }
    done.store(true, Ordering::Release);
    let [rare, all, half] = readers.map(|reader| reader.join().unwrap());
    assert!(all.is_sorted_by(|a, b| a.position < b.position));
    assert_eq!(rare.len(), 800);
    for events in [&rare, &half] {
        let sequences = events.iter().map(|event| event.sequence.0);
        assert!(sequences.eq(1..=events.len() as u64), "dense from the first");
    }
    let of = |channel| all.iter().filter(move |event| event.channel == ChannelId(channel));
    assert_eq!(of(1).count(), 800);
    assert!(of(2).is_sorted_by(|a, b| a.sequence < b.sequence));
}

#[test]
fn there_is_no_room_while_too_much_waits() {
    let (_, store) = failing();
    let mut bounded = options(&clock());
    bounded.queue_bytes = 1_000;
    let mut bench = Bench::open(store.clone(), bounded).unwrap();
    assert!(bench.log.has_room());
    store.block();
    bench.submit(vec![append("a", &"x".repeat(2_000))]);
    assert!(!bench.log.has_room());
    thread::scope(|scope| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let log = &bench.log;
        let waiter = scope.spawn(move || runtime.block_on(log.room()));
        store.wait_blocked();
        store.release();
        waiter.join().unwrap();
    });
    assert!(bench.log.has_room());
}

#[test]
fn closing_carries_out_what_was_submitted_and_refuses_the_rest() {
    let (inner, store) = failing();
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    store.block();
    bench.submit(vec![append("a", "1")]);
    store.wait_blocked();
    let waiting = bench.submit((0..50).map(|n| append("a", &n.to_string())).collect());
    thread::scope(|scope| {
        scope.spawn(|| bench.log.close());
        store.release();
    });
    assert!(bench.wait(*waiting.last().unwrap()).is_ok());
    bench.log.close();
    let late = bench.submit(vec![append("a", "late")]);
    drop(bench);
    assert_eq!(late, [51]);
    let bench = Bench::open(inner, options(&clock())).unwrap();
    assert_eq!(bench.read(&Filter::all(), Position(0)).len(), 51);
}

#[test]
fn cursors_come_back_with_their_origins() {
    let store = Arc::new(MemoryStore::new());
    let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
    let origin = Origin {
        taken_at: Position(4),
        first: Position(2),
        rule: StartRule::SinceSequence(Sequence(3)),
    };
    bench.run(vec![
        Command::SaveCursor(Box::new(cursor(4))),
        Command::SaveCursorOrigin(CursorId(4), Box::new(origin.clone())),
        Command::SaveCursor(Box::new(cursor(2))),
        Command::SaveCursor(Box::new(cursor(9))),
        Command::DeleteCursor(CursorId(9)),
    ]);
    drop(bench);
    let bench = Bench::open(store, options(&clock())).unwrap();
    let wanted = [(cursor(2), None), (cursor(4), Some(origin))];
    assert_eq!(bench.recovered.cursors, wanted);
    assert_eq!(bench.recovered.next_cursor, CursorId(5));
}

#[test]
fn damage_behind_the_checkpoint_is_refused_at_the_start_with_its_place() {
    let damage = |table: Table, key: &[u8], value: Option<&[u8]>| {
        let (inner, store) = failing();
        let mut bench = Bench::open(store.clone(), options(&clock())).unwrap();
        bench.run(vec![append("a", "1"), append("a", "2"), append("b", "3")]);
        store.freeze_from(1);
        drop(bench);
        let mut changes = Changes::new();
        match value {
            Some(value) => changes.put(table, key, |out| out.extend_from_slice(value)),
            None => changes.delete(table, key),
        }
        inner.write(&changes).unwrap();
        match Bench::open(inner, options(&clock())) {
            Err(LogError::Unusable(text)) => text,
            _ => panic!("it must be refused"),
        }
    };
    let text = damage(Table::Log, &log_key(Position(2)), Some(&[9; 40]));
    assert!(text.contains("table log, key 0000000000000002"), "{text}");
    let text = damage(Table::Log, &log_key(Position(1)), None);
    assert!(text.contains("table log"), "{text}");
    let text = damage(Table::Channels, &channel_key(ChannelId(1)), None);
    assert!(text.contains("table channels"), "{text}");
    let text = damage(Table::Meta, b"marks", Some(&[1]));
    assert!(text.contains("table meta"), "{text}");
}

#[test]
fn a_reader_outlives_its_log() {
    let mut bench = bench();
    bench.append("a", "1").unwrap();
    let reader = bench.reader.clone();
    drop(bench);
    assert_eq!(read(&reader, &Filter::all(), Position(0)).len(), 1);
}

#[test]
fn a_log_that_its_own_sink_lets_go_of_closes() {
    let slot: Arc<Mutex<Option<Log<()>>>> = Arc::default();
    let (dropped, told) = mpsc::channel();
    let sink = {
        let slot = slot.clone();
        move |_: Vec<Committed<()>>| {
            drop(slot.lock().unwrap().take());
            dropped.send(()).unwrap();
        }
    };
    let store = Arc::new(MemoryStore::new());
    let (log, _) = Log::open(store.clone(), options(&clock()), Arc::new(()), Box::new(sink)).unwrap();
    let command = append("a", "1");
    let mut held = slot.lock().unwrap();
    log.submit(vec![Submission { command, tag: () }]);
    *held = Some(log);
    drop(held);
    // Disconnected instead, if the sink's thread had panicked.
    told.recv().unwrap();
    let bench = Bench::open(store, options(&clock())).unwrap();
    assert_eq!(bench.reader.watermark(), Position(1));
}
