//! Channels: what their rows count, and what stands in the log behind the checkpoint.

use std::collections::HashMap;

use super::first::First;
use super::report::{ChannelReport, Channels};
use super::rows::Walk;
use crate::store::{ChannelKind, ChannelRow, RecordHead, Snapshot, StoreError, Table, Visit, channel_key, log_key};
use crate::types::{ChannelId, Position, Sequence};

/// Records of a channel that its row does not count.
struct Uncounted {
    /// The row's next sequence when the first of them was seen.
    row_next: Sequence,
    /// The first of them that is there.
    first: Sequence,
    next: Sequence,
    bytes: u64,
}

/// Behind the checkpoint there are at most about as many records as the broker writes between two of them, which bounds
/// how many channels they can be of.
type Tails = HashMap<ChannelId, Uncounted>;

/// Looks at every channel.
pub(super) fn look(walk: &mut Walk<'_>, checkpoint: Position) -> Result<Channels, StoreError> {
    let tails = tails(walk, checkpoint)?;
    let mut found = Channels::default();
    let mut largest = First::new(walk.limit);
    walk.rows(Table::Channels, &[], &mut |_, key, value| {
        let (id, row) = ChannelRow::decode(key, value)?;
        match row.kind {
            ChannelKind::Event => found.event += 1,
            ChannelKind::Held => found.held += 1,
        }
        let report = report(row, tails.get(&id));
        largest.push(report.bytes, report);
        Ok(Visit::More)
    })?;
    found.largest = largest.into_vec();
    Ok(found)
}

fn tails(walk: &mut Walk<'_>, checkpoint: Position) -> Result<Tails, StoreError> {
    let mut tails = Tails::new();
    walk.rows(Table::Log, &log_key(checkpoint.next()), &mut |snapshot, key, value| {
        let head = RecordHead::decode(key, value)?;
        let tail = match tails.get_mut(&head.channel) {
            Some(tail) => tail,
            None => {
                let row_next = row_next(snapshot, head.channel)?;
                tails.entry(head.channel).or_insert(Uncounted {
                    row_next,
                    first: head.sequence,
                    next: row_next,
                    bytes: 0,
                })
            }
        };
        if head.sequence >= tail.row_next {
            tail.next = tail.next.max(head.sequence.next());
            tail.bytes += value.len() as u64;
        }
        Ok(Visit::More)
    })?;
    Ok(tails)
}

fn row_next(snapshot: &dyn Snapshot, channel: ChannelId) -> Result<Sequence, StoreError> {
    let key = channel_key(channel);
    match snapshot.value(Table::Channels, &key)? {
        Some(value) => Ok(ChannelRow::decode(&key, value)?.1.next),
        None => Err(StoreError::corrupt(
            Table::Channels,
            &key,
            "a channel that has records is missing",
        )),
    }
}

fn report(row: ChannelRow, tail: Option<&Uncounted>) -> ChannelReport {
    // A row that was written anew meanwhile counts them itself.
    let tail = tail.filter(|tail| tail.row_next == row.next);
    let next = tail.map_or(row.next, |tail| tail.next);
    // What is held goes without its row, from the head on: those the row counts are gone before any behind them.
    let (first, counted) = match tail {
        Some(tail) if tail.first > row.next => (tail.first, 0),
        _ => (row.first_kept, row.bytes),
    };
    ChannelReport {
        topic: row.topic,
        kind: match row.kind {
            ChannelKind::Event => "event",
            ChannelKind::Held => "held",
        },
        first: first.0,
        next: next.0,
        count: next.0 - first.0,
        bytes: counted + tail.map_or(0, |tail| tail.bytes),
    }
}
