//! Whose cursors are to move past messages that their selectors skipped: those are put into no mailbox, so nobody wakes for
//! them, and the cursors are moved now and then instead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Broker;
use super::group::Group;
use super::outbox::{Item, Outbox};
use super::turn::Turn;
use crate::types::{Position, Timestamp};

/// The readers at the tail that something was skipped for since they were looked at; each once.
#[derive(Debug, Default)]
pub(super) struct SkippedList {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    due: Timestamp,
    readers: Vec<Reader>,
}

#[derive(Debug)]
enum Reader {
    Session(Arc<Outbox>),
    Group(Arc<Group>),
}

impl SkippedList {
    /// A record was skipped for a replay subscription of this session.
    pub fn note_session(&self, outbox: &Arc<Outbox>, position: Position) {
        if outbox.note_skipped(position) {
            self.push(Reader::Session(outbox.clone()));
        }
    }

    /// A record was skipped for a group.
    pub fn note_group(&self, group: &Arc<Group>, position: Position) {
        if group.note_skipped(position) {
            self.push(Reader::Group(group.clone()));
        }
    }

    fn push(&self, reader: Reader) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.readers.push(reader);
    }

    /// The readers, if it is time.
    fn take(&self, now: Timestamp) -> Vec<Reader> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if now < inner.due || inner.readers.is_empty() {
            return Vec::new();
        }
        inner.due = now.saturating_add(INTERVAL);
        std::mem::take(&mut inner.readers)
    }
}

impl Broker {
    /// Moves the cursors of those who follow the tail past what was skipped for them.
    pub(super) fn pass_skipped(&self, now: Timestamp, turn: &mut Turn) {
        for reader in self.skipped.take(now) {
            match reader {
                Reader::Session(outbox) => {
                    let position = outbox.take_skipped();
                    // The session moves its cursors itself; what is not handed out yet waits for the next time.
                    if position > self.handed_out() {
                        self.skipped.note_session(&outbox, position);
                    }
                    turn.push(&outbox, Item::Wake);
                }
                Reader::Group(group) => {
                    let position = group.take_skipped();
                    let handed_out = self.handed_out();
                    if position > handed_out || !group.pass_skipped(handed_out, &self.cursors) {
                        self.skipped.note_group(&group, position);
                    }
                }
            }
        }
    }
}

/// How often cursors are moved past what was skipped.
const INTERVAL: Duration = Duration::from_secs(1);
