//! The event store's options: where and how safely it is kept, what is stored, and how many cursors may stand on it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::filter::check_filter;
use super::reader::{Reader, Section};
use super::value::{self, Given, Words};

/// The event store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Store {
    /// The data folder.
    pub path: PathBuf,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// How often [`Durability::Async`] forces what was committed to disk; from 10 ms to a minute.
    pub async_flush: Duration,
    /// How large the store may grow, in bytes; `None`: as large as the disk.
    pub max_bytes: Option<u64>,
    /// Whether a publisher may store a message that no rule covers, by the `store` property.
    pub allow_publisher_store: bool,
    /// For how long an event is kept where no rule says otherwise, and where a rule leaves it open.
    pub default_retention: Retention,
    /// What is stored, and for how long; the first rule that matches a topic counts.
    pub rules: Vec<StoreRule>,
    /// When a cursor that nobody uses is removed; `None`: never.
    pub cursor_expiry: Option<Duration>,
    /// How many cursors there may be; `None`: no limit.
    pub max_cursors: Option<u64>,
    /// How many cursors one client identifier may have; `None`: no limit.
    pub max_cursors_per_client: Option<u64>,
    /// How often retention is applied.
    pub retention_interval: Duration,
    /// How long an acknowledgement may wait before its cursor is on disk; at most a second.
    pub cursor_flush: Duration,
}

/// What an acknowledgement of a stored message promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It is on disk: it survives the end of the broker and of the machine.
    #[default]
    Sync,
    /// The operating system has it: it survives the end of the broker, and is on disk a little later.
    Async,
    /// The broker has it in memory: it survives nothing.
    Memory,
}

/// Limits of one channel; what lies beyond any of them is trimmed, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// The age at which an event goes; `None`: no limit.
    pub max_age: Option<Duration>,
    /// How many events a channel keeps; `None`: no limit.
    pub max_count: Option<u64>,
    /// How many bytes a channel keeps; `None`: no limit.
    pub max_bytes: Option<u64>,
}

/// One `[[store.rules]]`: which topics are stored, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreRule {
    /// Filters of the topics that are stored.
    pub filters: Vec<String>,
    /// Filters of topics that this rule leaves alone.
    pub exclude: Vec<String>,
    /// The rule's retention; what it left open is already taken from the default.
    pub retention: Retention,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: PathBuf::from("./data"),
            durability: Durability::default(),
            async_flush: Duration::from_millis(100),
            max_bytes: Some(64 << 30),
            allow_publisher_store: true,
            default_retention: Retention {
                max_age: Some(WEEK),
                ..Retention::default()
            },
            rules: Vec::new(),
            cursor_expiry: Some(WEEK),
            max_cursors: Some(1_000_000),
            max_cursors_per_client: Some(1_000),
            retention_interval: Duration::from_secs(1),
            cursor_flush: Duration::from_millis(200),
        }
    }
}

impl Store {
    /// A rule that stores what matches `filter`, with the default retention.
    pub fn rule_for(&self, filter: String) -> StoreRule {
        StoreRule {
            filters: vec![filter],
            exclude: Vec::new(),
            retention: self.default_retention,
        }
    }
}

impl Section for Store {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("path", &mut self.path, value::path);
        reader.option("durability", &mut self.durability, value::word);
        reader.option(
            "async_flush",
            &mut self.async_flush,
            value::duration(10 * MILLI..=60 * SECOND),
        );
        reader.option(
            "max_bytes",
            &mut self.max_bytes,
            value::limit(value::size(SMALLEST_STORE..=LARGEST_STORE)),
        );
        reader.option("allow_publisher_store", &mut self.allow_publisher_store, value::boolean);
        reader.section("default_retention", &mut self.default_retention);
        reader.option(
            "cursor_expiry",
            &mut self.cursor_expiry,
            value::limit(value::duration(SECOND..=FOREVER)),
        );
        reader.option(
            "max_cursors",
            &mut self.max_cursors,
            value::limit(value::integer(1..=u64::MAX)),
        );
        let per_client = &mut self.max_cursors_per_client;
        reader.option(
            "max_cursors_per_client",
            per_client,
            value::limit(value::integer(1..=u64::MAX)),
        );
        reader.option(
            "retention_interval",
            &mut self.retention_interval,
            value::duration(10 * MILLI..=3_600 * SECOND),
        );
        reader.option("cursor_flush", &mut self.cursor_flush, value::duration(MILLI..=SECOND));
        let retention = self.default_retention;
        reader.tables("rules", &mut self.rules, || StoreRule {
            retention,
            ..StoreRule::default()
        });
    }
}

impl Words for Durability {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sync", Self::Sync), ("async", Self::Async), ("memory", Self::Memory)];
}

impl Durability {
    /// The word for it in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Memory => "memory",
        }
    }
}

impl Section for Retention {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option(
            "max_age",
            &mut self.max_age,
            value::limit(value::duration(SECOND..=FOREVER)),
        );
        reader.option(
            "max_count",
            &mut self.max_count,
            value::limit(value::integer(1..=u64::MAX)),
        );
        reader.option(
            "max_bytes",
            &mut self.max_bytes,
            value::limit(value::size(1..=u64::MAX)),
        );
    }
}

impl Section for StoreRule {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.require("filters");
        reader.option("filters", &mut self.filters, filters);
        reader.option("exclude", &mut self.exclude, value::list(filter));
        self.retention.read(reader);
    }
}

fn filters(given: &Given<'_>) -> Result<Vec<String>, String> {
    let filters = value::list(filter)(given)?;
    if filters.is_empty() {
        Err("expected at least one topic filter, found none".to_owned())
    } else {
        Ok(filters)
    }
}

fn filter(given: &Given<'_>) -> Result<String, String> {
    let text = given
        .text()
        .ok_or_else(|| given.instead_of("a topic filter such as \"orders/#\""))?;
    check_filter(text)?;
    Ok(text.to_owned())
}

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A thousand years; what is meant to last longer is written 0.
const FOREVER: Duration = Duration::from_secs(365_250 * 24 * 3_600);
const SMALLEST_STORE: u64 = 1 << 20;
/// The address space that the store reserves.
const LARGEST_STORE: u64 = 1 << 40;
