//! What is told about a data folder: one value, which becomes text or JSON.

use serde::Serialize;

use crate::store::TableSize;

/// A data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The folder.
    pub path: String,
    /// The format of its store.
    pub format: u32,
    /// How long the store's file is.
    pub file_bytes: u64,
    /// Every record up to here is in the index.
    pub checkpoint: u64,
    /// The last position given out.
    pub last: u64,
    /// What each table takes.
    pub tables: Vec<TableReport>,
    /// What is stored and held, by topic.
    pub channels: Channels,
    /// Places of replay subscriptions and groups.
    pub cursors: Cursors,
    /// Durable sessions.
    pub sessions: Sessions,
    /// Retained messages.
    pub retained: Retained,
    /// Wills of durable sessions.
    pub wills: Wills,
    /// What could not be read.
    pub damage: Damage,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name on disk.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes its pages take.
    pub bytes: u64,
}

/// The channels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Channels {
    /// How many keep stored events.
    pub event: u64,
    /// How many keep messages held for durable sessions.
    pub held: u64,
    /// Those with the most bytes, largest first.
    pub largest: Vec<ChannelReport>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelReport {
    /// Its topic.
    pub topic: String,
    /// `event` or `held`.
    pub kind: &'static str,
    /// The first sequence that is kept.
    pub first: u64,
    /// The sequence of its next record.
    pub next: u64,
    /// How many records are kept.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The cursors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cursors {
    /// How many there are.
    pub count: u64,
    /// Those with the largest lag, largest first.
    pub furthest_behind: Vec<CursorReport>,
}

/// A cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CursorReport {
    /// `client` or `group`.
    pub owner: &'static str,
    /// The client identifier or the group's name.
    pub name: String,
    /// The filter it belongs to.
    pub filter: String,
    /// Everything up to this position is acknowledged or skipped.
    pub floor: u64,
    /// How many positions above it are acknowledged too.
    pub acked_above: usize,
    /// How many positions there are behind the floor, of whatever topic.
    pub lag: u64,
    /// When it was last used.
    pub used: String,
}

/// The durable sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// How many there are.
    pub count: u64,
    /// How many of them have no client at the moment, as far as the disk knows.
    pub absent: u64,
    /// Those with the largest lag, largest first.
    pub furthest_behind: Vec<SessionReport>,
}

/// A durable session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionReport {
    /// The client identifier.
    pub client: String,
    /// Session Expiry Interval, seconds; `None`: never.
    pub expiry_secs: Option<u32>,
    /// When it was made.
    pub created: String,
    /// When the client went away; `None`: it was connected when this was written.
    pub absent_since: Option<String>,
    /// How many subscriptions it has.
    pub subscriptions: u64,
    /// The filters of some of them.
    pub filters: Vec<String>,
    /// Everything up to this position is acknowledged or was not for it; `None`: it has no place in the log.
    pub floor: Option<u64>,
    /// How many positions there are behind the floor, of whatever topic.
    pub lag: u64,
    /// How many messages to it are in flight.
    pub in_flight: usize,
    /// How many of its QoS 2 messages wait for their release.
    pub received: u64,
}

/// The retained messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// How many there are.
    pub count: u64,
    /// Topics, properties and payloads together, bytes.
    pub bytes: u64,
    /// Those with the most bytes, largest first.
    pub largest: Vec<RetainedReport>,
}

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetainedReport {
    /// Its topic.
    pub topic: String,
    /// Topic, properties and payload together.
    pub bytes: u64,
    /// When the broker received it.
    pub received: String,
}

/// The wills.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wills {
    /// How many there are.
    pub count: u64,
    /// Some of them.
    pub first: Vec<WillReport>,
}

/// A will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WillReport {
    /// The client identifier; `None`: the session has no row.
    pub client: Option<String>,
    /// The topic it is published to.
    pub topic: String,
    /// Will Delay Interval, seconds.
    pub delay_secs: u32,
    /// Topic, properties and payload together, bytes.
    pub bytes: u64,
}

/// What could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// How much.
    pub count: u64,
    /// The first of it.
    pub first: Vec<String>,
}

impl From<TableSize> for TableReport {
    fn from(size: TableSize) -> Self {
        Self {
            name: size.table.name(),
            rows: size.rows,
            bytes: size.bytes,
        }
    }
}
