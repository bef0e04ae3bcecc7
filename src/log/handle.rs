//! The handle by which the rest of the broker holds the log.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{CursorRecord, LogError, LogObserver, LogOptions, LogReader, Origin, RetentionRule, Sink, Submission};
use crate::store::Store;
use crate::types::CursorId;

/// What was found when the log was opened.
#[derive(Debug)]
pub struct Recovered {
    /// The cursors, each with where it started if that was kept, ascending by identifier.
    pub cursors: Vec<(CursorRecord, Option<Origin>)>,
    /// An identifier above those of all cursors.
    pub next_cursor: CursorId,
}

/// A running log. Dropping it closes it.
pub struct Log<T> {
    _tags: PhantomData<fn(T)>,
}

impl<T: Send + 'static> Log<T> {
    /// Reads what the store holds and starts the log's two threads.
    pub fn open(
        _store: Arc<dyn Store>,
        _options: LogOptions,
        _observer: Arc<dyn LogObserver>,
        _sink: Box<dyn Sink<T>>,
    ) -> Result<(Self, Recovered), LogError> {
        unimplemented!()
    }

    /// Hands commands to the log. Never blocks. Commands of one thread keep their order; each comes back through the
    /// sink, unless the log was closed before.
    pub fn submit(&self, _submissions: Vec<Submission<T>>) {
        unimplemented!()
    }

    /// The bytes that wait to be committed and handed out.
    pub fn queued_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Whether less waits than the bound; while not, stop reading from publishers.
    pub fn has_room(&self) -> bool {
        unimplemented!()
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        unimplemented!()
    }

    /// Replaces the retention; it counts from the next time it is applied.
    pub fn set_retention(&self, _rule: RetentionRule) {
        unimplemented!()
    }

    /// A reader of this log.
    pub fn reader(&self) -> LogReader {
        unimplemented!()
    }

    /// Carries out what was submitted, writes a checkpoint and ends the threads. Does nothing the second time.
    pub fn close(&self) {
        unimplemented!()
    }
}
