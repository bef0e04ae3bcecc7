//! Tells at a terminal that something is under way, and how far it has got.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cells::show_seconds;

/// Tells until it is dropped; a terminal alone is told, and not of what ends soon.
#[derive(Debug)]
pub(in crate::cli) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Of something that does not know how far it has got.
    pub fn of(what: &'static str) -> Self {
        Self::told(move || what.to_owned())
    }

    /// Of something that can be asked.
    pub fn told(mut what: impl FnMut() -> String + Send + 'static) -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        let (stop, stopped) = mpsc::channel();
        let begun = Instant::now();
        let teller = std::thread::Builder::new().name("progress".into()).spawn(move || {
            let mut wait = SILENCE;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = INTERVAL;
                let elapsed = show_seconds(begun.elapsed().as_secs_f64());
                // What cannot be told is not.
                let _ = write!(stderr(), "\r\x1b[K{} ... {elapsed}", what());
            }
            if wait == INTERVAL {
                let _ = write!(stderr(), "\r\x1b[K");
            }
        });
        Self(teller.ok().map(|teller| (stop, teller)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, teller)) = self.0.take() {
            drop(stop);
            // It panics only if the terminal's writer does.
            let _ = teller.join();
        }
    }
}

/// What takes no longer is not told.
const SILENCE: Duration = Duration::from_millis(400);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(200);
