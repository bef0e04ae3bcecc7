//! The writer: takes commands in their order, commits whatever has arrived as one batch, trims in between.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::batch::{Permit, Plan, Progress};
use super::options::RetentionRule;
use super::order::Order;
use super::reader::Shared;
use super::trimmer::Trimmer;
use super::upkeep::Upkeep;
use super::{Command, Committed, LogError, LogObserver, LogOptions, Outcome, Submission};
use crate::store::{ChannelKind, StoreError};
use crate::types::Timestamp;

/// The writer's thread owns this.
pub(crate) struct Writer<T> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) order: Arc<dyn Order<T>>,
    pub(crate) options: LogOptions,
    pub(crate) retention: Arc<RwLock<RetentionRule>>,
    pub(crate) observer: Arc<dyn LogObserver>,
    pub(crate) tail: Sender<Vec<Committed<T>>>,
    pub(crate) progress: Progress,
    pub(crate) upkeep: Upkeep,
    pub(crate) trimmer: Trimmer<T>,
    pub(crate) plan: Plan,
    pub(crate) used_bytes: u64,
    pub(crate) poisoned: bool,
    /// Whether the last append was refused for want of room.
    pub(crate) full: bool,
    pub(crate) next_sweep: Timestamp,
    pub(crate) next_release: Timestamp,
}

impl<T: Send> Writer<T> {
    /// Works until the order ends.
    pub(crate) fn run(mut self) {
        self.observer.on_limit_bytes(self.limit_bytes());
        self.measure();
        let mut waiting = VecDeque::new();
        loop {
            let mut ended = false;
            if waiting.len() < self.options.max_batch_records {
                let wait = if waiting.is_empty() {
                    self.patience()
                } else {
                    Duration::ZERO
                };
                let taken = self.order.take(wait);
                ended = taken.ended;
                if waiting.is_empty() {
                    waiting = taken.submissions;
                } else {
                    waiting.extend(taken.submissions);
                }
            }
            let batch = self.cut_batch(&mut waiting);
            if !batch.is_empty() || self.upkeep.is_busy() {
                self.commit(batch);
            }
            self.trim();
            if ended && waiting.is_empty() && !self.trimmer.is_asked() {
                break;
            }
        }
        self.finish();
    }

    /// How long the writer may wait for commands.
    fn patience(&self) -> Duration {
        if !self.poisoned && (self.upkeep.is_busy() || self.trimmer.is_busy()) {
            return Duration::ZERO;
        }
        let now = self.options.clock.now();
        let sweep = self.next_sweep.since(now).min(self.options.retention_interval);
        let release = self.next_release.since(now).min(self.options.release_interval);
        sweep.min(release).max(Duration::from_millis(1))
    }

    /// Takes the next batch off the waiting commands; trims go to the trimmer.
    fn cut_batch(&mut self, waiting: &mut VecDeque<Submission<T>>) -> Vec<Committed<T>> {
        let mut batch = Vec::with_capacity(waiting.len().min(self.options.max_batch_records));
        let mut bytes = 0;
        while batch.len() < self.options.max_batch_records
            && bytes < self.options.max_batch_bytes
            && let Some(Submission { command, tag }) = waiting.pop_front()
        {
            bytes += command.size();
            let outcome = Ok(Outcome::Done);
            let entry = Committed { tag, command, outcome };
            match entry.command {
                Command::Trim { .. } | Command::ApplyRetention => self.trimmer.ask(entry),
                _ => batch.push(entry),
            }
        }
        batch
    }

    fn commit(&mut self, mut batch: Vec<Committed<T>>) {
        let mut permit = self.permit();
        if self.poisoned {
            permit.refuse_writes = Some(LogError::Poisoned);
        }
        let mut result = self.try_commit(&mut batch, &permit, !self.poisoned);
        if matches!(result, Err(StoreError::Full)) {
            // Nothing of the batch is there. What is no event may still fit.
            permit.refuse_appends = Some(LogError::Full);
            result = self.try_commit(&mut batch, &permit, false);
        }
        if let Err(error) = result {
            self.fail(&mut batch, error);
        }
        self.hand_out(batch);
    }

    /// The bytes beyond which appends are refused.
    fn limit_bytes(&self) -> u64 {
        let most = match self.options.max_bytes {
            0 => u64::MAX,
            most => most,
        };
        let capacity = self.shared.store.capacity_bytes();
        most.min(capacity - (capacity / 64).min(RESERVED_BYTES))
    }

    fn permit(&self) -> Permit {
        Permit {
            refuse_appends: None,
            refuse_writes: None,
            room: self.limit_bytes().saturating_sub(self.used_bytes),
            now: self.options.clock.now(),
        }
    }

    /// Commits a batch. If it fails, nothing has changed but the outcomes.
    fn try_commit(&mut self, batch: &mut [Committed<T>], permit: &Permit, with_upkeep: bool) -> Result<(), StoreError> {
        let plan = &mut self.plan;
        plan.clear();
        {
            let directory = self.shared.directory();
            plan.prepare(batch, &mut self.progress, &directory, permit);
            if with_upkeep {
                self.upkeep.begin_if_due(&self.progress.marks, &directory);
                let ends = self
                    .upkeep
                    .prepare(&directory, &mut plan.changes, &mut plan.flushed, &mut plan.marks);
                if ends {
                    plan.marks.put(&mut plan.changes);
                }
            }
        }
        let writes = !plan.changes.is_empty();
        if writes {
            let started = self.options.clock.now();
            self.shared.store.write(&plan.changes)?;
            let took = self.options.clock.now().since(started);
            self.observer.on_commit(plan.records(), plan.record_bytes, took);
        }
        if with_upkeep {
            self.upkeep.done();
        }
        if plan.refused > 0 {
            self.observer.on_error(&LogError::Full);
        }
        let is_full = plan.refused > 0 || (self.full && plan.records() == 0);
        if std::mem::replace(&mut self.full, is_full) != is_full {
            self.observer.on_full(is_full);
        }
        if writes {
            plan.apply(&mut self.progress, &self.shared, &mut self.upkeep.full);
            self.measure();
        }
        Ok(())
    }

    fn measure(&mut self) {
        match self.shared.store.used_bytes() {
            Ok(bytes) => {
                self.used_bytes = bytes;
                self.observer.on_used_bytes(bytes);
            }
            Err(error) => self.observer.on_error(&error.into()),
        }
    }

    /// Writes down in every command that a write was needed for that it failed. Anything but a lack of space leaves the
    /// disk in doubt, so nothing is written after it.
    fn fail(&mut self, batch: &mut [Committed<T>], error: StoreError) {
        let error = self.note_failure(error);
        for entry in batch {
            if entry.outcome.is_ok() && !entry.command.only_passes() {
                entry.outcome = Err(error.clone());
            }
        }
    }

    fn note_failure(&mut self, error: StoreError) -> LogError {
        let error = LogError::from(error);
        self.observer.on_error(&error);
        if error != LogError::Full {
            self.poison();
        }
        error
    }

    fn poison(&mut self) {
        if !std::mem::replace(&mut self.poisoned, true) {
            self.observer.on_poisoned();
        }
    }

    fn hand_out(&mut self, batch: Vec<Committed<T>>) {
        if !batch.is_empty() && self.tail.send(batch).is_err() {
            // The sink has panicked; nobody would learn what is stored from now on.
            self.poison();
        }
    }

    fn trim(&mut self) {
        if self.poisoned {
            let refused = self.trimmer.refuse(&LogError::Poisoned);
            return self.hand_out(refused);
        }
        let now = self.options.clock.now();
        let later = now.saturating_add(self.options.retention_interval);
        if now >= self.next_sweep || self.next_sweep > later {
            // The second: the clock was set back.
            self.next_sweep = later;
            self.trimmer.want_sweep();
        }
        let later = now.saturating_add(self.options.release_interval);
        if now >= self.next_release || self.next_release > later {
            self.next_release = later;
            self.trimmer.want_release();
        }
        if !self.trimmer.is_busy() {
            return;
        }
        let rule = self.retention.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = self.trim_step(&rule, now) {
            self.observer.on_error(&error);
            let refused = self.trimmer.refuse(&error);
            self.hand_out(refused);
        }
    }

    fn trim_step(&mut self, rule: &RetentionRule, now: Timestamp) -> Result<(), LogError> {
        // What is held comes and goes at the same rate: twice the last batch, so that this catches up.
        let held = HELD_PER_STEP.max(2 * self.plan.records() as u64);
        let changes = &mut self.plan.changes;
        changes.clear();
        // What cannot be read cannot be trimmed; that is no reason to refuse new events.
        self.trimmer
            .step(&self.shared, rule, now, &self.progress.marks, changes, held)?;
        if !changes.is_empty()
            && let Err(error) = self.shared.store.write(changes)
        {
            if !matches!(error, StoreError::Full) {
                self.poison();
            }
            return Err(error.into());
        }
        let (trimmed, mut released, answered) = self.trimmer.done(&self.shared);
        for trimmed in &trimmed {
            match self.shared.topics.channel(trimmed.channel()) {
                Some((ChannelKind::Event, topic)) => self.observer.on_trimmed(topic, &trimmed.positions),
                _ => released += trimmed.positions.len(),
            }
        }
        if released > 0 {
            self.observer.on_released(released);
        }
        if !trimmed.is_empty() || released > 0 {
            self.measure();
        }
        self.hand_out(answered);
        Ok(())
    }

    /// Writes a last checkpoint and refuses what came too late.
    fn finish(&mut self) {
        if !self.poisoned && self.progress.marks.last > self.progress.marks.checkpoint {
            let shared = self.shared.clone();
            self.upkeep.begin(&self.progress.marks, &shared.directory());
        }
        while !self.poisoned && self.upkeep.is_busy() {
            let result = self.try_commit(&mut [], &self.permit(), true);
            if let Err(error) = result {
                self.note_failure(error);
                break;
            }
        }
        let late = self.order.take_refused();
        let late = late.into_iter().map(|Submission { command, tag }| Committed {
            tag,
            command,
            outcome: Err(LogError::Closed),
        });
        self.hand_out(late.collect());
    }
}

/// The least number of held records that a step may let go: the more, the more of them share a page.
const HELD_PER_STEP: u64 = 4_000;
/// Kept free of events, so that trimming and cursors still have room when the store is as big as it may get.
const RESERVED_BYTES: u64 = 1 << 30;
