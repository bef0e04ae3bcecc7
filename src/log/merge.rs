//! Reads a few channels in commit order through the index: the way of a scan that selects little of much.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::index::View;
use crate::store::{Snapshot, StoreError};
use crate::types::{ChannelId, Position, Sequence};

/// Channels merged by position, from a place on up to a bound that was durable when the merge began.
#[derive(Debug)]
pub(crate) struct Merge {
    until: Position,
    streams: Vec<Stream>,
    /// The next position of each stream that has one.
    heads: BinaryHeap<Reverse<(Position, usize)>>,
}

#[derive(Debug)]
struct Stream {
    view: View,
    /// The sequence of the first position that is queued, or of the next to be read.
    next: Sequence,
    queued: VecDeque<Position>,
}

/// The place of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: Position,
    pub(crate) channel: ChannelId,
    pub(crate) sequence: Sequence,
}

impl Merge {
    /// Merges channels, each from the given sequence on.
    pub(crate) fn new(
        channels: Vec<(View, Sequence)>,
        until: Position,
        snapshot: &dyn Snapshot,
    ) -> Result<Self, StoreError> {
        let streams = channels.into_iter().map(|(view, next)| Stream {
            view,
            next,
            queued: VecDeque::new(),
        });
        let mut merge = Self {
            until,
            streams: streams.collect(),
            heads: BinaryHeap::new(),
        };
        for at in 0..merge.streams.len() {
            merge.push_head(at, snapshot)?;
        }
        Ok(merge)
    }

    /// Up to where it goes.
    pub(crate) fn until(&self) -> Position {
        self.until
    }

    /// The next event in commit order.
    pub(crate) fn next(&mut self, snapshot: &dyn Snapshot) -> Result<Option<Place>, StoreError> {
        let Some(Reverse((position, at))) = self.heads.pop() else {
            return Ok(None);
        };
        let stream = &mut self.streams[at];
        let place = Place {
            position,
            channel: stream.view.id,
            sequence: stream.next,
        };
        stream.queued.pop_front();
        stream.next = stream.next.next();
        self.push_head(at, snapshot)?;
        Ok(Some(place))
    }

    fn push_head(&mut self, at: usize, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        let stream = &mut self.streams[at];
        if stream.queued.is_empty() {
            let mut positions = Vec::new();
            if let Some(first) = stream.view.positions(snapshot, stream.next, &mut positions)? {
                stream.next = first;
                stream.queued = positions.into();
            }
        }
        if let Some(position) = stream.queued.front()
            && *position <= self.until
        {
            self.heads.push(Reverse((*position, at)));
        }
        Ok(())
    }
}
