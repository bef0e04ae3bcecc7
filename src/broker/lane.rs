//! What a reader of the log, a replay subscription or a group, finds at the log's tail. Knows no reader.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::log::{Event, Stored};
use crate::types::{Message, Position};

/// An event, or a message that is not stored, on its way to a reader.
#[derive(Clone, Debug)]
pub struct LaneItem {
    /// The message.
    pub message: Arc<Message>,
    /// Its place in the store, if it has one.
    pub stored: Option<Stored>,
}

/// Where what arrives waits for one reader. Behind: events are not queued, only noted, and the reader gets them from the
/// log. Live: they are queued.
#[derive(Debug)]
pub(super) struct Lane {
    behind: bool,
    seen: Position,
    queue: VecDeque<LaneItem>,
    bytes: usize,
}

impl Lane {
    /// A lane whose reader reads the log up to `seen` at least.
    pub fn new(seen: Position) -> Self {
        Self {
            behind: true,
            seen,
            queue: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether the reader has to read the log.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// The log holds events up to here.
    pub fn note(&mut self, position: Position) {
        self.seen = self.seen.max(position);
    }

    /// Takes in what arrived; one that would queue too much sends the reader back to the log. `false`: a message that is
    /// not stored, and for which there is no room.
    pub fn push(&mut self, item: LaneItem, max_bytes: usize) -> bool {
        if self.bytes >= max_bytes && !self.behind {
            self.fall_behind();
        }
        if let Some(stored) = item.stored {
            self.note(stored.position);
            if self.behind {
                return true;
            }
        } else if self.bytes >= max_bytes {
            return false;
        }
        self.bytes += item.cost();
        self.queue.push_back(item);
        true
    }

    /// The reader has everything up to `read_to`: if that is all there is, what comes from now on is queued.
    pub fn try_live(&mut self, read_to: Position) -> bool {
        let has_all = self.seen <= read_to;
        if has_all {
            self.behind = false;
        }
        has_all
    }

    /// Takes what is queued.
    pub fn take(&mut self) -> VecDeque<LaneItem> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }

    /// Sends the reader back to the log.
    pub fn fall_behind(&mut self) {
        self.behind = true;
        self.queue.clear();
        self.bytes = 0;
    }
}

impl LaneItem {
    /// What it costs in a bounded queue, bytes.
    fn cost(&self) -> usize {
        self.message.size() + size_of::<Self>() + size_of::<Message>()
    }
}

impl From<Event> for LaneItem {
    fn from(event: Event) -> Self {
        let stored = Stored {
            position: event.position,
            sequence: event.sequence,
            time: event.time,
            channel: event.channel,
        };
        Self {
            message: event.message,
            stored: Some(stored),
        }
    }
}
