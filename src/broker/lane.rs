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
    /// The identifier of the selector that it passed; 0 if it was not looked at.
    pub selected: u64,
}

/// What one reader knows of the log's tail. Behind: what arrives is only noted, and the reader gets it from the log.
/// Live: it is queued.
#[derive(Debug)]
pub(super) struct Tail {
    behind: bool,
    seen: Position,
}

impl Tail {
    /// For a reader that reads the log up to `seen` at least.
    pub fn new(seen: Position) -> Self {
        Self { behind: true, seen }
    }

    /// Whether the reader has to read the log.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// The log holds records up to here.
    pub fn note(&mut self, position: Position) {
        self.seen = self.seen.max(position);
    }

    /// The reader has everything up to `read_to`: if that is all there is, what comes from now on is queued.
    pub fn try_live(&mut self, read_to: Position) -> bool {
        let has_all = self.seen <= read_to;
        if has_all {
            self.behind = false;
        }
        has_all
    }

    /// Sends the reader back to the log.
    pub fn fall_behind(&mut self) {
        self.behind = true;
    }
}

/// Where what arrives waits for one reader.
#[derive(Debug)]
pub(super) struct Lane {
    tail: Tail,
    queue: VecDeque<LaneItem>,
    bytes: usize,
}

impl Lane {
    /// A lane whose reader reads the log up to `seen` at least.
    pub fn new(seen: Position) -> Self {
        Self {
            tail: Tail::new(seen),
            queue: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether the reader has to read the log.
    pub fn is_behind(&self) -> bool {
        self.tail.is_behind()
    }

    /// The log holds events up to here.
    pub fn note(&mut self, position: Position) {
        self.tail.note(position);
    }

    /// Takes in what arrived; one that would queue too much sends the reader back to the log. A message that is not
    /// stored, and for which there is no room, comes back.
    pub fn push(&mut self, item: LaneItem, max_bytes: usize) -> Option<LaneItem> {
        if self.bytes >= max_bytes && !self.is_behind() {
            self.fall_behind();
        }
        if let Some(stored) = item.stored {
            self.note(stored.position);
            if self.is_behind() {
                return None;
            }
        } else if self.bytes >= max_bytes {
            return Some(item);
        }
        self.bytes += item.cost();
        self.queue.push_back(item);
        None
    }

    /// The reader has everything up to `read_to`: if that is all there is, what comes from now on is queued.
    pub fn try_live(&mut self, read_to: Position) -> bool {
        self.tail.try_live(read_to)
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes what is queued.
    pub fn take(&mut self) -> VecDeque<LaneItem> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }

    /// Sends the reader back to the log.
    pub fn fall_behind(&mut self) {
        self.tail.fall_behind();
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
            selected: 0,
        }
    }
}
