//! Moves the tails of channels into the index: full runs as they come about, everything at a checkpoint.

use super::directory::{Channel, Directory};
use crate::store::{Changes, Marks, RUN_POSITIONS, Run, Table, index_key};
use crate::types::{ChannelId, Position, Sequence};

/// What was moved of a channel.
#[derive(Debug)]
pub(crate) struct Flushed {
    channel: ChannelId,
    positions: usize,
    /// Whether the row was written.
    row: bool,
}

impl Flushed {
    pub(crate) fn apply(&self, directory: &mut Directory) {
        let channel = directory.channel_mut(self.channel).expect("channels are never removed");
        channel.flushed(self.positions);
        channel.row_is_current |= self.row;
    }
}

/// A checkpoint on its way: it is done in slices, so that no batch waits long for it.
#[derive(Debug)]
struct Checkpoint {
    target: Position,
    todo: Vec<ChannelId>,
}

/// What is to be moved.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// Channels whose tail held a full run when they were noted.
    pub(crate) full: Vec<ChannelId>,
    checkpoint: Option<Checkpoint>,
    interval: u64,
}

impl Upkeep {
    pub(crate) fn new(interval: u64) -> Self {
        Self {
            full: Vec::new(),
            checkpoint: None,
            interval,
        }
    }

    /// Whether it has something to do even if no command comes.
    pub(crate) fn is_busy(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// Begins a checkpoint if enough records came since the last.
    pub(crate) fn begin_if_due(&mut self, marks: &Marks, directory: &Directory) {
        if self.checkpoint.is_none() && marks.last.0 - marks.checkpoint.0 >= self.interval {
            self.begin(marks, directory);
        }
    }

    /// Begins a checkpoint of everything up to now.
    pub(crate) fn begin(&mut self, marks: &Marks, directory: &Directory) {
        let dirty = directory.iter().filter(|(_, channel)| channel.is_dirty());
        self.checkpoint = Some(Checkpoint {
            target: marks.last,
            todo: dirty.map(|(id, _)| id).collect(),
        });
    }

    /// Adds what is to be done now to a batch; true if that ends a checkpoint. Nothing is done until [`Self::done`].
    pub(crate) fn prepare(
        &mut self,
        directory: &Directory,
        changes: &mut Changes,
        flushed: &mut Vec<Flushed>,
        marks: &mut Marks,
    ) -> bool {
        let Some(checkpoint) = &self.checkpoint else {
            self.full.sort_unstable();
            self.full.dedup();
            for id in &self.full {
                let channel = directory.channel(*id).expect("channels are never removed");
                if channel.tail.len() >= RUN_POSITIONS {
                    flushed.push(flush(*id, channel, changes));
                }
            }
            return false;
        };
        for id in checkpoint.slice() {
            let channel = directory.channel(*id).expect("channels are never removed");
            flushed.push(flush_all(*id, channel, changes));
        }
        let ends = checkpoint.todo.len() <= CHANNELS_PER_SLICE;
        if ends {
            marks.checkpoint = checkpoint.target;
        }
        ends
    }

    /// What was prepared is durable.
    pub(crate) fn done(&mut self) {
        match &mut self.checkpoint {
            None => self.full.clear(),
            Some(checkpoint) if checkpoint.todo.len() <= CHANNELS_PER_SLICE => self.checkpoint = None,
            Some(checkpoint) => checkpoint.todo.truncate(checkpoint.todo.len() - CHANNELS_PER_SLICE),
        }
    }
}

impl Checkpoint {
    fn slice(&self) -> &[ChannelId] {
        &self.todo[self.todo.len().saturating_sub(CHANNELS_PER_SLICE)..]
    }
}

/// Moves the full runs.
fn flush(id: ChannelId, channel: &Channel, changes: &mut Changes) -> Flushed {
    let positions = channel.tail.len() / RUN_POSITIONS * RUN_POSITIONS;
    put_runs(id, channel, positions, changes);
    Flushed {
        channel: id,
        positions,
        row: false,
    }
}

/// Moves everything and writes the row.
fn flush_all(id: ChannelId, channel: &Channel, changes: &mut Changes) -> Flushed {
    put_runs(id, channel, channel.tail.len(), changes);
    channel.row().put(id, changes);
    Flushed {
        channel: id,
        positions: channel.tail.len(),
        row: true,
    }
}

fn put_runs(id: ChannelId, channel: &Channel, positions: usize, changes: &mut Changes) {
    let all: Vec<_> = channel.tail.iter().take(positions).copied().collect();
    let mut first = channel.tail_base;
    for run in all.chunks(RUN_POSITIONS) {
        changes.put(Table::Index, &index_key(id, first), |out| Run::encode(run, out));
        first = Sequence(first.0 + run.len() as u64);
    }
}

const CHANNELS_PER_SLICE: usize = 256;
