//! Tables of rows with one atomic, durable write, and how rows are encoded. Knows neither order nor time.

mod bytes;
mod changes;
mod copy;
mod cursor;
mod data_file;
mod environment;
mod error;
mod failing;
mod flusher;
mod folder;
mod keys;
mod lmdb;
mod memory;
mod message;
mod page;
mod place;
mod record;
mod retained;
mod rows;
mod run;
mod session;
mod subscription;
mod trees;
mod view;
mod will;

pub use changes::{Change, Changes};
pub use copy::{copied_bytes, copy_store};
pub use cursor::{CursorOwner, CursorRecord, Origin, StartRule};
pub use error::StoreError;
pub use failing::{FailingStore, Fault};
pub use keys::{
    channel_key, cursor_key, index_key, log_key, number, parse_index_key, received_key, session_key, subscription_key,
    time_key,
};
pub(crate) use keys::{parse_received_key, parse_session_key};
pub use lmdb::{LmdbOptions, LmdbStore, Syncing};
pub use memory::MemoryStore;
pub use place::{InFlightFrom, InFlightRecord, PlaceRecord};
pub use record::{Record, RecordHead};
pub use retained::{decode_retained, delete_retained, put_retained, retained_key};
pub use rows::{ChannelKind, ChannelRow, FORMAT, Marks};
pub use run::{RUN_POSITIONS, Run};
pub use session::SessionRecord;
pub use subscription::{SubscriptionKind, SubscriptionRecord};
pub use view::{StoreView, TableSize};
pub use will::WillRecord;

/// A table of the store. Keys are ordered as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Name -> value: the format and how far the derived tables reach.
    Meta,
    /// Position -> record: the truth.
    Log,
    /// Channel, first sequence -> run of positions; derived from the log.
    Index,
    /// Channel -> its topic and counters.
    Channels,
    /// Commit time -> first position of that time.
    Times,
    /// Cursor -> where it stands.
    Cursors,
    /// Cursor -> where it started.
    Origins,
    /// Session -> whose it is and how long it lives.
    Sessions,
    /// Session, number -> a subscription of the session.
    Subscriptions,
    /// Session -> how far it has come and what is in flight to it.
    Places,
    /// Session, packet identifier -> nothing: a QoS 2 message that came and was not released yet.
    Received,
    /// Topic -> its retained message.
    Retained,
    /// Session -> its will.
    Wills,
}

impl Table {
    /// Every table, in the order of their discriminants.
    pub const ALL: [Self; 13] = [
        Self::Meta,
        Self::Log,
        Self::Index,
        Self::Channels,
        Self::Times,
        Self::Cursors,
        Self::Origins,
        Self::Sessions,
        Self::Subscriptions,
        Self::Places,
        Self::Received,
        Self::Retained,
        Self::Wills,
    ];

    /// The table's name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Log => "log",
            Self::Index => "index",
            Self::Channels => "channels",
            Self::Times => "times",
            Self::Cursors => "cursors",
            Self::Origins => "origins",
            Self::Sessions => "sessions",
            Self::Subscriptions => "subscriptions",
            Self::Places => "places",
            Self::Received => "received",
            Self::Retained => "retained",
            Self::Wills => "wills",
        }
    }
}

/// What a visitor of rows wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// The next row.
    More,
    /// No more rows.
    Enough,
}

/// What a visitor gets: key and value, borrowed for the call.
pub type Visitor<'v> = dyn FnMut(&[u8], &[u8]) -> Result<Visit, StoreError> + 'v;

/// All tables as they stood at one instant.
pub trait Snapshot {
    /// The value of a key.
    fn value(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>, StoreError>;
    /// Visits rows upwards, beginning at `from`.
    fn upwards(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StoreError>;
    /// Visits rows downwards, beginning at `from` (itself included).
    fn downwards(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StoreError>;
}

/// What reads from a snapshot.
pub type Reading<'r> = dyn FnMut(&dyn Snapshot) -> Result<(), StoreError> + 'r;

/// A store of rows. Writes come from one thread; reads from any.
pub trait Store: Send + Sync + 'static {
    /// Makes all changes or none. When it returns `Ok`, they are as safe as the store makes them; when it returns an
    /// error, none is there.
    fn write(&self, changes: &Changes) -> Result<(), StoreError>;
    /// Reads from one instant. Keep it short: an open snapshot stops the reuse of space. At most about 1,000 rows or 1 MiB.
    fn read(&self, reading: &mut Reading<'_>) -> Result<(), StoreError>;
    /// The bytes in use; less after rows were deleted.
    fn used_bytes(&self) -> Result<u64, StoreError>;
    /// The bytes beyond which writes fail however little they write.
    fn capacity_bytes(&self) -> u64;
    /// Its file and the room on the disk of that; `None` if it has none.
    fn disk(&self) -> Result<Option<Disk>, StoreError> {
        Ok(None)
    }
}

/// The file of a store, and the disk it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The size of the file, with pages that are free in it.
    pub file_bytes: u64,
    /// What this process may still write to the disk.
    pub free_bytes: u64,
}
