//! A few threads for what takes long, and the queue before them: bounded, and fair among where the work comes from. Knows
//! nothing of the work.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use metrics::Gauge;
use tokio::sync::oneshot;

/// Where work comes from: an IPv4 address, the /64 network of an IPv6 address, or this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(Option<IpAddr>);

impl From<Option<IpAddr>> for Source {
    fn from(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
            v4 => v4,
        }))
    }
}

/// The bounds of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Threads.
    pub threads: usize,
    /// What may wait, in all.
    pub queued: usize,
    /// What may wait of one source.
    pub queued_per_source: usize,
}

/// Why work is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// As much of this source waits as may.
    Source,
    /// As much waits in all as may, or there is no thread.
    Pool,
}

/// Threads that end when this is dropped. They are begun when there is work for them.
pub struct Pool(Arc<Shared>);

struct Shared {
    limits: PoolLimits,
    state: Mutex<State>,
    wake: Condvar,
    queue_length: Gauge,
    name: &'static str,
}

#[derive(Default)]
struct State {
    /// What waits, by source; no empty queue stays.
    waiting: HashMap<Source, VecDeque<Job>>,
    /// Every source with work, in the order of their turns.
    turns: VecDeque<Source>,
    queued: usize,
    threads: usize,
    idle: usize,
    is_over: bool,
}

type Job = Box<dyn FnOnce() + Send>;

impl Pool {
    /// A pool with nothing to do; `queue_length` counts what waits; pools may share it.
    pub fn new(name: &'static str, limits: PoolLimits, queue_length: Gauge) -> Self {
        Self(Arc::new(Shared {
            limits,
            state: Mutex::default(),
            wake: Condvar::new(),
            queue_length,
            name,
        }))
    }

    /// Lets a thread do the work when it is its source's turn. The receiver gets what came of it, or a fault if the pool
    /// ended or the work panicked; work whose receiver is dropped before it begins is not done.
    ///
    /// # Errors
    /// If too much waits already.
    pub fn run<T: Send + 'static>(
        &self,
        source: Source,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Busy> {
        let (done, result) = oneshot::channel();
        let job = move || {
            if !done.is_closed() {
                // Nobody may wait any more.
                let _ = done.send(work());
            }
        };
        self.0.push(source, Box::new(job))?;
        Ok(result)
    }
}

impl Shared {
    fn push(self: &Arc<Self>, source: Source, job: Job) -> Result<(), Busy> {
        let mut state = self.lock();
        if state.queued >= self.limits.queued {
            return Err(Busy::Pool);
        }
        let of_source = state.waiting.get(&source).map_or(0, VecDeque::len);
        if of_source >= self.limits.queued_per_source {
            return Err(Busy::Source);
        }
        if state.idle <= state.queued && state.threads < self.limits.threads {
            self.begin_thread(&mut state)?;
        }
        if of_source == 0 {
            state.turns.push_back(source);
        }
        state.waiting.entry(source).or_default().push_back(job);
        state.queued += 1;
        self.queue_length.increment(1);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn begin_thread(self: &Arc<Self>, state: &mut State) -> Result<(), Busy> {
        let shared = self.clone();
        let begun = thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || shared.work());
        match begun {
            Ok(_) => state.threads += 1,
            // Those that are there do it.
            Err(_) if state.threads > 0 => {}
            Err(fault) => {
                tracing::error!(%fault, "no thread for authentication could be begun");
                return Err(Busy::Pool);
            }
        }
        Ok(())
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("an authentication panicked; its client is refused");
            }
        }
    }

    /// Waits for the next work; nothing when the pool is over.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(job) = state.pop() {
                self.queue_length.decrement(1);
                return Some(job);
            }
            state.idle += 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The oldest work of the source whose turn it is; the source then comes last.
    fn pop(&mut self) -> Option<Job> {
        let source = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&source)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        self.queued -= 1;
        job
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_over = true;
        state.waiting.clear();
        state.turns.clear();
        self.0.queue_length.decrement(state.queued as f64);
        state.queued = 0;
        drop(state);
        self.0.wake.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMITS: PoolLimits = PoolLimits {
        threads: 1,
        queued: 5,
        queued_per_source: 3,
    };

    fn source(last: u8) -> Source {
        Some(IpAddr::from([192, 0, 2, last])).into()
    }

    /// A pool whose only thread waits until something is sent.
    fn held() -> (Pool, mpsc::Sender<()>) {
        let pool = Pool::new("test", LIMITS, Gauge::noop());
        let (go, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let work = move || {
            begun.send(()).expect("the test waits");
            let _ = wait.recv();
        };
        drop_later(pool.run(source(0), work));
        has_begun.recv().expect("the thread begins");
        (pool, go)
    }

    fn drop_later<T>(taken: Result<T, Busy>) {
        // The work is done only while its receiver is there.
        assert!(taken.map(std::mem::forget).is_ok(), "taken");
    }

    #[test]
    fn sources_take_turns_and_have_a_share_each() {
        let (pool, go) = held();
        let (say, said) = mpsc::channel();
        let push = |last: u8| {
            let say = say.clone();
            pool.run(source(last), move || say.send(last)).map(std::mem::forget)
        };
        assert_eq!((push(1), push(1), push(1)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(push(1), Err(Busy::Source));
        assert_eq!((push(2), push(2)), (Ok(()), Ok(())));
        assert_eq!(push(3), Err(Busy::Pool));
        go.send(()).expect("the thread waits");
        let order: Vec<u8> = (0..5).map(|_| said.recv().expect("done")).collect();
        assert_eq!(order, [1, 2, 1, 2, 1]);
    }

    #[test]
    fn what_nobody_waits_for_is_not_done_and_a_panic_harms_only_its_own() {
        let (pool, go) = held();
        let (say, said) = mpsc::channel();
        let unwanted = say.clone();
        drop(pool.run(source(1), move || unwanted.send("unwanted")));
        let panics = pool.run(source(1), || -> () { panic!("a test's") }).expect("taken");
        let after = pool.run(source(1), move || say.send("after")).expect("taken");
        go.send(()).expect("the thread waits");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        assert!(runtime.block_on(panics).is_err());
        assert!(runtime.block_on(after).is_ok());
        assert_eq!(said.try_iter().collect::<Vec<_>>(), ["after"]);
    }

    #[test]
    fn a_pool_that_ends_leaves_nobody_waiting() {
        let (pool, _go) = held();
        let waiting = pool.run(source(1), || ()).expect("taken");
        drop(pool);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        assert!(runtime.block_on(waiting).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_mapped_ipv4_is_ipv4() {
        let of = |text: &str| Source::from(Some(text.parse::<IpAddr>().expect("an address")));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
