//! Decides the order of commands. The seam at which a replicated engine can take the place of the local queue:
//! whatever it hands out, in the order it hands it out, is what every node carries out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Submission;

/// An order of commands.
pub(crate) trait Order<T>: Send + Sync {
    /// Gives commands a place in the order. Never blocks. False if it is over and they were dropped.
    fn propose(&self, submissions: Vec<Submission<T>>) -> bool;
    /// Takes everything whose place is decided; waits for something if there is nothing.
    fn take(&self, wait: Duration) -> Taken<T>;
    /// Nothing more is to be proposed.
    fn end(&self);
    /// Takes what was proposed after the end, and refuses the rest from now on.
    fn take_refused(&self) -> Vec<Submission<T>>;
}

/// What was taken.
pub(crate) struct Taken<T> {
    pub(crate) submissions: VecDeque<Submission<T>>,
    /// Whether nothing will follow.
    pub(crate) ended: bool,
}

/// The order of this process alone: first come, first served. Bounded by its submitters, see [`QueueBound`].
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<Submission<T>>,
    refused: Vec<Submission<T>>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Ending,
    Ended,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                refused: Vec::new(),
                phase: Phase::Open,
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Order<T> for Queue<T> {
    fn propose(&self, submissions: Vec<Submission<T>>) -> bool {
        let mut state = self.state();
        match state.phase {
            Phase::Open => {}
            Phase::Ending => {
                state.refused.extend(submissions);
                return true;
            }
            Phase::Ended => return false,
        }
        let was_empty = state.waiting.is_empty();
        if was_empty {
            state.waiting = submissions.into();
        } else {
            state.waiting.extend(submissions);
        }
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
        true
    }

    fn take(&self, wait: Duration) -> Taken<T> {
        let mut state = self.state();
        if !wait.is_zero() && state.waiting.is_empty() && state.phase == Phase::Open {
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Taken {
            submissions: std::mem::take(&mut state.waiting),
            ended: state.phase != Phase::Open,
        }
    }

    fn end(&self) {
        let mut state = self.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Ending;
        }
        drop(state);
        self.changed.notify_one();
    }

    fn take_refused(&self) -> Vec<Submission<T>> {
        let mut state = self.state();
        state.phase = Phase::Ended;
        std::mem::take(&mut state.refused)
    }
}

/// How much was submitted and has not come back, and who waits for it to get less.
#[derive(Debug)]
pub(crate) struct QueueBound {
    bytes: AtomicU64,
    bound: u64,
    room: Notify,
}

impl QueueBound {
    pub(crate) fn new(bound: u64) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            bound,
            room: Notify::new(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    pub(crate) fn bound(&self) -> u64 {
        self.bound
    }

    pub(crate) fn has_room(&self) -> bool {
        self.bytes() < self.bound
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn remove(&self, bytes: u64) {
        let before = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if before >= self.bound && before - bytes < self.bound {
            self.room.notify_waiters();
        }
    }

    pub(crate) async fn room(&self) {
        loop {
            // Registered before looking, so that room made in between is not missed.
            let notified = self.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.has_room() {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Command;

    fn flush(tag: u32) -> Vec<Submission<u32>> {
        let command = Command::Flush;
        vec![Submission { command, tag }]
    }

    fn tags(submissions: impl IntoIterator<Item = Submission<u32>>) -> Vec<u32> {
        submissions.into_iter().map(|submission| submission.tag).collect()
    }

    #[test]
    fn what_comes_after_the_end_is_refused_and_later_dropped() {
        let queue = Queue::new();
        assert!(queue.propose(flush(1)));
        assert!(queue.propose(flush(2)));
        queue.end();
        assert!(queue.propose(flush(3)));
        let taken = queue.take(Duration::ZERO);
        assert!(taken.ended);
        assert_eq!(tags(taken.submissions), [1, 2]);
        assert_eq!(tags(queue.take_refused()), [3]);
        assert!(!queue.propose(flush(4)));
    }

    #[test]
    fn room_comes_back_when_the_backlog_falls_below_its_bound() {
        let backlog = QueueBound::new(10);
        backlog.add(15);
        assert!(!backlog.has_room());
        backlog.remove(6);
        assert!(backlog.has_room());
        assert_eq!(backlog.bytes(), 9);
    }
}
