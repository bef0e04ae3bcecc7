//! The log: commands in, one order, one durable commit per batch, outcomes and readers out. Knows no session.

mod batch;
mod command;
mod directory;
mod handle;
mod index;
mod merge;
mod options;
mod order;
mod reader;
mod recover;
mod resolve;
mod retention;
mod scan;
mod selection;
mod topics;
mod trim;
mod trimmer;
mod upkeep;
mod writer;

pub use crate::store::{CursorOwner, CursorRecord, Origin, StartRule};
pub use command::{Command, Committed, LogError, Outcome, Sink, Stored, Submission};
pub use handle::{Log, Recovered};
pub use options::{LogObserver, LogOptions, Retention, RetentionRule, TopicMatch};
pub use reader::{ChannelStats, Event, LogReader};
pub use resolve::StartAt;
pub use scan::Scan;

#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod speed_tests;
#[cfg(test)]
mod testing;
