//! Tests of what is held for durable sessions: how it is stored, read, counted and let go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::testing::{Bench, Filter, Passed, append, hold, keeping, options, payload, read_scan};
use super::*;
use crate::store::{FailingStore, Fault, MemoryStore, Store, Table, Visit};
use crate::types::{Clock, Position, Sequence, Timestamp};

fn clock() -> Clock {
    Clock::manual(Timestamp(1_000))
}

/// A log that asks a test how far the durable sessions have come.
fn held_bench(store: Arc<dyn Store>, options: LogOptions) -> (Bench, Arc<Passed>) {
    let passed = Arc::new(Passed::default());
    let holds = passed.clone();
    let bench = Bench::open(store, LogOptions { holds, ..options }).unwrap();
    (bench, passed)
}

fn fresh() -> (Bench, Arc<Passed>) {
    held_bench(Arc::new(MemoryStore::new()), options(&clock()))
}

fn rows(store: &dyn Store, table: Table) -> usize {
    let mut count = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        count += 1;
        Ok(Visit::More)
    };
    store
        .read(&mut |snapshot| snapshot.upwards(table, &[], &mut visit))
        .unwrap();
    count
}

fn channel_rows(store: &dyn Store) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut visit = |_: &[u8], value: &[u8]| {
        found.push(value.to_vec());
        Ok(Visit::More)
    };
    store
        .read(&mut |snapshot| snapshot.upwards(Table::Channels, &[], &mut visit))
        .unwrap();
    found
}

#[test]
fn events_and_held_records_of_a_topic_count_apart_and_share_one_order() {
    let (mut bench, _) = fresh();
    let outcomes = bench.run(vec![append("a", "1"), hold("a", "2"), append("a", "3"), hold("a", "4")]);
    let places = outcomes.into_iter().map(|outcome| match outcome {
        Ok(Outcome::Stored(stored)) => (stored.position.0, stored.sequence.0),
        other => panic!("{other:?}"),
    });
    assert_eq!(places.collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 2), (4, 2)]);
    let events = bench.read(&Filter::exact("a"), Position(0));
    assert_eq!(events.iter().map(payload).collect::<Vec<_>>(), ["1", "3"]);
    for filter in [Filter::exact("a"), Filter::all()] {
        let scan = bench.reader.scan_kept(Arc::new(filter), Position(1));
        let kept = read_scan(&bench.reader, scan);
        let kept: Vec<_> = kept.iter().map(|event| (payload(event), event.kind)).collect();
        let (event, held) = (ChannelKind::Event, ChannelKind::Held);
        assert_eq!(kept, [("2", held), ("3", event), ("4", held)]);
    }
}

#[test]
fn administration_sees_channels_of_events_only() {
    let (mut bench, _) = fresh();
    bench.run(vec![hold("a", "1"), hold("b", "2"), append("b", "3")]);
    assert_eq!(bench.reader.channel_count(), 1);
    assert_eq!(bench.reader.channels().len(), 1);
    assert_eq!(bench.reader.find_channel("a"), None);
    assert_eq!(bench.reader.pending(&Filter::all(), None, Position(0)), Some(1));
}

#[test]
fn records_are_read_at_their_positions_and_none_where_they_are_gone() {
    let (mut bench, passed) = fresh();
    bench.run(vec![hold("a", "1"), append("a", "2"), hold("a", "3")]);
    passed.tell("a", Position(1));
    bench.run_one(Command::ApplyRetention).unwrap();
    let positions = [3, 1, 2, 9].map(Position);
    let found = bench.reader.events_at(&positions).unwrap();
    let found: Vec<_> = found.iter().map(|event| event.as_ref().map(payload)).collect();
    assert_eq!(found, [Some("3"), None, Some("2"), None]);
}

#[test]
fn many_positions_are_read_in_several_snapshots() {
    let (mut bench, _) = fresh();
    bench.run((0..2_500).map(|n| hold("a", &n.to_string())).collect());
    let positions: Vec<_> = (1..=2_500).map(Position).collect();
    let found = bench.reader.events_at(&positions).unwrap();
    assert!(found.iter().flatten().map(|event| event.position).eq(positions));
}

#[test]
fn held_records_go_as_far_as_every_session_has_passed_them() {
    let (mut bench, passed) = fresh();
    bench.run(["1", "2", "3"].map(|payload| hold("a", payload)).into());
    bench.run(vec![hold("b", "4"), append("a", "5")]);
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.kept().len(), 5, "nobody has said anything yet");
    passed.tell("a", Position(2));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.kept(), ["3", "4", "5"]);
    passed.tell("a", Position(u64::MAX));
    passed.tell("b", Position(3));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.kept(), ["4", "5"]);
    assert_eq!(bench.hold("a", "6").unwrap().sequence, Sequence(4));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(
        bench.kept(),
        ["4", "5", "6"],
        "an answer counts for what was there then"
    );
}

#[test]
fn held_records_go_on_their_own_within_the_interval() {
    let often = LogOptions {
        clock: Clock::System,
        release_interval: Duration::from_millis(2),
        ..LogOptions::default()
    };
    let (mut bench, passed) = held_bench(Arc::new(MemoryStore::new()), often);
    bench.hold("a", "1").unwrap();
    passed.tell("a", Position(1));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !bench.kept().is_empty() {
        assert!(Instant::now() < deadline, "it must go without being asked for");
        std::thread::yield_now();
    }
}

#[test]
fn many_held_records_go_in_steps_though_their_holder_answers_once() {
    let store = Arc::new(MemoryStore::new());
    let (mut bench, passed) = held_bench(store.clone(), options(&clock()));
    for topic in ["a", "b"] {
        bench.run((0..3_300).map(|n| hold(topic, &n.to_string())).collect());
    }
    passed.tell("a", Position(3_300));
    passed.tell("b", Position(u64::MAX));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!((rows(&*store, Table::Log), rows(&*store, Table::Index)), (0, 0));
}

#[test]
fn what_could_not_be_let_go_goes_the_next_time() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let (mut bench, passed) = held_bench(store.clone(), options(&clock()));
    bench.run(["1", "2"].map(|payload| hold("a", payload)).into());
    passed.tell("a", Position(1));
    store.fail_write(1, Fault::Full);
    assert_eq!(bench.run_one(Command::ApplyRetention), Err(LogError::Full));
    assert_eq!(bench.kept().len(), 2);
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.kept(), ["2"]);
}

#[test]
fn only_channels_that_keep_something_are_asked_about() {
    let (mut bench, passed) = fresh();
    bench.run(vec![hold("a", "1"), hold("b", "2"), append("c", "3")]);
    passed.tell("a", Position(u64::MAX));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(passed.asked(), ["a", "b"]);
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(passed.asked(), ["b"]);
}

#[test]
fn retention_leaves_what_a_session_has_still_to_read_and_a_command_does_not() {
    let (mut bench, passed) = fresh();
    bench.run((1..=10).map(|n| append("a", &n.to_string())).collect());
    bench.log.set_retention(keeping(Retention {
        max_count: Some(2),
        ..Retention::default()
    }));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.kept().len(), 10, "a holder that says nothing keeps all");
    passed.tell("a", Position(4));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.kept()[0], "5");
    passed.tell("a", Position(u64::MAX));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.kept(), ["9", "10"]);
    passed.tell("a", Position(0));
    let channel = bench.reader.find_channel("a").unwrap();
    let through = Sequence(10);
    bench.run_one(Command::Trim { channel, through }).unwrap();
    assert!(bench.kept().is_empty());
}

#[test]
fn held_records_come_back_after_a_crash_and_after_a_checkpoint() {
    let inner = Arc::new(MemoryStore::new());
    for round in 0..2 {
        let store = Arc::new(FailingStore::new(inner.clone()));
        let (mut bench, passed) = held_bench(store.clone(), options(&clock()));
        assert_eq!(bench.kept().len(), round * 300);
        let first = bench.hold("a", "x").unwrap();
        assert_eq!(first.sequence.0 as usize, round * 300 + 1);
        bench.run((0..299).map(|n| hold("a", &n.to_string())).collect());
        if round == 0 {
            store.freeze_from(1);
        } else {
            passed.tell("a", Position(250));
            bench.run_one(Command::ApplyRetention).unwrap();
        }
    }
    let (bench, _) = held_bench(inner, options(&clock()));
    assert_eq!(bench.kept().len(), 350);
}

/// What a log finds that opens what another left without a word.
fn after_crash(inner: &Arc<MemoryStore>) -> (Bench, Arc<Passed>, Arc<FailingStore>) {
    let store = Arc::new(FailingStore::new(inner.clone()));
    let (bench, passed) = held_bench(store.clone(), options(&clock()));
    (bench, passed, store)
}

fn hold_many(bench: &mut Bench, topics: &[&str], count: usize) {
    let commands = (0..count).flat_map(|n| topics.iter().map(move |topic| hold(topic, &n.to_string())));
    bench.run(commands.collect());
}

#[test]
fn what_was_let_go_stays_gone_after_a_crash_though_no_row_says_so() {
    let inner = Arc::new(MemoryStore::new());
    // In full runs behind the checkpoint, and in the tails.
    for count in [300, 40] {
        let (mut bench, passed, store) = after_crash(&inner);
        assert!(bench.kept().is_empty());
        hold_many(&mut bench, &["a", "b", "c"], count);
        let before = channel_rows(&*inner);
        for topic in ["a", "b", "c"] {
            passed.tell(topic, Position(u64::MAX));
        }
        bench.run_one(Command::ApplyRetention).unwrap();
        assert_eq!((rows(&*inner, Table::Log), rows(&*inner, Table::Index)), (0, 0));
        assert_eq!(channel_rows(&*inner), before);
        store.freeze_from(1);
        bench.log.close();
    }
}

#[test]
fn a_sequence_is_not_used_again_though_all_behind_the_checkpoint_was_let_go() {
    let inner = Arc::new(MemoryStore::new());
    let mut highest = Sequence(0);
    for _ in 0..4 {
        let (mut bench, passed, store) = after_crash(&inner);
        for n in 0..150 {
            let stored = bench.hold("a", &n.to_string()).unwrap();
            assert!(stored.sequence > highest);
            highest = stored.sequence;
        }
        passed.tell("a", Position(u64::MAX));
        bench.run_one(Command::ApplyRetention).unwrap();
        store.freeze_from(1);
        bench.log.close();
    }
}

#[test]
fn a_channel_of_which_the_head_was_let_go_comes_back_with_the_rest() {
    for passed_until in [1, 100, 299, 300, 301, 500, 899] {
        let inner = Arc::new(MemoryStore::new());
        let (mut bench, _, _) = after_crash(&inner);
        hold_many(&mut bench, &["a", "b"], 150);
        bench.log.close();
        let (mut bench, passed, store) = after_crash(&inner);
        hold_many(&mut bench, &["a", "b"], 300);
        for topic in ["a", "b"] {
            passed.tell(topic, Position(passed_until));
        }
        bench.run_one(Command::ApplyRetention).unwrap();
        let kept = bench.kept();
        assert_eq!(kept.len() as u64, 900 - passed_until);
        store.freeze_from(1);
        bench.log.close();
        let (mut bench, passed, _) = after_crash(&inner);
        assert_eq!(bench.kept(), kept);
        let backlog = bench.reader.backlog(&Filter::all(), Position(0)).unwrap();
        assert_eq!(backlog.records, 900 - passed_until);
        assert_eq!(bench.hold("b", "x").unwrap().sequence, Sequence(451));
        for topic in ["a", "b"] {
            passed.tell(topic, Position(u64::MAX));
        }
        bench.run_one(Command::ApplyRetention).unwrap();
        assert_eq!((rows(&*inner, Table::Log), rows(&*inner, Table::Index)), (0, 0));
    }
}

#[test]
fn beyond_max_bytes_nothing_is_held_until_something_is_let_go() {
    let mut bounded = options(&clock());
    bounded.max_bytes = 20_000;
    let (mut bench, passed) = held_bench(Arc::new(MemoryStore::new()), bounded);
    let text = "x".repeat(1_000);
    let outcomes = bench.run((0..40).map(|_| hold("a", &text)).collect());
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((15..=20).contains(&stored), "{stored}");
    assert!(outcomes[stored..].iter().all(|outcome| *outcome == Err(LogError::Full)));
    passed.tell("a", Position(10));
    bench.run_one(Command::ApplyRetention).unwrap();
    assert_eq!(bench.hold("a", &text).unwrap().sequence, Sequence(stored as u64 + 1));
}

#[test]
fn a_backlog_counts_both_kinds_behind_a_position() {
    let clock = clock();
    let (mut bench, _) = held_bench(Arc::new(MemoryStore::new()), options(&clock));
    for n in 0..500 {
        bench.run(vec![append("a", "1234"), hold("a", "1234"), hold("b", &n.to_string())]);
        clock.advance(Duration::from_nanos(1));
    }
    let backlog = |filter: &Filter, after| bench.reader.backlog(filter, Position(after)).unwrap();
    let all = backlog(&Filter::all(), 0);
    assert_eq!((all.records, all.oldest), (1_500, Some(Timestamp(1_000))));
    let some = backlog(&Filter::exact("a"), 900);
    assert_eq!((some.records, some.oldest), (400, Some(Timestamp(1_300))));
    assert!(some.bytes > 400 * 20 && some.bytes < all.bytes);
    assert_eq!(backlog(&Filter::exact("b"), 1_500), Backlog::default());
    assert_eq!(backlog(&Filter::exact("c"), 0), Backlog::default());
}

#[test]
fn a_cut_point_is_the_lowest_position_that_keeps_within_each_limit() {
    let clock = clock();
    let (mut bench, _) = held_bench(Arc::new(MemoryStore::new()), options(&clock));
    for _ in 0..500 {
        bench.run(vec![append("a", "1"), hold("a", "2"), hold("b", "3")]);
        clock.advance(Duration::from_nanos(1));
    }
    let filter = Filter::exact("a");
    let cut = |after, limits: BacklogLimits| {
        let cut = bench.reader.cut_point(&filter, Position(after), &limits);
        cut.unwrap().0
    };
    let none = BacklogLimits::default();
    assert_eq!(cut(7, none), 7);
    let records = |most| BacklogLimits {
        max_records: Some(most),
        ..none
    };
    assert_eq!(
        (cut(0, records(1_000)), cut(0, records(999)), cut(0, records(998))),
        (0, 1, 2)
    );
    assert_eq!((cut(0, records(1)), cut(0, records(0))), (1_498, 1_499));
    assert_eq!(cut(1_400, records(200)), 1_400);
    let older_than = |time| BacklogLimits {
        older_than: Some(Timestamp(time)),
        ..none
    };
    assert_eq!((cut(0, older_than(1_000)), cut(0, older_than(1_001))), (0, 3));
    assert_eq!((cut(600, older_than(1_001)), cut(0, older_than(9_999))), (600, 1_500));
    let bytes = bench.reader.backlog(&filter, Position(750)).unwrap().bytes;
    let half = BacklogLimits {
        max_bytes: Some(bytes),
        ..none
    };
    assert!((740..=755).contains(&cut(0, half)), "{}", cut(0, half));
}
