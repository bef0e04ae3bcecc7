//! Reading places: where one starts, how far it is acknowledged, who of a group reads on. Knows no disk, no connection.

mod floor;
mod group;
mod moment;
mod options;
mod start;
mod strategy;

pub use floor::AckFloor;
pub use group::{GroupState, MemberId};
pub use options::{OptionError, ReplayOptions, keep_cursor};
pub use start::{Start, StartError};
pub use strategy::{Candidate, SharedCursor, Strategy, choose_live};
