//! Gathers what one turn of work leaves for others, so that each is locked and woken once.

use std::sync::Arc;

use super::outbox::{Item, Outbox, Refused};
use super::{LogTag, Submissions};
use crate::log::{Command, Submission};

/// What one read, one commit or one tick has to hand over.
#[derive(Debug, Default)]
pub struct Turn {
    touched: Vec<(Arc<Outbox>, Vec<Item>)>,
    spare: Vec<Vec<Item>>,
    submissions: Submissions,
}

impl Turn {
    /// Leaves an item for a session.
    pub fn push(&mut self, outbox: &Arc<Outbox>, item: Item) {
        let found = self
            .touched
            .iter_mut()
            .rev()
            .take(NEAR)
            .find(|(other, _)| Arc::ptr_eq(other, outbox));
        match found {
            Some((_, items)) => items.push(item),
            None => {
                let mut items = self.spare.pop().unwrap_or_default();
                items.push(item);
                self.touched.push((outbox.clone(), items));
            }
        }
    }

    /// Leaves a command for the log.
    pub fn submit(&mut self, command: Command, tag: LogTag) {
        self.submissions.push(Submission { command, tag });
    }

    /// The commands for the log; the caller hands them over.
    pub fn take_submissions(&mut self) -> Submissions {
        std::mem::take(&mut self.submissions)
    }

    /// Hands every batch over. Returns how many messages did not fit.
    pub fn deliver(&mut self) -> Refused {
        let mut refused = Refused::default();
        for (outbox, mut items) in self.touched.drain(..) {
            let more = outbox.push(&mut items);
            refused.absent += more.absent;
            refused.full += more.full;
            if self.spare.len() < SPARE_BATCHES {
                self.spare.push(items);
            }
        }
        refused
    }
}

/// How many of the outboxes touched last are searched before a further batch is begun for the same one.
/// A session may get two batches in one turn: their order is kept.
const NEAR: usize = 16;
/// Emptied batches kept for the next turn.
const SPARE_BATCHES: usize = 64;
