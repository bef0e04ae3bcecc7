//! What goes into the log and what comes out of it, as values.

use std::sync::Arc;

use crate::store::{CursorRecord, Origin, PlaceRecord, SessionRecord, StoreError, SubscriptionRecord, WillRecord};
use crate::types::{ChannelId, CursorId, Message, PacketId, Position, Sequence, SessionId, Timestamp};

/// A durable change, or something that must keep its place among durable changes.
#[derive(Clone, Debug)]
pub enum Command {
    /// Let a message pass in its turn, and keep of it what is to be kept.
    Publish(Publish),
    /// Keep a cursor as it stands now.
    SaveCursor(Box<CursorRecord>),
    /// Keep where a cursor started.
    SaveCursorOrigin(CursorId, Box<Origin>),
    /// Forget a cursor and where it started.
    DeleteCursor(CursorId),
    /// Keep a durable session as it stands now.
    SaveSession(Box<SessionRecord>),
    /// Forget a durable session: its row, its place, its will, and of its other rows those that are named.
    DeleteSession {
        /// The session.
        id: SessionId,
        /// The numbers of its subscriptions.
        subscriptions: Vec<u32>,
        /// The QoS 2 packet identifiers that it has not released.
        received: Vec<PacketId>,
    },
    /// Keep a subscription of a durable session.
    SaveSubscription(Box<SubscriptionRecord>),
    /// Forget the subscription of this number.
    DeleteSubscription(SessionId, u32),
    /// Keep how far a durable session has come.
    SavePlace(Box<PlaceRecord>),
    /// Forget a QoS 2 packet identifier: its message was released [MQTT-4.3.3-12].
    Release(SessionId, PacketId),
    /// Keep the will of a durable session.
    SaveWill(Box<WillRecord>),
    /// Forget the will of a durable session.
    DeleteWill(SessionId),
    /// Forget the retained message of a topic.
    DeleteRetained(Box<str>),
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
                Self::Publish(publish) => publish.message.size(),
                Self::SaveCursor(record) => record.filter.len() + 8 * record.acked.len(),
                Self::SavePlace(record) => record.size(),
                Self::SaveWill(record) => record.message.size(),
                Self::SaveSubscription(record) => record.filter.len() + record.selector.as_ref().map_or(0, String::len),
                _ => 0,
            }
    }

    /// Whether it is refused when there is no room.
    pub(crate) fn needs_room(&self) -> bool {
        matches!(self, Self::Publish(publish) if publish.needs_room())
    }

    /// Whether it is carried out even if nothing can be written.
    pub(crate) fn only_passes(&self) -> bool {
        matches!(self, Self::Publish(publish) if !publish.writes())
    }
}

/// A message in its turn, and what is to be written in the one transaction that it is part of.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The message.
    pub message: Arc<Message>,
    /// Whether a record is made of it.
    pub keep: Keep,
    /// Whether the topic's retained message is replaced by it, or deleted if the payload is empty [MQTT-3.3.1-6].
    pub retain: bool,
    /// The QoS 2 packet identifier it came with, to be known from then on until it is released.
    pub received: Option<(SessionId, PacketId)>,
    /// The session whose will it is, which is forgotten.
    pub will_of: Option<SessionId>,
}

/// Whether a record is made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// As the next event of its topic's channel; durable sessions read it there too.
    Event,
    /// Until every durable session it is for has passed it.
    Held,
    /// No.
    Nothing,
}

impl Publish {
    /// A message to be stored as an event.
    pub fn event(message: Arc<Message>) -> Self {
        Self::new(message, Keep::Event)
    }

    /// A message to be held for durable sessions.
    pub fn held(message: Arc<Message>) -> Self {
        Self::new(message, Keep::Held)
    }

    /// A message of which no record is made.
    pub fn passing(message: Arc<Message>) -> Self {
        Self::new(message, Keep::Nothing)
    }

    fn new(message: Arc<Message>, keep: Keep) -> Self {
        Self {
            message,
            keep,
            retain: false,
            received: None,
            will_of: None,
        }
    }

    /// What stays of it takes room; what it deletes and a packet identifier do not count.
    fn needs_room(&self) -> bool {
        self.keep != Keep::Nothing || self.retain && !self.message.payload().is_empty()
    }

    pub(crate) fn writes(&self) -> bool {
        self.keep != Keep::Nothing || self.retain || self.received.is_some() || self.will_of.is_some()
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

/// The place a record got.
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
    /// A message of which a record was made: durable, with this place.
    Stored(Stored),
    /// A message of which none was made: it is its turn, and what else it writes is durable.
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
    /// submit to the log, and may be the one that drops it.
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
