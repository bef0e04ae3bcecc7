//! Rebuilds what the log keeps in memory: channels from their rows, and behind the checkpoint from the log itself.

use std::sync::Arc;

use super::Recovered;
use super::directory::{Channel, Directory};
use super::recover_held;
use super::recover_sessions::{self, Sessions};
use crate::store::{ChannelRow, channel_key};
use crate::store::{
    CursorRecord, Marks, Origin, RecordHead, Run, Snapshot, Store, StoreError, Table, Visit, cursor_key, index_key,
    log_key, number,
};
use crate::types::{ChannelId, CursorId, Position, Sequence, Timestamp};

/// What the store held.
pub(crate) struct Found {
    pub(crate) directory: Directory,
    pub(crate) marks: Marks,
    /// The time of the newest row of the times table.
    pub(crate) last_time_row: Option<Timestamp>,
    pub(crate) recovered: Recovered,
}

/// Reads a store. The marks come back as of now.
pub(crate) fn load(store: &dyn Store) -> Result<Found, StoreError> {
    let mut marks = Marks::default();
    let mut directory = Directory::default();
    let mut last_time_row = None;
    let mut cursors = Vec::new();
    let mut sessions = Sessions::default();
    let mut retained = Vec::new();
    store.read(&mut |snapshot| {
        marks = Marks::load(snapshot)?;
        load_channels(snapshot, marks.checkpoint, &mut directory)?;
        last_time_row = newest_time(snapshot)?;
        load_cursors(snapshot, &mut cursors)?;
        sessions = Sessions::load(snapshot)?;
        retained = recover_sessions::load_retained(snapshot)?;
        Ok(())
    })?;
    marks.last_time = marks.last_time.max(last_time_row.unwrap_or_default());
    replay(store, &mut directory, &mut marks)?;
    recover_held::settle(store, &mut directory, &marks)?;
    let next_cursor = CursorId(cursors.iter().map(|(record, _)| record.id.0 + 1).max().unwrap_or(1));
    Ok(Found {
        directory,
        marks,
        last_time_row,
        recovered: Recovered {
            cursors,
            next_cursor,
            sessions: sessions.sessions,
            next_session: sessions.next,
            retained,
        },
    })
}

fn load_channels(snapshot: &dyn Snapshot, checkpoint: Position, directory: &mut Directory) -> Result<(), StoreError> {
    snapshot.upwards(Table::Channels, &[], &mut |key, value| {
        let (id, row) = ChannelRow::decode(key, value)?;
        if id != directory.next_id() {
            return Err(StoreError::corrupt(
                Table::Channels,
                key,
                "a channel before it is missing",
            ));
        }
        directory.insert(Channel::from_row(row, checkpoint));
        Ok(Visit::More)
    })
}

fn newest_time(snapshot: &dyn Snapshot) -> Result<Option<Timestamp>, StoreError> {
    let mut newest = None;
    snapshot.downwards(Table::Times, &[0xff; 8], &mut |key, _| {
        newest = Some(Timestamp(number(Table::Times, key)?));
        Ok(Visit::Enough)
    })?;
    Ok(newest)
}

fn load_cursors(snapshot: &dyn Snapshot, cursors: &mut Vec<(CursorRecord, Option<Origin>)>) -> Result<(), StoreError> {
    snapshot.upwards(Table::Cursors, &[], &mut |key, value| {
        let id = CursorId(number(Table::Cursors, key)?);
        let record = CursorRecord::decode(id, value)?;
        let origin = snapshot.value(Table::Origins, &cursor_key(id))?;
        let origin = origin.map(|value| Origin::decode(id, value)).transpose()?;
        cursors.push((record, origin));
        Ok(Visit::More)
    })
}

/// Reads the records behind the checkpoint: those the rows do not count, and the positions the index does not have.
fn replay(store: &dyn Store, directory: &mut Directory, marks: &mut Marks) -> Result<(), StoreError> {
    let mut touched = vec![false; directory.len() as usize + 1];
    let mut after = marks.checkpoint;
    loop {
        let mut rows = 0;
        store.read(&mut |snapshot| {
            snapshot.upwards(Table::Log, &log_key(after.next()), &mut |key, value| {
                after = Position(number(Table::Log, key)?);
                let head = RecordHead::decode(key, value)?;
                let damaged = |what| StoreError::corrupt(Table::Log, key, what);
                let channel = directory
                    .channel_mut(head.channel)
                    .filter(|channel| channel.kind == head.kind)
                    .ok_or_else(|| damaged("a record of an unknown channel"))?;
                if !std::mem::replace(&mut touched[head.channel.0 as usize], true) {
                    let indexed = indexed_until(snapshot, head.channel)?;
                    channel.tail_base = channel.first_kept.max(indexed);
                    recover_held::begin(channel, head.sequence);
                }
                if !channel.replay(head.sequence, after, value.len() as u64, head.time) {
                    return Err(damaged("a sequence out of order"));
                }
                marks.last_time = marks.last_time.max(head.time);
                rows += 1;
                Ok(if rows == ROWS_PER_SNAPSHOT {
                    Visit::Enough
                } else {
                    Visit::More
                })
            })
        })?;
        if rows < ROWS_PER_SNAPSHOT {
            break;
        }
    }
    marks.last = marks.last.max(after);
    check(directory)
}

/// The sequence after the last that the index has of a channel; 0 if it has none.
fn indexed_until(snapshot: &dyn Snapshot, channel: ChannelId) -> Result<Sequence, StoreError> {
    let mut end = Sequence(0);
    snapshot.downwards(
        Table::Index,
        &index_key(channel, Sequence(u64::MAX)),
        &mut |key, value| {
            if key.starts_with(&channel_key(channel)) {
                end = Run::decode(key, value)?.end();
            }
            Ok(Visit::Enough)
        },
    )?;
    Ok(end)
}

fn check(directory: &Directory) -> Result<(), StoreError> {
    for (id, channel) in directory.iter() {
        if channel.tail_base.0 + channel.tail.len() as u64 != channel.next.0 {
            let key = channel_key(id);
            return Err(StoreError::corrupt(
                Table::Channels,
                &key,
                "records of the channel are missing",
            ));
        }
    }
    Ok(())
}

impl Channel {
    /// A channel as its row says, before the log behind the checkpoint was read.
    fn from_row(row: ChannelRow, checkpoint: Position) -> Self {
        let mut channel = Self::new(row.kind, Arc::from(row.topic));
        channel.next = row.next;
        channel.first_kept = row.first_kept;
        channel.bytes = row.bytes;
        channel.first_time = row.first_time;
        channel.tail_base = row.next;
        channel.last = checkpoint;
        channel
    }

    /// Takes in a record behind the checkpoint; false if it cannot be where it is.
    fn replay(&mut self, sequence: Sequence, position: Position, bytes: u64, time: Timestamp) -> bool {
        self.last = position;
        if sequence > self.next || sequence < self.first_kept {
            return false;
        }
        if sequence == self.next {
            if self.count() == 0 {
                self.first_time = time;
                self.first = position;
            }
            self.next = self.next.next();
            self.row_is_current = false;
            self.bytes += bytes;
        }
        if sequence < self.tail_base {
            return true;
        }
        let expected = self.tail_base.0 + self.tail.len() as u64;
        self.tail.push_back(position);
        sequence.0 == expected
    }
}

const ROWS_PER_SNAPSHOT: usize = 1_000;
