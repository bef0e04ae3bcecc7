//! What is to be trimmed, by command, by retention or because nobody needs it, and who waits for it; hands it out in
//! bounded steps.

use std::collections::VecDeque;
use std::sync::Arc;

use super::index::View;
use super::options::{Holds, RetentionRule};
use super::reader::Shared;
use super::release::Release;
use super::retention::Sweep;
use super::trim::{self, Cut, SLICE_EVENTS, Trimmed};
use super::{Command, Committed, LogError, Outcome};
use crate::store::{Changes, Marks, StoreError};
use crate::types::{Sequence, Timestamp};

/// Work of trimming.
pub(crate) struct Trimmer<T> {
    /// Trim commands, each of one channel.
    asked: VecDeque<Committed<T>>,
    /// Who wants a whole sweep from now on.
    wanting: Vec<Committed<T>>,
    sweep_wanted: bool,
    sweep: Option<Sweep>,
    release_wanted: bool,
    release: Release,
    holds: Arc<dyn Holds>,
    /// Who waits for the sweep under way.
    sweeping: Vec<Committed<T>>,
    /// What the step under way does when it is durable.
    trimmed: Vec<Trimmed>,
    /// How many of `asked` the step under way finishes.
    finished: usize,
}

impl<T> Trimmer<T> {
    pub(crate) fn new(holds: Arc<dyn Holds>) -> Self {
        Self {
            asked: VecDeque::new(),
            wanting: Vec::new(),
            sweep_wanted: false,
            sweep: None,
            release_wanted: false,
            release: Release::new(holds.clone()),
            holds,
            sweeping: Vec::new(),
            trimmed: Vec::new(),
            finished: 0,
        }
    }

    /// Takes in a command.
    pub(crate) fn ask(&mut self, entry: Committed<T>) {
        match entry.command {
            Command::ApplyRetention => self.wanting.push(entry),
            _ => self.asked.push_back(entry),
        }
    }

    /// The time for a sweep has come.
    pub(crate) fn want_sweep(&mut self) {
        self.sweep_wanted = true;
    }

    /// The time has come to let go of what is held for nobody.
    pub(crate) fn want_release(&mut self) {
        self.release_wanted = true;
    }

    /// Whether there is anything to do.
    pub(crate) fn is_busy(&self) -> bool {
        let sweeps = self.sweep.is_some() || self.sweep_wanted;
        let releases = self.release.is_busy() || self.release_wanted;
        sweeps || releases || self.is_asked()
    }

    /// Whether anybody waits for an answer.
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.is_empty() || !self.wanting.is_empty() || !self.sweeping.is_empty()
    }

    /// Plans a step of at most about [`SLICE_EVENTS`] events and `held` held records.
    pub(crate) fn step(
        &mut self,
        shared: &Shared,
        rule: &RetentionRule,
        now: Timestamp,
        marks: &Marks,
        changes: &mut Changes,
        held: u64,
    ) -> Result<(), StoreError> {
        let mut cuts = Vec::new();
        let left = self.cut_asked(shared, &mut cuts);
        // A channel is cut once in a step, so the sweep waits until no command is left.
        if cuts.is_empty() {
            self.begin_sweep(now);
            if let Some(sweep) = &mut self.sweep {
                sweep.step(shared, rule, &*self.holds, &mut cuts, left)?;
            }
            self.release.step(shared, &mut cuts, changes, held)?;
        }
        self.trimmed.clear();
        let lets_go = self.release.lets_go();
        if cuts.is_empty() && !lets_go && self.sweep.is_none() {
            return Ok(());
        }
        let directory = shared.directory();
        shared.store.read(&mut |snapshot| {
            for (cut, view) in &cuts {
                self.trimmed
                    .push(trim::prepare(*cut, view, snapshot, &directory, changes)?);
            }
            trim::delete_times(marks, snapshot, changes)
        })?;
        trim::delete_records(&self.trimmed, changes);
        if !self.trimmed.is_empty() || lets_go {
            marks.put(changes);
        }
        Ok(())
    }

    /// Plans the commands at the front, as many as a step takes; returns what is left of it.
    fn cut_asked(&mut self, shared: &Shared, cuts: &mut Vec<(Cut, View)>) -> u64 {
        let mut left = SLICE_EVENTS;
        self.finished = 0;
        for entry in &self.asked {
            let Command::Trim { channel, through } = entry.command else {
                unreachable!("only trims are asked for")
            };
            let cut = Cut { channel, through };
            let view = trim::view(shared, cut).filter(|view| through >= view.first_kept && view.next > view.first_kept);
            let Some(view) = view else {
                self.finished += 1;
                continue;
            };
            if left == 0 || cuts.iter().any(|(other, _)| other.channel == channel) {
                break;
            }
            let wanted = through.0.min(view.next.0 - 1);
            let through = wanted.min(view.first_kept.0 + left - 1);
            left -= through - view.first_kept.0 + 1;
            let through_here = Sequence(through);
            cuts.push((
                Cut {
                    channel,
                    through: through_here,
                },
                view,
            ));
            if through < wanted {
                break;
            }
            self.finished += 1;
        }
        left
    }

    fn begin_sweep(&mut self, now: Timestamp) {
        if self.sweep.is_none() && (self.sweep_wanted || !self.wanting.is_empty()) {
            self.sweep = Some(Sweep::new(now));
            self.sweep_wanted = false;
            self.sweeping.append(&mut self.wanting);
            self.release.begin();
        }
        if self.release_wanted && !self.release.is_busy() {
            self.release.begin();
        }
        self.release_wanted = false;
    }

    /// The step is durable: makes it visible. Returns what was cut, how many records were let go beside, and the commands
    /// that are finished.
    pub(crate) fn done(&mut self, shared: &Shared) -> (Vec<Trimmed>, usize, Vec<Committed<T>>) {
        let mut directory = shared.directory_mut();
        let trimmed = std::mem::take(&mut self.trimmed);
        for trimmed in &trimmed {
            trimmed.apply(&mut directory);
        }
        let released = self.release.done(&mut directory);
        let end = directory.next_id();
        drop(directory);
        let mut answered: Vec<_> = self.asked.drain(..self.finished).collect();
        self.finished = 0;
        if self.sweep.as_ref().is_some_and(|sweep| sweep.is_over(end)) {
            self.sweep = None;
        }
        if self.sweep.is_none() && !self.release.is_busy() {
            answered.append(&mut self.sweeping);
        }
        for entry in &mut answered {
            entry.outcome = Ok(Outcome::Done);
        }
        (trimmed, released, answered)
    }

    /// Gives everything up; what waits gets the error.
    pub(crate) fn refuse(&mut self, error: &LogError) -> Vec<Committed<T>> {
        let mut refused: Vec<_> = self.asked.drain(..).collect();
        refused.append(&mut self.wanting);
        refused.append(&mut self.sweeping);
        for entry in &mut refused {
            entry.outcome = Err(error.clone());
        }
        self.sweep = None;
        self.sweep_wanted = false;
        self.release.give_up();
        self.release_wanted = false;
        self.trimmed.clear();
        self.finished = 0;
        refused
    }
}
