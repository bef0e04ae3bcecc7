//! Removes events from the head of channels and what the other tables hold of them, a bounded slice at a time.

use super::directory::Directory;
use super::index::View;
use super::reader::Shared;
use crate::store::{
    Changes, Marks, RecordHead, Run, Snapshot, StoreError, Table, Visit, channel_key, index_key, log_key, number,
    parse_index_key,
};
use crate::types::{ChannelId, Position, Sequence, Timestamp};

/// The most events one transaction removes.
pub(crate) const SLICE_EVENTS: u64 = 1_000;

/// Events to remove: those of a channel from its first kept one up to and including `through`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) channel: ChannelId,
    pub(crate) through: Sequence,
}

/// What a cut will do to memory when it is durable.
#[derive(Debug)]
pub(crate) struct Trimmed {
    cut: Cut,
    /// Where they are, ascending.
    pub(crate) positions: Vec<Position>,
    bytes: u64,
    first_time: Timestamp,
}

/// A channel and where it is cut; takes it from the directory, so it must be made before the snapshot.
pub(crate) fn view(shared: &Shared, cut: Cut) -> Option<View> {
    let directory = shared.directory();
    let channel = directory.channel(cut.channel)?;
    Some(View::new(cut.channel, channel))
}

/// Plans a cut, but for the records themselves: [`delete_records`]. Only the writer may call this, between two commits.
pub(crate) fn prepare(
    cut: Cut,
    view: &View,
    snapshot: &dyn Snapshot,
    directory: &Directory,
    changes: &mut Changes,
) -> Result<Trimmed, StoreError> {
    let channel = directory.channel(cut.channel).expect("channels are never removed");
    assert!(cut.through >= channel.first_kept && cut.through < channel.next);
    let mut trimmed = Trimmed {
        cut,
        positions: Vec::new(),
        bytes: 0,
        first_time: Timestamp(0),
    };
    let mut sequence = channel.first_kept;
    while sequence <= cut.through.next() {
        let mut positions = Vec::new();
        let Some(first) = view.positions(snapshot, sequence, &mut positions)? else {
            break;
        };
        sequence = first;
        for position in positions {
            if sequence > cut.through.next() {
                break;
            }
            trimmed.visit(sequence, position, snapshot)?;
            sequence = sequence.next();
        }
    }
    delete_runs(cut, snapshot, changes)?;
    let mut row = channel.row();
    row.first_kept = cut.through.next();
    row.bytes = row.bytes.saturating_sub(trimmed.bytes);
    row.first_time = trimmed.first_time;
    row.put(cut.channel, changes);
    Ok(trimmed)
}

impl Trimmed {
    fn visit(&mut self, sequence: Sequence, position: Position, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        let key = log_key(position);
        let Some(value) = snapshot.value(Table::Log, &key)? else {
            return Ok(());
        };
        if sequence <= self.cut.through {
            self.bytes += value.len() as u64;
            self.positions.push(position);
        } else {
            self.first_time = RecordHead::decode(&key, value)?.time;
        }
        Ok(())
    }

    /// The channel.
    pub(crate) fn channel(&self) -> ChannelId {
        self.cut.channel
    }

    /// The cut is durable: makes it visible.
    pub(crate) fn apply(&self, directory: &mut Directory) {
        let channel = directory
            .channel_mut(self.cut.channel)
            .expect("channels are never removed");
        channel.trimmed(self.cut.through, self.bytes, self.first_time);
    }
}

/// Deletes the records of all cuts, in their order on disk: channel by channel, each would be on a page of its own.
pub(crate) fn delete_records(cuts: &[Trimmed], changes: &mut Changes) {
    let mut positions: Vec<_> = cuts.iter().flat_map(|cut| cut.positions.iter().copied()).collect();
    positions.sort_unstable();
    for position in positions {
        changes.delete(Table::Log, &log_key(position));
    }
}

/// Deletes the runs that end before the cut does.
pub(crate) fn delete_runs(cut: Cut, snapshot: &dyn Snapshot, changes: &mut Changes) -> Result<(), StoreError> {
    snapshot.upwards(Table::Index, &index_key(cut.channel, Sequence(0)), &mut |key, value| {
        if !key.starts_with(&channel_key(cut.channel)) || parse_index_key(key)?.1 > cut.through {
            return Ok(Visit::Enough);
        }
        if Run::decode(key, value)?.end() <= cut.through.next() {
            changes.delete(Table::Index, key);
        }
        Ok(Visit::More)
    })
}

/// Deletes the rows of the times table that no kept record needs: all whose successor is not above the first record.
pub(crate) fn delete_times(marks: &Marks, snapshot: &dyn Snapshot, changes: &mut Changes) -> Result<(), StoreError> {
    let mut first = marks.last.next();
    snapshot.upwards(Table::Log, &[], &mut |key, _| {
        first = Position(number(Table::Log, key)?);
        Ok(Visit::Enough)
    })?;
    let mut before: Option<[u8; 8]> = None;
    let mut rows = 0;
    snapshot.upwards(Table::Times, &[], &mut |key, value| {
        if number(Table::Times, value)? > first.0 || rows > SLICE_EVENTS {
            return Ok(Visit::Enough);
        }
        rows += 1;
        if let Some(before) = before.replace(number(Table::Times, key)?.to_be_bytes()) {
            changes.delete(Table::Times, &before);
        }
        Ok(Visit::More)
    })
}
