//! The log: commands in, one order, one durable commit per batch, outcomes and readers out. Knows no session.

mod command;
mod directory;
mod handle;
mod options;
mod reader;
mod resolve;
mod scan;
mod topics;

pub use crate::store::{CursorOwner, CursorRecord, Origin, StartRule};
pub use command::{Command, Committed, LogError, Outcome, Sink, Stored, Submission};
pub use handle::{Log, Recovered};
pub use options::{LogObserver, LogOptions, Retention, RetentionRule, TopicMatch};
pub use reader::{ChannelStats, Event, LogReader};
pub use resolve::StartAt;
pub use scan::Scan;
