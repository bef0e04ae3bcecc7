//! What must work for the broker to do its work: the log's writer, the workers, the listeners. Knows no HTTP.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::ListenerState;
use crate::broker::Broker;

/// What must work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vitals {
    broker: Arc<Broker>,
    listeners: Arc<[ListenerState]>,
    workers: Arc<[Pulse]>,
}

/// What was found of each part: `ok`, or what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Findings {
    /// Whether the store takes writes.
    pub store: String,
    /// Whether every MQTT listener accepts.
    pub listeners: String,
    /// Whether every worker answers.
    pub workers: String,
}

/// A task on another thread that answers when it is asked: whether that thread does its work.
#[derive(Clone, Debug)]
pub struct Pulse {
    asked: Arc<Notify>,
    answers: Arc<watch::Sender<u64>>,
}

impl Vitals {
    /// Of a broker, where it listens and what works for it.
    pub fn new(
        broker: Arc<Broker>,
        listeners: impl Into<Arc<[ListenerState]>>,
        workers: impl Into<Arc<[Pulse]>>,
    ) -> Self {
        Self {
            broker,
            listeners: listeners.into(),
            workers: workers.into(),
        }
    }

    /// The MQTT listeners.
    pub fn listeners(&self) -> &[ListenerState] {
        &self.listeners
    }

    /// Returns when the log's writer and every worker have answered, however long that takes. What the writer says does not
    /// matter: a store that refuses writes is no reason to take live traffic away from everyone.
    ///
    /// # Errors
    /// Which listeners do not accept any more.
    pub async fn answer(&self) -> Result<(), String> {
        for worker in &*self.workers {
            worker.beat().await;
        }
        // A fault is told by readiness and by the log.
        let _ = self.broker.check_store().await;
        self.listening()
    }

    /// Looks at each part and waits for none longer than `patience`.
    pub async fn examine(&self, patience: Duration) -> Findings {
        let late = |what: &str| format!("{what} within {patience:?}");
        let store = match timeout(patience, self.broker.check_store()).await {
            Ok(Ok(())) => OK.to_owned(),
            Ok(Err(fault)) => fault,
            Err(_) => late("no commit"),
        };
        let mut silent = Vec::new();
        for (number, worker) in self.workers.iter().enumerate() {
            if timeout(patience, worker.beat()).await.is_err() {
                silent.push(number.to_string());
            }
        }
        let workers = match &silent[..] {
            [] => OK.to_owned(),
            silent => late(&format!("no answer of {}", silent.join(", "))),
        };
        Findings {
            store,
            listeners: self.listening().err().unwrap_or_else(|| OK.to_owned()),
            workers,
        }
    }

    fn listening(&self) -> Result<(), String> {
        let ended = self.listeners.iter().filter(|listener| listener.task.is_finished());
        let ended: Vec<&str> = ended.map(|listener| &*listener.address).collect();
        if ended.is_empty() {
            return Ok(());
        }
        Err(format!("not accepting: {}", ended.join(", ")))
    }
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        [&self.store, &self.listeners, &self.workers]
            .iter()
            .all(|part| *part == OK)
    }
}

impl Pulse {
    /// Of the runtime behind `handle`; it ends with the runtime.
    pub fn of(handle: &Handle) -> Self {
        let pulse = Self {
            asked: Arc::default(),
            answers: Arc::new(watch::Sender::new(0)),
        };
        let Self { asked, answers } = pulse.clone();
        handle.spawn(async move {
            loop {
                asked.notified().await;
                answers.send_modify(|count| *count = count.wrapping_add(1));
            }
        });
        pulse
    }

    /// Returns when the thread has answered. However many ask, one question waits for it.
    async fn beat(&self) {
        let mut answers = self.answers.subscribe();
        self.asked.notify_one();
        answers.changed().await.expect("self keeps the sender");
    }
}

const OK: &str = "ok";

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::sync::mpsc;
    use std::thread;

    use futures_util::FutureExt as _;
    use tokio::runtime::Builder;

    use super::*;
    use crate::broker::manage::ToPublish;
    use crate::config::Config;
    use crate::metrics::Metrics;
    use crate::store::{FailingStore, Fault, MemoryStore, Store};
    use crate::types::{Clock, QoS, Timestamp};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn vitals(store: Arc<dyn Store>, workers: Vec<Pulse>) -> Vitals {
        let (metrics, _) = Metrics::new(Timestamp(0));
        let broker = Broker::open(Config::default(), store, Clock::default(), metrics).expect("opens");
        Vitals::new(broker, [], workers)
    }

    fn memory() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }

    /// A runtime with one thread, which goes on until the test's process ends.
    fn one_worker() -> Handle {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        handle
    }

    /// Keeps a worker busy until the returned sender is dropped.
    fn hang(worker: &Handle) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        worker.spawn(async move {
            began.send(()).expect("the test waits");
            // Ends with an error when the test lets go.
            let _ = held.recv();
        });
        begun.recv().expect("the task runs");
        release
    }

    /// A message that is stored.
    fn event() -> ToPublish {
        ToPublish {
            topic: "a".to_owned(),
            payload: b"x".to_vec(),
            qos: QoS::AtLeastOnce,
            retain: false,
            store: true,
            expiry_secs: None,
            properties: Vec::new(),
        }
    }

    /// Lets the writes of a store go, also when a test fails: the broker's end waits for them.
    struct Release(Arc<FailingStore>);

    impl Drop for Release {
        fn drop(&mut self) {
            self.0.release();
        }
    }

    fn is_open(future: Pin<&mut impl Future>) -> bool {
        future.now_or_never().is_none()
    }

    #[tokio::test]
    async fn what_works_answers_and_is_well() {
        let worker = one_worker();
        let vitals = vitals(memory(), vec![Pulse::of(&worker)]);
        for _ in 0..3 {
            assert_eq!(vitals.answer().await, Ok(()));
            assert!(vitals.examine(PATIENCE).await.is_well());
        }
    }

    #[tokio::test]
    async fn a_worker_that_hangs_does_not_answer_until_it_goes_on() {
        let worker = one_worker();
        let vitals = vitals(memory(), vec![Pulse::of(&worker)]);
        let release = hang(&worker);
        let mut answer = pin!(vitals.answer());
        assert!(is_open(answer.as_mut()));
        let found = vitals.examine(Duration::ZERO).await;
        assert_eq!(found.workers, "no answer of 0 within 0ns");
        assert!(!found.is_well());
        assert!(is_open(answer.as_mut()));
        drop(release);
        assert_eq!(answer.await, Ok(()));
    }

    #[tokio::test]
    async fn a_writer_that_hangs_does_not_answer_until_it_goes_on() {
        let store = Arc::new(FailingStore::new(memory()));
        let vitals = vitals(store.clone(), Vec::new());
        store.block();
        let release = Release(store.clone());
        let mut kept = pin!(vitals.broker.publish_message(event()));
        assert!(is_open(kept.as_mut()));
        store.wait_blocked();
        let mut answer = pin!(vitals.answer());
        assert!(is_open(answer.as_mut()));
        assert_eq!(vitals.examine(Duration::ZERO).await.store, "no commit within 0ns");
        assert!(is_open(answer.as_mut()));
        drop(release);
        assert_eq!(answer.await, Ok(()));
        kept.await.expect("stored");
    }

    #[tokio::test]
    async fn a_store_that_refuses_answers_but_is_not_well() {
        let store = Arc::new(FailingStore::new(memory()));
        let vitals = vitals(store.clone(), Vec::new());
        store.fail_from(1, Fault::Io);
        vitals.broker.publish_message(event()).await.expect_err("refused");
        assert_eq!(vitals.answer().await, Ok(()));
        assert!(!vitals.examine(PATIENCE).await.is_well());
    }

    #[tokio::test]
    async fn a_listener_that_ended_is_named() {
        let mut vitals = vitals(memory(), Vec::new());
        let task = tokio::spawn(async {});
        vitals.listeners = Arc::new([ListenerState {
            address: "127.0.0.1:1883".to_owned(),
            protocol: "tcp",
            task: task.abort_handle(),
        }]);
        task.await.expect("no panic");
        let said = "not accepting: 127.0.0.1:1883";
        assert_eq!(vitals.answer().await, Err(said.to_owned()));
        assert_eq!(vitals.examine(PATIENCE).await.listeners, said);
    }
}
