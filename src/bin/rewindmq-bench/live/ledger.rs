//! The account of all messages of a live scenario: what is on its way, what arrived, and what went wrong.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::scenario::Scenario;
use crate::connection::STALL;
use crate::faults::Faults;
use crate::latency::Latency;

/// The account of all publishers.
#[derive(Debug)]
pub struct Ledger {
    flows: Vec<Flow>,
    batch: u64,
    batches: u64,
    timed: bool,
    sent: Cell<u64>,
    deliveries: u64,
    all: u64,
    due: Cell<u64>,
    finished: Notify,
    /// What went wrong so far.
    pub faults: RefCell<Faults>,
    latencies: RefCell<Vec<Duration>>,
}

/// What one publisher has on its way.
#[derive(Debug)]
struct Flow {
    /// Deliveries that a batch is due.
    full: u64,
    /// Deliveries of each batch that is on its way, round and round.
    arrived: RefCell<Vec<u64>>,
    /// Messages of the batches that have arrived in full, from the first on.
    complete: Cell<u64>,
    moved: Notify,
    /// When each message on its way was sent.
    sent_at: RefCell<Vec<Instant>>,
    /// Which messages of a shared subscription have arrived.
    seen: RefCell<Vec<bool>>,
}

impl Ledger {
    /// Nothing sent yet; each publisher will send this many messages.
    pub fn new(scenario: &Scenario, messages_each: u64, timed: bool) -> Self {
        let (batch, batches) = scenario.pace.on_their_way();
        let deliveries = scenario.shape.deliveries() as u64;
        let flow = |_| Flow {
            full: batch * deliveries,
            arrived: RefCell::new(vec![0; batches as usize]),
            complete: Cell::new(0),
            moved: Notify::new(),
            sent_at: RefCell::new(vec![Instant::now(); if timed { (batch * batches) as usize } else { 0 }]),
            seen: RefCell::new(vec![
                false;
                if scenario.shape.shares() {
                    messages_each as usize
                } else {
                    0
                }
            ]),
        };
        let publishers = scenario.shape.publishers();
        let all = messages_each * publishers as u64 * deliveries;
        Self {
            flows: (0..publishers).map(flow).collect(),
            batch,
            batches,
            timed,
            sent: Cell::new(0),
            deliveries,
            all,
            due: Cell::new(all),
            finished: Notify::new(),
            faults: RefCell::default(),
            latencies: RefCell::default(),
        }
    }

    /// Below which number a publisher may send now.
    pub fn limit(&self, publisher: usize) -> u64 {
        self.flows[publisher].complete.get() + self.batch * self.batches
    }

    /// Waits until the limit has moved.
    pub async fn moved(&self, publisher: usize) {
        self.flows[publisher].moved.notified().await;
    }

    /// Notes that messages are sent, and when, if it matters.
    pub fn sent(&self, publisher: usize, from: u64, to: u64) {
        self.sent.set(self.sent.get() + to - from);
        if self.timed {
            let now = Instant::now();
            let mut sent_at = self.flows[publisher].sent_at.borrow_mut();
            let len = sent_at.len() as u64;
            (from..to).for_each(|number| sent_at[(number % len) as usize] = now);
        }
    }

    /// Notes a delivery that has its place; `false` if this message has arrived before.
    pub fn arrived(&self, publisher: usize, number: u64, now: Option<Instant>) -> bool {
        let flow = &self.flows[publisher];
        if let Some(seen) = flow.seen.borrow_mut().get_mut(number as usize)
            && std::mem::replace(seen, true)
        {
            return false;
        }
        if let Some(now) = now {
            let sent_at = flow.sent_at.borrow();
            let sent_at = sent_at[(number % sent_at.len() as u64) as usize];
            self.latencies.borrow_mut().push(now.saturating_duration_since(sent_at));
        }
        flow.count(number, self.batch);
        self.due.set(self.due.get() - 1);
        if self.due.get() == 0 {
            self.finished.notify_one();
        }
        true
    }

    /// The moment, if the scenario is timed.
    pub fn now(&self) -> Option<Instant> {
        self.timed.then(Instant::now)
    }

    /// Waits until everything has arrived, or nothing has for long.
    pub async fn settled(&self) {
        let stalled = async {
            loop {
                let before = self.due.get();
                tokio::time::sleep(STALL).await;
                if self.due.get() == before {
                    break;
                }
            }
        };
        tokio::select! {
            () = self.finished.notified() => {}
            () = stalled => {}
        }
    }

    /// Whether everything has arrived.
    pub fn is_complete(&self) -> bool {
        self.due.get() == 0
    }

    /// How many deliveries there were.
    pub fn delivered(&self) -> u64 {
        self.all - self.due.get()
    }

    /// How many messages were sent; fewer than wanted, if one that was lost held its publisher up.
    pub fn messages(&self) -> u64 {
        self.sent.get()
    }

    /// What went wrong, with what was sent and never came.
    pub fn faults(&self) -> Faults {
        Faults {
            lost: (self.sent.get() * self.deliveries).saturating_sub(self.delivered()),
            ..*self.faults.borrow()
        }
    }

    /// How long messages took.
    pub fn latency(&self) -> Option<Latency> {
        Latency::of(self.latencies.take())
    }
}

impl Flow {
    fn count(&self, number: u64, batch: u64) {
        let mut arrived = self.arrived.borrow_mut();
        let batches = arrived.len() as u64;
        arrived[(number / batch % batches) as usize] += 1;
        loop {
            let oldest = (self.complete.get() / batch % batches) as usize;
            if arrived[oldest] < self.full {
                break;
            }
            arrived[oldest] = 0;
            self.complete.set(self.complete.get() + batch);
            self.moved.notify_one();
        }
    }
}
