//! What the log can be told: bounds, retention, who wants to know figures and which topics match.

use std::sync::Arc;
use std::time::Duration;

use super::LogError;
use crate::store::ChannelKind;
use crate::types::{ChannelId, Clock, Position};

/// How long a channel keeps its events; what is beyond any limit goes, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events older than this go.
    pub max_age: Option<Duration>,
    /// Events beyond this many go.
    pub max_count: Option<u64>,
    /// Events beyond this many bytes of records go.
    pub max_bytes: Option<u64>,
}

/// Finds the retention of a topic.
pub type RetentionRule = Arc<dyn Fn(&str) -> Retention + Send + Sync>;

/// How to run a log.
#[derive(Clone)]
pub struct LogOptions {
    /// Appends are refused when the store takes more bytes than this; 0 is no limit but the store's own.
    pub max_bytes: u64,
    /// The most commands of one commit.
    pub max_batch_records: usize,
    /// About the most bytes of messages in one commit.
    pub max_batch_bytes: usize,
    /// [`super::Log::has_room`] is false while more bytes than this wait to be committed and handed out.
    pub queue_bytes: u64,
    /// The retention of each topic; [`super::Log::set_retention`] replaces it.
    pub retention: RetentionRule,
    /// How often the retention is applied.
    pub retention_interval: Duration,
    /// How far durable sessions have come.
    pub holds: Arc<dyn Holds>,
    /// How often [`Self::holds`] is asked about what is held.
    pub release_interval: Duration,
    /// A checkpoint is written after this many records; a start reads at most about as many.
    pub checkpoint_records: u64,
    /// The time.
    pub clock: Clock,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            max_bytes: 0,
            max_batch_records: 10_000,
            max_batch_bytes: 8 << 20,
            queue_bytes: 64 << 20,
            retention: Arc::new(|_| Retention::default()),
            retention_interval: Duration::from_secs(10),
            holds: Arc::new(()),
            release_interval: Duration::from_secs(1),
            checkpoint_records: 1_000_000,
            clock: Clock::System,
        }
    }
}

/// Says how far every durable reader of a topic has come. Asked on the log's writer thread, so it must be quick and must
/// not wait for the log; only about channels that keep something.
pub trait Holds: Send + Sync {
    /// Records of the topic up to here are needed by no durable session; where none waits for the topic, that is
    /// `Position(u64::MAX)`, whenever it is asked. `None`: no further than was answered last for this channel. A channel
    /// of events is asked about only when its retention wants to remove some, and `None` keeps them all.
    fn passed(&self, channel: ChannelId, topic: &str, asked_for: ChannelKind) -> Option<Position>;
}

/// Nobody waits for anything.
impl Holds for () {
    fn passed(&self, _: ChannelId, _: &str, _: ChannelKind) -> Option<Position> {
        Some(Position(u64::MAX))
    }
}

/// Gets the log's figures; called on the log's writer thread, so it must be quick.
pub trait LogObserver: Send + Sync + 'static {
    /// A commit is durable: how many records it stored, their bytes, and how long the write took.
    fn on_commit(&self, records: usize, bytes: usize, took: Duration) {
        let _ = (records, bytes, took);
    }
    /// A write failed, or appends were refused.
    fn on_error(&self, error: &LogError) {
        let _ = error;
    }
    /// Events of a topic were removed by retention or by command: those at these positions, ascending.
    fn on_trimmed(&self, topic: &str, positions: &[Position]) {
        let _ = (topic, positions);
    }
    /// Held records went, because no durable session needs them any more.
    fn on_released(&self, records: usize) {
        let _ = records;
    }
    /// A write failed in a way that leaves the disk in doubt: none is tried any more.
    fn on_poisoned(&self) {}
    /// Appends are refused because there is no room, or one was taken again after that.
    fn on_full(&self, is_full: bool) {
        let _ = is_full;
    }
    /// Appends are refused when the store takes more bytes than this. Called once.
    fn on_limit_bytes(&self, bytes: u64) {
        let _ = bytes;
    }
    /// The store takes this many bytes now.
    fn on_used_bytes(&self, bytes: u64) {
        let _ = bytes;
    }
}

impl LogObserver for () {}

/// Says which topics a filter matches.
pub trait TopicMatch {
    /// Whether the topic matches.
    fn matches(&self, topic: &str) -> bool;
    /// The one topic that matches, if the filter has no wildcard.
    fn exact(&self) -> Option<&str>;
}
