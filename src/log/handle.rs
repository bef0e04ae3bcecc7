//! The handle by which the rest of the broker holds the log; its two threads are started and ended here.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use super::batch::{Plan, Progress};
use super::order::{Order, Queue, QueueBound};
use super::reader::Shared;
use super::recover;
use super::trimmer::Trimmer;
use super::upkeep::Upkeep;
use super::writer::Writer;
use super::{
    Committed, CursorRecord, LogError, LogObserver, LogOptions, LogReader, Origin, PlaceRecord, RetentionRule,
    SessionRecord, Sink, Submission, SubscriptionRecord, WillRecord,
};
use crate::store::Store;
use crate::types::{CursorId, Message, PacketId, SessionId};

/// What was found when the log was opened.
#[derive(Debug)]
pub struct Recovered {
    /// The cursors, each with where it started if that was kept, ascending by identifier.
    pub cursors: Vec<(CursorRecord, Option<Origin>)>,
    /// An identifier above those of all cursors.
    pub next_cursor: CursorId,
    /// The durable sessions, ascending by identifier.
    pub sessions: Vec<RecoveredSession>,
    /// An identifier above those of all durable sessions.
    pub next_session: SessionId,
    /// The retained messages.
    pub retained: Vec<Arc<Message>>,
}

/// A durable session with all that is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredSession {
    /// The session itself.
    pub record: SessionRecord,
    /// Its subscriptions, ascending by number.
    pub subscriptions: Vec<SubscriptionRecord>,
    /// How far it has come, if that was kept.
    pub place: Option<PlaceRecord>,
    /// The QoS 2 packet identifiers that it has not released, ascending.
    pub received: Vec<PacketId>,
    /// Its will.
    pub will: Option<WillRecord>,
}

/// A running log. Dropping it closes it.
pub struct Log<T> {
    order: Arc<dyn Order<T>>,
    backlog: Arc<QueueBound>,
    retention: Arc<RwLock<RetentionRule>>,
    reader: LogReader,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<T: Send + 'static> Log<T> {
    /// Reads what the store holds and starts the log's two threads.
    pub fn open(
        store: Arc<dyn Store>,
        options: LogOptions,
        observer: Arc<dyn LogObserver>,
        sink: Box<dyn Sink<T>>,
    ) -> Result<(Self, Recovered), LogError> {
        let found = recover::load(&*store)?;
        let shared = Arc::new(Shared::new(store, found.directory, found.marks.last));
        let order: Arc<dyn Order<T>> = Arc::new(Queue::new());
        let backlog = Arc::new(QueueBound::new(options.queue_bytes));
        let retention = Arc::new(RwLock::new(options.retention.clone()));
        let (tail, committed) = mpsc::channel();
        let writer = Writer {
            shared: shared.clone(),
            order: order.clone(),
            retention: retention.clone(),
            observer,
            tail,
            progress: Progress::new(found.marks, found.last_time_row),
            upkeep: Upkeep::new(options.checkpoint_records),
            trimmer: Trimmer::new(options.holds.clone()),
            plan: Plan::default(),
            used_bytes: 0,
            poisoned: false,
            full: false,
            next_sweep: options.clock.now().saturating_add(options.retention_interval),
            next_release: options.clock.now().saturating_add(options.release_interval),
            options,
        };
        let log = Self {
            order,
            backlog: backlog.clone(),
            retention,
            reader: LogReader { shared },
            threads: Mutex::default(),
        };
        log.start("log-tail", move || hand_out(&committed, sink, &backlog))?;
        log.start("log-writer", move || writer.run())?;
        Ok((log, found.recovered))
    }

    fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), LogError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = thread.map_err(|error| LogError::Io(format!("starting the thread {name}: {error}")))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Hands commands to the log. Never blocks. Commands of one thread keep their order; each comes back through the
    /// sink, unless the log was closed before: then it is dropped.
    pub fn submit(&self, submissions: Vec<Submission<T>>) {
        if submissions.is_empty() {
            return;
        }
        let bytes: usize = submissions.iter().map(|submission| submission.command.size()).sum();
        self.backlog.add(bytes as u64);
        if !self.order.propose(submissions) {
            self.backlog.remove(bytes as u64);
        }
    }

    /// The bytes that wait to be committed and handed out.
    pub fn queued_bytes(&self) -> u64 {
        self.backlog.bytes()
    }

    /// The bytes that may wait before publishers have to.
    pub fn queue_bytes(&self) -> u64 {
        self.backlog.bound()
    }

    /// Whether less waits than the bound; while not, stop reading from publishers.
    pub fn has_room(&self) -> bool {
        self.backlog.has_room()
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        self.backlog.room().await;
    }

    /// Replaces the retention; it counts from the next time it is applied.
    pub fn set_retention(&self, rule: RetentionRule) {
        *self.retention.write().unwrap_or_else(PoisonError::into_inner) = rule;
    }

    /// A reader of this log.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }
}

impl<T> Log<T> {
    /// Carries out what was submitted, writes a checkpoint and ends the threads. Does nothing the second time. Called from
    /// the sink, it does not wait for the sink's thread.
    pub fn close(&self) {
        self.order.end();
        let threads: Vec<_> = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            threads.drain(..).collect()
        };
        let own = thread::current().id();
        // The sink may be the last that holds what owns the log: its own thread ends after this.
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            // A panic of the thread has been reported by its panic message.
            let _ = thread.join();
        }
    }
}

impl<T> Drop for Log<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The tail thread: gives each commit to the sink.
fn hand_out<T>(committed: &Receiver<Vec<Committed<T>>>, mut sink: Box<dyn Sink<T>>, backlog: &QueueBound) {
    while let Ok(batch) = committed.recv() {
        let bytes: usize = batch.iter().map(|entry| entry.command.size()).sum();
        sink.committed(batch);
        backlog.remove(bytes as u64);
    }
}
