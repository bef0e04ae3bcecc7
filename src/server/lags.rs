//! The thread that looks now and then how far cursors are behind and what room the disk has.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::broker::Broker;

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Lags {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Lags {
    /// Starts it.
    pub fn watch(broker: Arc<Broker>) -> io::Result<Self> {
        let (end, ended) = mpsc::channel();
        let watching = move || {
            let mut wait = Duration::ZERO;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                broker.measure_lags();
                broker.measure_disk();
                wait = INTERVAL.max(begun.elapsed() * REST);
            }
        };
        let thread = thread::Builder::new().name("lags".to_owned()).spawn(watching)?;
        Ok(Self { end, thread })
    }

    /// Waits for its end, which a broker that stops does not delay.
    pub fn stop(self) {
        drop(self.end);
        // A panic of the thread has been reported by its panic message.
        let _ = self.thread.join();
    }
}

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// At least so many times as long as a look took is until the next one.
const REST: u32 = 20;
