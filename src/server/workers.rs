//! Worker threads, one runtime each: a connection stays on the one it was given to.

use std::io;
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::admin::Pulse;

/// The running workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    handle: Handle,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Workers {
    /// Starts `count` workers; 0: one for each core.
    pub fn start(count: usize) -> io::Result<Self> {
        let count = match count {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            count => count,
        };
        let workers = (0..count).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// What tasks are spawned with, one handle per worker.
    pub fn handles(&self) -> Vec<Handle> {
        self.workers.iter().map(|worker| worker.handle.clone()).collect()
    }

    /// What answers as long as the workers do their work.
    pub fn pulses(&self) -> Vec<Pulse> {
        self.workers.iter().map(|worker| Pulse::of(&worker.handle)).collect()
    }

    /// Ends every worker; tasks that still run are dropped.
    pub fn stop(&mut self) {
        for worker in self.workers.drain(..) {
            // A worker that ended on its own has nobody to tell.
            let _ = worker.stop.send(());
            if worker.thread.join().is_err() {
                tracing::error!("a worker ended in a panic");
            }
        }
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            runtime.block_on(async {
                // An error means that the server is gone: end as well.
                let _ = stopped.await;
            });
        })?;
        Ok(Self { handle, stop, thread })
    }
}
