//! The log: commands in, one order, one durable commit per batch, outcomes and readers out. Knows no session.

mod backlog;
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
mod recover_held;
mod recover_sessions;
mod release;
mod resolve;
mod retention;
mod route;
mod rows;
mod scan;
mod selection;
mod topics;
mod trim;
mod trimmer;
mod upkeep;
mod walk;
mod writer;

pub use crate::store::{ChannelKind, CursorOwner, CursorRecord, Origin, StartRule};
pub use crate::store::{
    InFlightFrom, InFlightRecord, PlaceRecord, SessionRecord, SubscriptionKind, SubscriptionRecord, WillRecord,
};
pub use backlog::{Backlog, BacklogLimits};
pub use command::{Command, Committed, Keep, LogError, Outcome, Publish, Sink, Stored, Submission};
pub use handle::{Log, Recovered, RecoveredSession};
pub use options::{Holds, LogObserver, LogOptions, Retention, RetentionRule, TopicMatch};
pub use reader::{ChannelStats, Event, LogReader, Raw};
pub use resolve::StartAt;
pub use scan::{Scan, Take};

#[cfg(test)]
mod held_tests;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_sessions;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod speed_tests;
#[cfg(test)]
mod testing;
