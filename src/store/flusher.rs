//! Forces what was committed to disk at intervals, on a thread of its own. Knows nothing of what was committed.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::StoreError;

/// The thread; dropping it forces what is left and ends it.
pub(super) struct Flusher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Whether something was committed since the last time.
    dirty: AtomicBool,
    /// Why it could not be forced to disk. Nobody knows then what is there, so nothing may be written any more.
    failure: OnceLock<String>,
    stopping: Mutex<bool>,
    stop: Condvar,
}

impl Flusher {
    /// Calls `force` at each interval in which something was committed.
    pub(super) fn start(
        interval: Duration,
        force: impl Fn() -> Result<(), String> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let work = {
            let shared = shared.clone();
            move || shared.run(interval, &force)
        };
        let thread = thread::Builder::new().name("store-flush".to_owned()).spawn(work)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Notes that something was committed.
    pub(super) fn committed(&self) {
        self.shared.dirty.store(true, Ordering::Release);
    }

    /// Refuses once something could not be forced to disk.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.shared.failure.get() {
            None => Ok(()),
            Some(failure) => Err(StoreError::io(
                "forcing the store to disk failed, and nothing is written any more",
                io::Error::other(failure.clone()),
            )),
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Flusher {
    /// Forces what is left and ends the thread. Does nothing the second time.
    pub(super) fn stop(&mut self) {
        *self.shared.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by its panic message.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, interval: Duration, force: &dyn Fn() -> Result<(), String>) {
        loop {
            let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.stop.wait_timeout_while(stopping, interval, |stopping| !*stopping);
            let stopping = *waited.unwrap_or_else(PoisonError::into_inner).0;
            if self.dirty.swap(false, Ordering::AcqRel)
                && let Err(failure) = force()
            {
                tracing::error!(fault = failure, "the store could not be forced to disk");
                // Only this thread sets it, and it ends here.
                let _ = self.failure.set(failure);
                return;
            }
            if stopping {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    fn until(what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn counting(interval: Duration) -> (Flusher, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let flusher = Flusher::start(interval, move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        (flusher.expect("a thread"), count)
    }

    #[test]
    fn what_was_committed_is_forced_once() {
        let (flusher, count) = counting(Duration::from_millis(1));
        for round in 1..=3 {
            flusher.committed();
            until("it is forced", || count.load(Ordering::SeqCst) == round);
        }
        drop(flusher);
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_stop_forces_what_is_left_without_waiting() {
        let (flusher, count) = counting(Duration::from_secs(3_600));
        flusher.committed();
        drop(flusher);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        drop(counting(Duration::from_secs(3_600)));
    }

    #[test]
    fn after_a_failure_nothing_may_be_written_and_the_reason_stays() {
        let flusher = Flusher::start(Duration::from_millis(1), || Err("the disk is gone".into()));
        let flusher = flusher.expect("a thread");
        assert!(flusher.check().is_ok());
        flusher.committed();
        until("it fails", || flusher.check().is_err());
        for _ in 0..2 {
            let refused = flusher.check().expect_err("refused").to_string();
            assert!(refused.contains("the disk is gone"), "{refused}");
        }
    }
}
