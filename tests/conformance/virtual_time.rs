//! Cases in this process: the broker and the driver of its connections on pipes, a store in memory, and time that goes by
//! only when a case says so.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rewindmq::broker::Broker;
use rewindmq::config::Config;
use rewindmq::metrics::Metrics;
use rewindmq::net;
use rewindmq::store::{FailingStore, MemoryStore};
use rewindmq::types::{Clock, Timestamp};
use tokio::io::DuplexStream;
use tokio::sync::Notify;

use super::report::Outcome;
use super::run::run;
use super::script::{Case, Version};
use super::world::World;

/// Runs a case in one version.
pub fn run_case(case: &Case, version: Version) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let outcome = runtime.block_on(async {
        let mut world = Virtual::new(&case.needs.config);
        let (outcome, _) = run(&mut world, case, version).await;
        outcome
    });
    match outcome {
        Ok(()) => Outcome::Passed,
        Err(failure) => Outcome::Failed(failure),
    }
}

struct Virtual {
    broker: Arc<Broker>,
    store: Arc<FailingStore>,
    clock: Clock,
    held: bool,
    watch: Arc<Watch>,
    /// Dropped at the end: the watching thread ends with it.
    _end: mpsc::Sender<()>,
}

/// Looks after the real time, in which a case that waits for what does not come is given up. While its thread lives, the
/// runtime does not move the virtual time on its own, though the log's threads let it wait.
#[derive(Default)]
struct Watch {
    since: Mutex<Option<Instant>>,
    over: AtomicBool,
    notify: Notify,
}

impl Virtual {
    fn new(config: &[String]) -> Self {
        let clock = Clock::manual(Timestamp(START));
        let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
        let (metrics, _) = Metrics::new(clock.now());
        let broker = Broker::open(read(config), store.clone(), clock.clone(), metrics).expect("an empty store opens");
        let watch = Arc::new(Watch::default());
        let (end, ended) = mpsc::channel();
        let watching = watch.clone();
        tokio::task::spawn_blocking(move || watching.run(&ended));
        Self {
            broker,
            store,
            clock,
            held: false,
            watch,
            _end: end,
        }
    }

    /// Every task has run until it waits for another, and everything that was submitted is committed and handed out.
    async fn quiesce(&self) {
        loop {
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
            if self.held || self.broker.log().queued_bytes() == 0 {
                break;
            }
            std::thread::yield_now();
        }
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
        }
    }
}

/// The configuration of a case.
fn read(lines: &[String]) -> Config {
    if lines.is_empty() {
        return Config::default();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("case.toml");
    std::fs::write(&path, lines.join("\n")).expect("a file");
    Config::load(Some(Path::new(&path)), [], |_| {}).unwrap_or_else(|faults| panic!("{lines:?}: {faults}"))
}

impl Watch {
    fn run(&self, ended: &mpsc::Receiver<()>) {
        while ended.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
            if since.is_some_and(|since| since.elapsed() > PATIENCE) {
                self.over.store(true, Ordering::Release);
                self.notify.notify_waiters();
            }
        }
    }

    fn set(&self, since: Option<Instant>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// While something is waited for.
struct Waiting<'a>(&'a Watch);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl World for Virtual {
    type Stream = DuplexStream;

    async fn open(&mut self) -> io::Result<DuplexStream> {
        let (near, far) = tokio::io::duplex(1 << 20);
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        tokio::spawn(net::serve(far, peer, self.broker.clone()));
        Ok(near)
    }

    /// In pieces, as the server's own housekeeping would.
    async fn pass(&mut self, duration: Duration) {
        let piece = (duration / 100).max(Duration::from_millis(100));
        let mut left = duration;
        while !left.is_zero() {
            let step = piece.min(left);
            left -= step;
            self.clock.advance(step);
            tokio::time::advance(step).await;
            let now = self.clock.now();
            self.broker.handle_timeout(now);
            self.broker.flush_cursors(now);
            self.quiesce().await;
        }
    }

    async fn settle(&mut self) {
        self.quiesce().await;
    }

    async fn patience(&self) {
        self.watch.set(Some(Instant::now()));
        let _waiting = Waiting(&self.watch);
        let over = self.watch.notify.notified();
        tokio::pin!(over);
        over.as_mut().enable();
        if !self.watch.over.load(Ordering::Acquire) {
            over.await;
        }
    }

    fn hold(&mut self, held: bool) -> Result<(), String> {
        self.held = held;
        if held {
            self.store.block();
        } else {
            self.store.release();
        }
        Ok(())
    }

    fn word(&self) -> &str {
        "t0"
    }
}

impl Drop for Virtual {
    fn drop(&mut self) {
        self.store.release();
        self.broker.close();
    }
}

/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600_000_000_000;
/// How often other tasks get their turn before they count as waiting.
const YIELDS: usize = 20;
/// How long something is waited for before the case fails, in real time.
const PATIENCE: Duration = Duration::from_secs(10);
