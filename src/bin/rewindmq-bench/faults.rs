//! What went wrong with messages, counted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts of messages that did not arrive as promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Never arrived or was never acknowledged.
    pub lost: u64,
    /// Arrived again.
    pub duplicated: u64,
    /// Arrived before an earlier one, or with a number that does not follow.
    pub out_of_order: u64,
    /// Is not what was published.
    pub altered: u64,
}

impl Faults {
    /// Whether every message arrived as promised.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lost, {} duplicated, {} out of order, {} altered",
            self.lost, self.duplicated, self.out_of_order, self.altered
        )
    }
}
