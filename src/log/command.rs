//! What goes into the log and what comes out of it, as values.

use std::sync::Arc;

use crate::store::{CursorRecord, Origin, StoreError};
use crate::types::{ChannelId, CursorId, Message, Position, Sequence, Timestamp};

/// A durable change, or something that must keep its place among durable changes.
#[derive(Clone, Debug)]
pub enum Command {
    /// Store the message as the next event of its topic's channel.
    Append(Arc<Message>),
    /// Let the message pass in its turn; it is written nowhere.
    Forward(Arc<Message>),
    /// Keep a cursor as it stands now.
    SaveCursor(Box<CursorRecord>),
    /// Keep where a cursor started.
    SaveCursorOrigin(CursorId, Box<Origin>),
    /// Forget a cursor and where it started.
    DeleteCursor(CursorId),
    /// Remove the events of a channel up to and including `through`. Done step by step beside other commands; answered
    /// when it is finished.
    Trim {
        /// The channel.
        channel: ChannelId,
        /// The last sequence to remove.
        through: Sequence,
    },
    /// Apply the retention to every channel now; answered when that is finished.
    ApplyRetention,
    /// Do nothing; answered after everything that was submitted before it.
    Flush,
}

impl Command {
    /// What it takes of the queue's bound, bytes.
    pub(crate) fn size(&self) -> usize {
        OVERHEAD_BYTES
            + match self {
                Self::Append(message) | Self::Forward(message) => message.size(),
                Self::SaveCursor(record) => record.filter.len() + 8 * record.acked.len(),
                _ => 0,
            }
    }
}

const OVERHEAD_BYTES: usize = 128;

/// A command with what its submitter wants back.
#[derive(Clone, Debug)]
pub struct Submission<T> {
    /// What to do.
    pub command: Command,
    /// Comes back with the outcome.
    pub tag: T,
}

/// The place an event got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the store.
    pub position: Position,
    /// Its number in the channel.
    pub sequence: Sequence,
    /// Its commit time.
    pub time: Timestamp,
    /// Its channel.
    pub channel: ChannelId,
}

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An append: durable, with this place.
    Stored(Stored),
    /// A forward: it is its turn.
    Forwarded,
    /// Any other command: durable.
    Done,
}

/// A command that has been carried out or has failed.
#[derive(Debug)]
pub struct Committed<T> {
    /// What its submitter wanted back.
    pub tag: T,
    /// The command.
    pub command: Command,
    /// How it went.
    pub outcome: Result<Outcome, LogError>,
}

/// Takes what the log has carried out.
pub trait Sink<T>: Send {
    /// Called on the log's own tail thread, strictly in commit order, once per commit and after it is durable. It may
    /// submit to the log, but must neither close nor drop it.
    fn committed(&mut self, batch: Vec<Committed<T>>);
}

impl<T, F: FnMut(Vec<Committed<T>>) + Send> Sink<T> for F {
    fn committed(&mut self, batch: Vec<Committed<T>>) {
        self(batch);
    }
}

/// Why the log could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no room for more events; everything else goes on.
    #[error("the store is full")]
    Full,
    /// The disk failed; this and everything after it is not durable.
    #[error("the store failed: {0}")]
    Io(String),
    /// What is on disk is not what must be there, or cannot be opened.
    #[error("{0}")]
    Unusable(String),
    /// A write failed earlier; nothing is written any more until a restart.
    #[error("the store failed earlier and takes nothing more until a restart")]
    Poisoned,
    /// The log is being closed.
    #[error("the store is being closed")]
    Closed,
}

impl From<StoreError> for LogError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::Io { .. } => Self::Io(error.to_string()),
            _ => Self::Unusable(error.to_string()),
        }
    }
}
