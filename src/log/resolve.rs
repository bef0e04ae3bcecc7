//! Finds out once, at the instant of subscribing, where a replay starts.

use super::{Event, LogError, LogReader, Origin, TopicMatch};
use crate::types::{Position, Sequence, Timestamp};

/// Where a subscriber wants a replay to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// After the instant of subscribing.
    New,
    /// At the first event that is kept.
    First,
    /// At the n-th newest deliverable event of each channel.
    Last(u64),
    /// At this sequence of each channel.
    Sequence(Sequence),
    /// At the first event of this time or later.
    Time(Timestamp),
}

impl LogReader {
    /// Resolves a start at this instant. `deliverable` is asked for [`StartAt::Last`] only.
    pub fn resolve(
        &self,
        _filter: &dyn TopicMatch,
        _start: StartAt,
        _now: Timestamp,
        _deliverable: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<Origin, LogError> {
        unimplemented!()
    }

    /// How many events wait for a cursor that stands at `floor` and started at `origin`; `None` if counting is not cheap.
    pub fn pending(&self, _filter: &dyn TopicMatch, _origin: Option<&Origin>, _floor: Position) -> Option<u64> {
        unimplemented!()
    }
}
