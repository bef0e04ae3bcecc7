//! Reads the events that match a filter in commit order, a bounded batch at a time.

use std::sync::Arc;

use super::{Event, LogError, LogReader, TopicMatch};
use crate::types::{ChannelId, Position, Sequence};

/// A place in the log and the filter by which events are read from there on.
pub struct Scan {
    filter: Arc<dyn TopicMatch + Send + Sync>,
    position: Position,
}

impl Scan {
    pub(crate) fn new(filter: Arc<dyn TopicMatch + Send + Sync>, after: Position) -> Self {
        Self {
            filter,
            position: after,
        }
    }

    /// Everything up to here was looked at.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes on behind `after` instead.
    pub fn seek(&mut self, after: Position) {
        self.position = after;
    }

    /// Appends the next events that match and that `admit` lets in to `out`: at most `max_records` (and never more than
    /// 1,000) and about `max_bytes`. Returns the position up to which everything was looked at; it is the watermark
    /// when there is nothing more for now.
    pub fn next_batch(
        &mut self,
        _reader: &LogReader,
        _admit: &mut dyn FnMut(Position, ChannelId, Sequence) -> bool,
        _max_records: usize,
        _max_bytes: usize,
        _out: &mut Vec<Event>,
    ) -> Result<Position, LogError> {
        let _ = &self.filter;
        unimplemented!()
    }
}
