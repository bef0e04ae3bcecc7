//! Random operations against a naive model: in memory and on disk, with restarts, crashes and failing writes. Those on
//! durable sessions are in `model_sessions`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::index::View;
use super::merge::Merge;
use super::model::{Kept, Model, seen, wanted};
use super::model_sessions::SessionHolds;
use super::testing::{Bench, Filter, append, keeping, message, options, read_scan};
use super::*;
use crate::store::{FailingStore, Fault, LmdbOptions, LmdbStore, MemoryStore, Store};
use crate::types::{ChannelId, Clock, CursorId, Position, Sequence, Timestamp};

/// What a log says it has, in the model's terms.
fn dump(bench: &Bench, cursors: &BTreeMap<u64, (CursorRecord, Option<Origin>)>, model: &Model) -> Model {
    let scan = bench.reader.scan_kept(Arc::new(Filter::all()), Position(0));
    let records: Vec<_> = read_scan(&bench.reader, scan).iter().map(seen).collect();
    let mut next = BTreeMap::new();
    for (_, channel) in bench.reader.shared.directory().iter() {
        let held = channel.kind == ChannelKind::Held;
        let of_channel = |kept: &&Kept| kept.held == held && kept.topic == *channel.topic;
        let kept = records.iter().filter(of_channel).count();
        assert_eq!(channel.count(), kept as u64, "{channel:?}");
        assert_eq!(channel.bytes == 0, kept == 0, "{channel:?}");
        next.insert((held, channel.topic.to_string()), channel.next.0);
    }
    let sessions = bench.recovered.sessions.iter();
    let retained = bench.recovered.retained.iter();
    Model {
        records,
        next,
        sessions: sessions.map(|found| (found.record.id.0, found.clone())).collect(),
        retained: retained
            .map(|found| (found.topic().to_owned(), found.clone()))
            .collect(),
        last: bench.reader.watermark().0,
        // Not visible from outside; the next append shows it.
        last_time: model.last_time,
        cursors: cursors.clone(),
    }
}

/// Closes a store and opens what it leaves behind.
type Reopen = Box<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store>>;

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    inner: Arc<dyn Store>,
    reopen: Reopen,
    store: Arc<FailingStore>,
    pub(crate) bench: Bench,
    pub(crate) model: Model,
    /// The model after every operation since all was known to be durable.
    versions: Vec<Model>,
    pub(crate) armed: bool,
    options: LogOptions,
    pub(crate) holds: Arc<SessionHolds>,
}

impl World {
    fn new(seed: u64, inner: Arc<dyn Store>, reopen: Reopen) -> Self {
        let mut rng = Rng::with_seed(seed);
        let clock = Clock::manual(Timestamp(1_000_000));
        let holds = Arc::new(SessionHolds::default());
        let options = LogOptions {
            checkpoint_records: rng.u64(20..2_000),
            retention_interval: Duration::from_secs(3600 * 24 * 365),
            holds: holds.clone(),
            release_interval: Duration::from_secs(3600 * 24 * 365),
            ..options(&clock)
        };
        let store = Arc::new(FailingStore::new(inner.clone()));
        let bench = Bench::open(store.clone(), options.clone()).unwrap();
        Self {
            rng,
            clock,
            inner,
            reopen,
            store,
            bench,
            model: Model::default(),
            versions: vec![Model::default()],
            armed: false,
            options,
            holds,
        }
    }

    fn step(&mut self) {
        match self.rng.u32(0..140) {
            0..40 => self.append(),
            40..48 => self.trim(),
            48..52 if !self.armed => self.retain(),
            52..60 => self.save_cursor(),
            60..63 => self.delete_cursor(),
            63..75 => self.check_scan(),
            75..85 if !self.armed => self.check_resolve(),
            85..88 if !self.armed => self.refuse_full(),
            88..90 if !self.armed => self.fail_io(),
            90..93 if !self.armed => self.restart(),
            93..95 if !self.armed => self.arm(),
            95..100 if self.armed => self.crash(),
            100..125 => self.change_session(),
            125..135 => self.release(),
            135..140 => self.check_backlog(),
            _ => self.move_clock(),
        }
        if !self.store.is_frozen() {
            self.versions.clear();
        }
        self.versions.push(self.model.clone());
    }

    /// On, mostly: a clock may also be set back.
    fn move_clock(&mut self) {
        self.clock.advance(Duration::from_nanos(self.rng.u64(0..500)));
        if let (Clock::Manual(at), 0) = (&self.clock, self.rng.u32(0..4)) {
            at.fetch_sub(300, std::sync::atomic::Ordering::Relaxed);
        }
    }

    pub(crate) fn topic(&mut self) -> String {
        // Most events go to one channel, so that the others are few among many.
        match self.rng.u32(0..20) {
            0..14 => "a/hot".to_owned(),
            14..19 => format!("a/{}", self.rng.u32(0..3)),
            _ => format!("b/{}", self.rng.u32(0..6)),
        }
    }

    fn batch(&mut self) -> Vec<Publish> {
        let most = if self.rng.bool() { 8 } else { 300 };
        (0..self.rng.usize(1..most))
            .map(|n| {
                let message = message(&self.topic(), &format!("{n}-{}", self.rng.u32(..)));
                match self.rng.u32(0..10) {
                    0..4 => Publish::held(message),
                    _ => Publish::event(message),
                }
            })
            .collect()
    }

    fn append(&mut self) {
        let mut batch = self.batch();
        batch.iter_mut().for_each(|publish| self.add_extras(publish));
        let outcomes = self.bench.run(batch.iter().cloned().map(Command::Publish).collect());
        let now = self.clock.now();
        for (publish, outcome) in batch.iter().zip(outcomes) {
            let place = match outcome {
                Ok(Outcome::Stored(stored)) => Some((stored.position.0, stored.sequence.0, stored.time.0)),
                Ok(Outcome::Forwarded) => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(place, self.model.publish(publish, now), "sequences are dense");
        }
    }

    fn trim(&mut self) {
        let topic = self.topic();
        let Some(channel) = self.bench.reader.find_channel(&topic) else {
            return;
        };
        let next = self.model.next[&(false, topic.clone())];
        let through = self.rng.u64(0..next + 2);
        let through = through.min(if self.rng.bool() { next } else { next / 2 });
        let filter = Filter::exact(&topic);
        let first = self.model.matching(&filter).next();
        // A step removes 1,000 events; here a trim is one write, so that a crash undoes all of it or nothing.
        let through = through.min(first.map_or(next, |kept| kept.sequence + 990));
        let command = Command::Trim {
            channel,
            through: Sequence(through),
        };
        assert_eq!(self.bench.run_one(command), Ok(Outcome::Done));
        self.model.trim(&topic, through);
    }

    fn retain(&mut self) {
        let retention = Retention {
            max_age: self.rng.bool().then(|| Duration::from_nanos(self.rng.u64(0..20_000))),
            max_count: self.rng.bool().then(|| self.rng.u64(0..2_000)),
            max_bytes: None,
        };
        self.bench.log.set_retention(keeping(retention));
        self.apply_retention();
        // A clock that is set back has the log sweep on its own.
        self.bench.log.set_retention(keeping(Retention::default()));
        self.model.retain(retention, self.clock.now());
        self.model.release();
    }

    fn save_cursor(&mut self) {
        let id = self.rng.u64(1..6);
        let record = CursorRecord {
            id: CursorId(id),
            owner: CursorOwner::Client(format!("c{id}")),
            filter: "a/#".into(),
            floor: Position(self.rng.u64(..)),
            acked: Vec::new(),
            sent: Position(self.rng.u64(..)),
            created: self.clock.now(),
            used: self.clock.now(),
        };
        let origin = Origin {
            taken_at: Position(self.rng.u64(..)),
            first: Position(1),
            rule: StartRule::Everything,
        };
        let outcomes = self.bench.run(vec![
            Command::SaveCursor(Box::new(record.clone())),
            Command::SaveCursorOrigin(CursorId(id), Box::new(origin.clone())),
        ]);
        assert!(outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Done)));
        self.model.cursors.insert(id, (record, Some(origin)));
    }

    fn delete_cursor(&mut self) {
        let id = self.rng.u64(1..6);
        assert_eq!(
            self.bench.run_one(Command::DeleteCursor(CursorId(id))),
            Ok(Outcome::Done)
        );
        self.model.cursors.remove(&id);
    }

    pub(crate) fn filter(&mut self) -> Filter {
        match self.rng.u32(0..4) {
            0 => Filter::all(),
            1 => Filter::Prefix("a/".into()),
            2 => Filter::Prefix("b/".into()),
            _ => Filter::Exact(self.topic()),
        }
    }

    fn scan(&mut self, mut scan: Scan, admit: &dyn Fn(&Kept) -> bool) -> Vec<Kept> {
        let mut out = Vec::new();
        let topic = |channel| self.bench.reader.channel_topic(channel).unwrap().to_string();
        loop {
            let (records, bytes) = match self.rng.bool() {
                true => (self.rng.usize(1..20), 1 << 20),
                false => (2_000, self.rng.usize(1..100_000)),
            };
            let had = out.len();
            let mut admit = |position: Position, channel: ChannelId, sequence: Sequence| {
                admit(&Kept {
                    held: false,
                    position: position.0,
                    topic: topic(channel),
                    sequence: sequence.0,
                    time: 0,
                    payload: String::new(),
                })
            };
            let reached = scan.next_batch(&self.bench.reader, &mut admit, records, bytes, &mut out);
            assert!(out.len() - had <= records);
            if reached.unwrap() >= self.bench.reader.watermark() {
                return out.iter().map(seen).collect();
            }
        }
    }

    fn channels(&self) -> BTreeMap<String, ChannelId> {
        let channels = self.bench.reader.channels().into_iter();
        channels.map(|stats| (stats.topic.to_string(), stats.channel)).collect()
    }

    fn check_scan(&mut self) {
        if self.store.is_frozen() {
            return;
        }
        let filter = self.filter();
        let after = self.rng.u64(0..self.model.last + 2);
        let odd = self.rng.bool();
        let admit = |kept: &Kept| !odd || kept.sequence % 2 == 1;
        let (reader, boxed) = (&self.bench.reader, Arc::new(filter.clone()));
        let held_too = self.rng.bool();
        let scan = match held_too {
            true => reader.scan_kept(boxed, Position(after)),
            false => reader.scan(boxed, Position(after)),
        };
        let got = self.scan(scan, &admit);
        let wanted = self.model.kept(&filter).filter(|kept| held_too || !kept.held);
        let wanted: Vec<_> = wanted
            .filter(|kept| kept.position > after && admit(kept))
            .cloned()
            .collect();
        assert_eq!(got, wanted, "{filter:?} after {after}");
        let until = self.rng.u64(after..=self.model.last.max(after));
        self.check_merge(&filter, Position(after), Position(until));
    }

    /// The way through the index finds the same as the model, whatever a scan would have chosen.
    fn check_merge(&self, filter: &Filter, after: Position, until: Position) {
        let shared = &self.bench.reader.shared;
        let directory = shared.directory();
        let views: Vec<_> = directory
            .iter()
            .filter(|(_, channel)| filter.matches(&channel.topic))
            .map(|(id, channel)| View::new(id, channel))
            .collect();
        drop(directory);
        let mut got = Vec::new();
        shared
            .store
            .read(&mut |snapshot| {
                let mut channels = Vec::new();
                for view in &views {
                    channels.push((view.clone(), view.first_after(snapshot, after)?));
                }
                let mut merge = Merge::new(channels, until, snapshot)?;
                while let Some(place) = merge.next(snapshot)? {
                    got.push((place.position.0, place.sequence.0));
                }
                Ok(())
            })
            .unwrap();
        let wanted = self
            .model
            .kept(filter)
            .filter(|kept| kept.position > after.0 && kept.position <= until.0);
        let wanted: Vec<_> = wanted.map(|kept| (kept.position, kept.sequence)).collect();
        assert_eq!(got, wanted, "{filter:?} after {after} until {until}");
    }

    fn check_resolve(&mut self) {
        let filter = self.filter();
        let now = self.clock.now();
        let most = if self.rng.bool() { 4 } else { 2_000 };
        let start = match self.rng.u32(0..5) {
            0 => StartAt::New,
            1 => StartAt::First,
            2 => StartAt::Last(self.rng.u64(1..most)),
            3 => StartAt::Sequence(Sequence(self.rng.u64(1..1_500))),
            _ => StartAt::Time(Timestamp(self.rng.u64(1..now.0 + 10).max(999_000))),
        };
        let even = self.rng.bool();
        let deliverable = |kept: &Kept| !even || kept.payload.ends_with(['0', '2', '4', '6', '8']);
        let resolved = self
            .bench
            .reader
            .resolve(&filter, start, now, &mut |event| deliverable(&seen(event)));
        let origin = resolved.unwrap();
        let wanted = wanted(&self.model, &filter, start, now, &deliverable);
        self.check_pending(&filter, &origin);
        let before = self.model.last;
        self.append();
        let topics = self.channels();
        let scan = Arc::new(filter.clone());
        let scan = self.bench.reader.scan(scan, Position(origin.first.0 - 1));
        let admit = |kept: &Kept| origin.admits(Position(kept.position), topics[&kept.topic], Sequence(kept.sequence));
        let got = self.scan(scan, &admit);
        let got: Vec<_> = got.into_iter().filter(deliverable).collect();
        let live = self.model.matching(&filter).filter(|kept| kept.position > before);
        let wanted: Vec<_> = wanted.into_iter().chain(live.cloned()).filter(deliverable).collect();
        assert_eq!(got, wanted, "{filter:?} {start:?} {origin:?}");
        self.check_pending(&filter, &origin);
    }

    fn check_pending(&mut self, filter: &Filter, origin: &Origin) {
        let floor = Position(self.rng.u64(0..self.model.last + 2));
        let topics = self.channels();
        let waits = |kept: &&Kept| {
            let position = Position(kept.position);
            position > floor && origin.admits(position, topics[&kept.topic], Sequence(kept.sequence))
        };
        let wanted = self.model.matching(filter).filter(waits).count();
        let got = self.bench.reader.pending(filter, Some(origin), floor);
        assert_eq!(got, Some(wanted as u64), "{filter:?} {origin:?} {floor}");
    }

    /// A full store refuses the events of a batch and nothing else, and goes on.
    fn refuse_full(&mut self) {
        self.store.fail_write(1, Fault::Full);
        let batch = self.batch();
        let mut commands: Vec<_> = batch.into_iter().map(Command::Publish).collect();
        commands.push(Command::DeleteCursor(CursorId(1)));
        let mut outcomes = self.bench.run(commands);
        assert_eq!(outcomes.pop(), Some(Ok(Outcome::Done)));
        self.model.cursors.remove(&1);
        assert!(outcomes.iter().all(|outcome| *outcome == Err(LogError::Full)));
    }

    /// A failed write poisons the log: nothing of it is there, nothing is taken after it, a restart heals it.
    fn fail_io(&mut self) {
        self.store.fail_write(1, Fault::Io);
        let failed = self.bench.run_one(append("a/hot", "lost"));
        assert!(matches!(failed, Err(LogError::Io(_))), "{failed:?}");
        let refused = self.bench.run_one(append("a/hot", "refused"));
        assert_eq!(refused, Err(LogError::Poisoned));
        self.check_scan();
        self.restart();
    }

    /// Whether the model knows of writes that the store has lost.
    pub(crate) fn is_ahead(&self) -> bool {
        self.store.is_frozen()
    }

    fn arm(&mut self) {
        self.armed = true;
        self.store.freeze_from(self.rng.u64(1..8));
    }

    fn crash(&mut self) {
        // Whatever closing writes is lost too.
        self.store.freeze_from(1);
        self.armed = false;
        self.open();
        let cursors = self.recovered();
        let found = dump(&self.bench, &cursors, &Model::default());
        let same = |version: &&Model| {
            let last_time = 0;
            let mut version = Model {
                last_time,
                ..(*version).clone()
            };
            version.skip_sequences(&found);
            version == found
        };
        let version = self.versions.iter().find(same);
        self.model = version
            .expect("what was acknowledged is there, and nothing else")
            .clone();
        self.model.skip_sequences(&found);
    }

    fn restart(&mut self) {
        self.open();
        let cursors = self.recovered();
        let found = dump(&self.bench, &cursors, &self.model);
        self.model.skip_sequences(&found);
        assert_eq!(found, self.model);
    }

    fn open(&mut self) {
        self.bench.log.close();
        let spare = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
        self.store = spare.clone();
        self.bench = Bench::open(spare, self.options.clone()).unwrap();
        let inner = std::mem::replace(&mut self.inner, Arc::new(MemoryStore::new()));
        self.inner = (self.reopen)(inner);
        self.store = Arc::new(FailingStore::new(self.inner.clone()));
        self.bench = Bench::open(self.store.clone(), self.options.clone()).unwrap();
    }

    fn recovered(&self) -> BTreeMap<u64, (CursorRecord, Option<Origin>)> {
        let cursors = self.bench.recovered.cursors.iter();
        cursors
            .map(|(record, origin)| (record.id.0, (record.clone(), origin.clone())))
            .collect()
    }
}

#[test]
fn a_log_in_memory_behaves_like_the_model() {
    for seed in 0..24 {
        let mut world = World::new(seed, Arc::new(MemoryStore::new()), Box::new(|store| store));
        (0..250).for_each(|_| world.step());
    }
}

#[test]
fn a_log_on_disk_behaves_like_the_model() {
    for seed in 100..103 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let open = move || Arc::new(LmdbStore::open(&path, &LmdbOptions::default()).unwrap());
        let store = open();
        let reopen = move |store: Arc<dyn Store>| -> Arc<dyn Store> {
            assert_eq!(
                Arc::strong_count(&store),
                1,
                "the store must be closed before it is opened again"
            );
            drop(store);
            open()
        };
        let mut world = World::new(seed, store, Box::new(reopen));
        (0..200).for_each(|_| world.step());
    }
}
