//! Goes through the log in its order and collects what may go. Knows no session.

use crate::store::{ChannelKind, RecordHead, Snapshot, StoreError, Table, Visit, log_key, number};
use crate::types::{ChannelId, Position, Sequence};

/// A way through the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    next: Position,
    until: Position,
}

/// A record that goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone {
    pub(crate) channel: ChannelId,
    pub(crate) sequence: Sequence,
    pub(crate) position: Position,
    pub(crate) bytes: u64,
}

impl Walk {
    /// Goes from `first` up to and including `until`.
    pub(crate) fn new(first: Position, until: Position) -> Self {
        Self { next: first, until }
    }

    /// Whether everything was looked at.
    pub(crate) fn is_over(&self) -> bool {
        self.next > self.until
    }

    /// Looks at a bounded number of records and adds those that are held and wanted, `most` of them at the most.
    pub(crate) fn step(
        &mut self,
        snapshot: &dyn Snapshot,
        wanted: &dyn Fn(ChannelId, Position) -> bool,
        most: u64,
        gone: &mut Vec<Gone>,
    ) -> Result<(), StoreError> {
        let Self { next, until } = self;
        let mut reached = until.next();
        let (mut rows, mut found, mut bytes) = (0, 0, 0);
        snapshot.upwards(Table::Log, &log_key(*next), &mut |key, value| {
            let position = Position(number(Table::Log, key)?);
            if position > *until {
                return Ok(Visit::Enough);
            }
            if rows == ROWS_PER_STEP || found == most || bytes >= BYTES_PER_STEP {
                reached = position;
                return Ok(Visit::Enough);
            }
            rows += 1;
            let head = RecordHead::decode(key, value)?;
            if head.kind == ChannelKind::Held && wanted(head.channel, position) {
                found += 1;
                bytes += value.len() as u64;
                gone.push(Gone {
                    channel: head.channel,
                    sequence: head.sequence,
                    position,
                    bytes: value.len() as u64,
                });
            }
            Ok(Visit::More)
        })?;
        *next = reached;
        Ok(())
    }
}

/// Looking at a record takes a tenth of a microsecond.
const ROWS_PER_STEP: u64 = 50_000;
/// The pages of large records are given back one by one.
const BYTES_PER_STEP: u64 = 32 << 20;
