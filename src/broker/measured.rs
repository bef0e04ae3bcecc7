//! What waited for a session when it was last counted. Counts nothing itself.

use crate::log::Backlog;

/// All that was ever written to the log, or more: positions, and bytes of records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub records: u64,
    pub bytes: u64,
}

/// What waited for a session when it was counted last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    /// What had been written then.
    pub total: Written,
    /// What waited.
    pub found: Backlog,
}
