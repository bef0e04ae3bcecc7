//! The only place that knows sessions, router and log: publish, subscribe, deliver, expire. Knows no socket.

mod absent;
mod access;
mod ack;
mod addresses;
mod arrival;
mod authenticate;
mod batches;
mod client;
mod connect;
mod cursors;
mod deliver;
mod disconnect;
mod dispatch;
mod drops;
mod durable;
mod floods;
mod grant;
mod group;
mod groups;
mod handle;
mod holds;
mod housekeeping;
mod inherit;
mod lane;
mod lent;
mod limits;
mod live_target;
mod login;
pub mod manage;
mod measured;
mod outbox;
mod pending;
mod place;
mod plain;
mod promise;
mod publish;
mod queue;
mod reload;
mod replay;
mod reread;
mod restore;
mod route;
mod rules;
mod sampled;
mod select;
mod sessions;
mod share;
mod skipped;
mod straight;
mod subscribe;
mod subscription;
mod sys;
mod tally;
#[cfg(test)]
mod testing;
mod told;
mod tracer;
mod turn;
mod unsubscribe;
mod unwritten;
mod waiting;
mod will;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use access::AccessControl;
pub use addresses::{AddressLimits, Addresses, Counted, TooMany};
pub use arrival::{Anonymous, Arrival, Gate, Peer};
pub use authenticate::{Authenticated, Introduced, Introduction};
pub use client::Client;
pub use connect::Refused;
use cursors::{CursorLimits, CursorTable};
pub use disconnect::Cause;
use dispatch::{Dispatcher, Observer};
use drops::Drops;
pub use floods::{Flood, Floods};
use groups::Groups;
pub use handle::Next;
use holds::DurableHolds;
pub use login::check_certificate;
use manage::Lags;
use outbox::Outbox;
use promise::Promise;
use reload::{retained_limits, retention_rule};
pub use replay::Pumped;
use route::{Routed, Target};
use rules::StoreRules;
pub use select::selector_says;
use sessions::Sessions;
use skipped::SkippedList;
use sys::Sys;
pub use tracer::{MOST_TRACES, TraceFilter, Tracer, Tracing};

use arc_swap::{ArcSwap, Guard};

use crate::auth::{Backends, Pool};
use crate::config::{Config, SharedStrategy};
use crate::cursor::Strategy;
use crate::log::{Log, LogError, LogOptions, LogReader, Submission};
use crate::metrics::Metrics;
use crate::router::{Retained, RetainedLimits, Router};
use crate::selector::Selectors;
use crate::session::{PublishOutcome, PublishToken};
use crate::store::Store;
use crate::types::{Clock, PacketId, Timestamp};

/// A broker: everything but the sockets. Share it in an `Arc`.
pub struct Broker {
    /// Tells brokers in one process apart.
    instance: u64,
    config: ArcSwap<Config>,
    clock: Clock,
    metrics: Metrics,
    drops: Drops,
    tracer: Arc<Tracer>,
    /// What clients can prove themselves by.
    backends: ArcSwap<Backends>,
    /// Checks passwords.
    passwords: Pool,
    rules: ArcSwap<StoreRules>,
    access: AccessControl,
    router: Router<Target>,
    retained: Retained,
    sys: Mutex<Sys>,
    /// The retained messages below `$SYS/`, which are nobody's but the broker's.
    sys_retained: Retained,
    /// Records of the log when the broker was started.
    records_at_start: u64,
    groups: Groups,
    sessions: Sessions,
    cursors: CursorTable,
    selectors: Selectors,
    /// Whose cursors are to move past what their selectors skipped.
    skipped: SkippedList,
    /// Durable sessions whose place is to be saved by the next flush.
    unsaved: Mutex<Vec<Arc<Outbox>>>,
    next_session: AtomicU64,
    /// Whether publishers of some topics are refused because too much waits for a session.
    refuses_full: AtomicBool,
    pending_due: Mutex<Timestamp>,
    pending_next: AtomicUsize,
    absent_due: Mutex<Timestamp>,
    absent_next: AtomicUsize,
    /// Bytes of records that were ever written, or more: what the store held at the start counts in full.
    written_bytes: AtomicU64,
    /// Up to where records were handed out to those who are here.
    handed_out: AtomicU64,
    /// How far cursors were behind when they were looked at last.
    lags: Mutex<Arc<Lags>>,
    log: Log<LogTag>,
    reader: LogReader,
    connections: AtomicU64,
    addresses: Arc<Addresses>,
    floods: Floods,
    stopping: AtomicBool,
}

/// What comes back with a command that went through the log.
#[derive(Clone, Debug, Default)]
pub enum LogTag {
    /// Nobody waits.
    #[default]
    None,
    /// A PUBLISH of this session, and which selectors it passed if that was looked at.
    Publish(Arc<Outbox>, Option<PublishToken>, Option<Box<Routed>>),
    /// A change that a SUBACK or UNSUBACK of this session waits for.
    Change(Arc<Outbox>, u64),
    /// The place of this session, with all changes up to this number.
    Place(Arc<Outbox>, u64),
    /// A QoS 2 packet identifier of this session that is no longer in use.
    Release(Arc<Outbox>, PacketId),
    /// A change that a task waits for: of a CONNECT, or of the administration.
    Awaited(Promise),
    /// A PUBLISH of the administration.
    Published(Promise<PublishOutcome>),
}

/// Commands on their way to the log.
pub(crate) type Submissions = Vec<Submission<LogTag>>;

impl Broker {
    /// Opens the log on a store and starts the broker on it.
    pub fn open(config: Config, store: Arc<dyn Store>, clock: Clock, metrics: Metrics) -> Result<Arc<Self>, LogError> {
        let rules = Arc::new(StoreRules::new(&config.store));
        let dispatcher = Dispatcher::default();
        let broker_slot = dispatcher.slot();
        let holds = DurableHolds::new(broker_slot.clone());
        let written_bytes = store.used_bytes()?;
        let options = LogOptions {
            max_bytes: config.store.max_bytes.unwrap_or(0),
            retention: retention_rule(&rules),
            retention_interval: config.store.retention_interval,
            holds: Arc::new(holds),
            clock: clock.clone(),
            ..LogOptions::default()
        };
        let observer = Observer::new(metrics.clone(), broker_slot.clone());
        let (log, recovered) = Log::open(store, options, Arc::new(observer), Box::new(dispatcher))?;
        let limits = CursorLimits::new(&config.store);
        let retained_limits = retained_limits(&config);
        let tracer = Tracer::new(clock.clone());
        let broker = Arc::new(Self {
            instance: NEXT_INSTANCE.fetch_add(1, Ordering::Relaxed),
            drops: Drops::new(metrics.clone(), clock.clone(), tracer.clone()),
            tracer,
            clock,
            backends: ArcSwap::default(),
            passwords: login::new_pool(&config.auth, &metrics),
            metrics,
            rules: ArcSwap::new(rules),
            access: AccessControl::default(),
            router: Router::default(),
            retained: Retained::new(retained_limits),
            sys: Mutex::default(),
            sys_retained: Retained::new(RetainedLimits::default()),
            records_at_start: log.reader().record_count(),
            groups: Groups::default(),
            sessions: Sessions::default(),
            cursors: CursorTable::new(limits, recovered.cursors),
            selectors: Selectors::default(),
            skipped: SkippedList::default(),
            unsaved: Mutex::default(),
            next_session: AtomicU64::new(recovered.next_session.0),
            refuses_full: AtomicBool::new(false),
            pending_due: Mutex::default(),
            pending_next: AtomicUsize::new(0),
            absent_due: Mutex::default(),
            absent_next: AtomicUsize::new(0),
            written_bytes: AtomicU64::new(written_bytes),
            lags: Mutex::default(),
            handed_out: AtomicU64::new(log.reader().watermark().0),
            reader: log.reader(),
            log,
            connections: AtomicU64::new(0),
            floods: Floods::default(),
            addresses: Arc::new(Addresses::new(AddressLimits::new(&config.limits))),
            stopping: AtomicBool::new(false),
            config: ArcSwap::from_pointee(config),
        });
        let mut turn = broker.restore(recovered.sessions, recovered.retained);
        broker
            .metrics
            .store_queue_limit_bytes
            .set(broker.log.queue_bytes() as f64);
        // Only now: what waits for the sessions is known.
        broker_slot.set(Arc::downgrade(&broker)).ok();
        broker.flush(&mut turn);
        Ok(broker)
    }

    /// The configuration that is in force. Not to be held on to: it may be replaced.
    #[inline]
    pub fn config(&self) -> Guard<Arc<Config>> {
        self.config.load()
    }

    /// Who is connected from where.
    pub fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    /// What keeps lines from flooding the log.
    pub fn floods(&self) -> &Floods {
        &self.floods
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Who is told what happens.
    pub fn tracer(&self) -> &Arc<Tracer> {
        &self.tracer
    }

    /// The log of this broker.
    pub fn log(&self) -> &Log<LogTag> {
        &self.log
    }

    /// The strategy of a group.
    fn strategy(&self, group: &str) -> Strategy {
        match self.config().shared.strategy_of(group) {
            SharedStrategy::RoundRobin => Strategy::RoundRobin,
            SharedStrategy::LeastInflight => Strategy::LeastInflight,
            SharedStrategy::Sticky => Strategy::Sticky,
            SharedStrategy::HashTopic => Strategy::HashTopic,
            SharedStrategy::Random => Strategy::Random,
        }
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// An output of this many bytes is written before more is added.
const OUTPUT_LIMIT: usize = 64 << 10;
/// Records per batch that a replay takes from the log.
const BATCH_RECORDS: usize = 256;
/// Bytes per batch that a replay takes from the log.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that a replay takes in one turn before others get theirs.
const BATCHES_PER_TURN: usize = 4;

static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(1);
