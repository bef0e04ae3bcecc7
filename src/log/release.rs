//! Goes through the channels of held records and lets go of what no durable session needs any more, each by the cheaper
//! way.

use std::sync::Arc;

use super::directory::{Channel, Directory};
use super::index::View;
use super::options::Holds;
use super::reader::Shared;
use super::route::{Due, Route};
use super::trim::{self, Cut};
use super::walk::Gone;
use crate::store::{Changes, ChannelKind, StoreError, Table, log_key};
use crate::types::{ChannelId, Position, Sequence};

/// Rounds over all channels of held records, and what it learned on earlier ones.
pub(crate) struct Release {
    holds: Arc<dyn Holds>,
    /// What is known of each channel, by its identifier.
    known: Vec<Known>,
    stage: Stage,
    /// What the step under way lets go.
    gone: Vec<Gone>,
    /// Before these positions the step under way leaves nothing of a channel.
    learned: Vec<(ChannelId, Position)>,
    /// Channels of whose index something was let go in this round.
    untidy: Vec<ChannelId>,
}

/// What is known of a channel.
#[derive(Clone, Copy)]
struct Known {
    /// What was answered last, as far as there were records then: for later ones it must be asked again.
    passed: Position,
    /// From here on this round finds its records in the log itself.
    by_log: Position,
    /// Whether it is among the untidy.
    untidy: bool,
}

/// How far a round has come.
enum Stage {
    Idle,
    /// Asks about one channel after the other.
    Asking {
        next: usize,
        due: Vec<Due>,
    },
    /// Lets go of records.
    Cutting(Route),
    /// Deletes what the index has of them.
    Tidying,
}

impl Release {
    pub(crate) fn new(holds: Arc<dyn Holds>) -> Self {
        Self {
            holds,
            known: Vec::new(),
            stage: Stage::Idle,
            gone: Vec::new(),
            learned: Vec::new(),
            untidy: Vec::new(),
        }
    }

    /// Begins a round, also if one is under way.
    pub(crate) fn begin(&mut self) {
        self.stage = Stage::Asking {
            next: 0,
            due: Vec::new(),
        };
    }

    /// Whether a round is under way.
    pub(crate) fn is_busy(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }

    /// Gives the round up. What it wanted to let go is still there.
    pub(crate) fn give_up(&mut self) {
        self.stage = Stage::Idle;
        self.gone.clear();
        self.learned.clear();
    }

    /// Plans the next step: adds to `cuts` and `changes` what lets go of about `budget` records.
    pub(crate) fn step(
        &mut self,
        shared: &Shared,
        cuts: &mut Vec<(Cut, View)>,
        changes: &mut Changes,
        budget: u64,
    ) -> Result<(), StoreError> {
        if let Stage::Asking { .. } = self.stage {
            self.ask(shared);
        }
        match &mut self.stage {
            Stage::Idle | Stage::Asking { .. } => Ok(()),
            Stage::Cutting(route) => {
                let left = route.cut_by_index(shared, budget, cuts, &mut self.learned)?;
                let known = &self.known;
                let wanted = |channel: ChannelId, position| {
                    let known = known.get(channel.0 as usize);
                    known.is_some_and(|known| known.by_log <= position && position <= known.passed)
                };
                route.walk(shared, left, &wanted, &mut self.gone, &mut self.learned)?;
                for gone in &self.gone {
                    changes.delete(Table::Log, &log_key(gone.position));
                }
                Ok(())
            }
            Stage::Tidying => self.tidy(shared, changes),
        }
    }

    /// Whether the step under way lets go of anything itself, beside its cuts.
    pub(crate) fn lets_go(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Asks about the next channels, and after the last chooses how to cut.
    fn ask(&mut self, shared: &Shared) {
        let Stage::Asking { next, due } = &mut self.stage else {
            return;
        };
        let directory = shared.directory();
        let watermark = shared.watermark();
        let held = directory.held();
        self.known.resize(directory.len() as usize + 1, UNKNOWN);
        let end = held.len().min(*next + CHANNELS_PER_STEP);
        for id in &held[*next..end] {
            let known = &mut self.known[id.0 as usize];
            known.by_log = UNKNOWN.by_log;
            let Some(channel) = directory.channel(*id).filter(|channel| channel.count() > 0) else {
                continue;
            };
            if let Some(passed) = self.holds.passed(*id, &channel.topic, ChannelKind::Held) {
                known.passed = passed.min(watermark);
            }
            if known.passed >= channel.first {
                due.push(Due::new(*id, channel, known.passed));
            }
        }
        *next = end;
        if end == held.len() {
            let route = Route::choose(std::mem::take(due));
            for due in route.by_log() {
                self.known[due.channel.0 as usize].by_log = due.first;
            }
            self.stage = Stage::Cutting(route);
        }
    }

    /// Deletes the runs of the next untidy channels of which nothing is left.
    fn tidy(&mut self, shared: &Shared, changes: &mut Changes) -> Result<(), StoreError> {
        let start = self.untidy.len().saturating_sub(CHANNELS_PER_TIDYING);
        let directory = shared.directory();
        let cuts = self.untidy.drain(start..).filter_map(|channel| {
            self.known[channel.0 as usize].untidy = false;
            let through = Sequence(directory.channel(channel)?.first_kept.0 - 1);
            Some(Cut { channel, through })
        });
        let cuts: Vec<_> = cuts.collect();
        drop(directory);
        shared.store.read(&mut |snapshot| {
            cuts.iter()
                .try_for_each(|cut| trim::delete_runs(*cut, snapshot, changes))
        })
    }

    /// The step is durable: makes it visible. Returns how many records it let go itself.
    pub(crate) fn done(&mut self, directory: &mut Directory) -> usize {
        for gone in &self.gone {
            let channel = held_mut(directory, gone.channel);
            let known = &mut self.known[gone.channel.0 as usize];
            if gone.sequence < channel.tail_base && !known.untidy {
                known.untidy = true;
                self.untidy.push(gone.channel);
            }
            channel.let_go(gone);
        }
        for (channel, first) in self.learned.drain(..) {
            let channel = held_mut(directory, channel);
            channel.first = channel.first.max(first);
        }
        match &self.stage {
            Stage::Cutting(route) if route.is_over() => self.stage = Stage::Tidying,
            _ => {}
        }
        if matches!(self.stage, Stage::Tidying) && self.untidy.is_empty() {
            self.stage = Stage::Idle;
        }
        let released = self.gone.len();
        self.gone.clear();
        released
    }
}

fn held_mut(directory: &mut Directory, id: ChannelId) -> &mut Channel {
    directory.channel_mut(id).expect("channels are never removed")
}

const UNKNOWN: Known = Known {
    passed: Position(0),
    by_log: Position(u64::MAX),
    untidy: false,
};
const CHANNELS_PER_STEP: usize = 4_096;
/// Each takes about two microseconds.
const CHANNELS_PER_TIDYING: usize = 2_048;
