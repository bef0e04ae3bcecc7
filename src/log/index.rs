//! Finds the positions of a channel's events: older ones in the index, the newest in the channel's tail.

use super::directory::Channel;
use crate::store::{Run, Snapshot, StoreError, Table, Visit, channel_key, index_key};
use crate::types::{ChannelId, Position, Sequence};

/// What a reader needs of a channel, as of one instant. It must be taken before the snapshot it is used with: then the
/// snapshot has every run that the view says is in the index, or the run's events have been removed since.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) id: ChannelId,
    pub(crate) first_kept: Sequence,
    pub(crate) next: Sequence,
    tail_base: Sequence,
    tail: Vec<Position>,
}

impl View {
    pub(crate) fn new(id: ChannelId, channel: &Channel) -> Self {
        Self {
            id,
            first_kept: channel.first_kept,
            next: channel.next,
            tail_base: channel.tail_base,
            tail: channel.tail.iter().copied().collect(),
        }
    }

    /// Appends the positions of some events from sequence `from` on and returns the sequence of the first of them, which
    /// is higher than `from` if that is no longer kept. `None` if there is none.
    pub(crate) fn positions(
        &self,
        snapshot: &dyn Snapshot,
        from: Sequence,
        out: &mut Vec<Position>,
    ) -> Result<Option<Sequence>, StoreError> {
        let from = from.max(self.first_kept);
        if from < self.tail_base
            && let Some(run) = self.run_from(snapshot, from)?
        {
            let skip = from.0.saturating_sub(run.first.0);
            out.extend_from_slice(&run.positions[skip as usize..]);
            return Ok(Some(from.max(run.first)));
        }
        let from = from.max(self.tail_base);
        if from >= self.next {
            return Ok(None);
        }
        out.extend_from_slice(&self.tail[(from.0 - self.tail_base.0) as usize..]);
        Ok(Some(from))
    }

    /// The position of the event of sequence `from`, or of the first one behind it that is kept.
    pub(crate) fn position(&self, snapshot: &dyn Snapshot, from: Sequence) -> Result<Option<Position>, StoreError> {
        if from >= self.tail_base {
            return Ok(self.tail.get((from.0 - self.tail_base.0) as usize).copied());
        }
        let mut positions = Vec::new();
        self.positions(snapshot, from, &mut positions)?;
        Ok(positions.first().copied())
    }

    /// The first sequence whose event lies behind `position`; `next` if there is none.
    pub(crate) fn first_after(&self, snapshot: &dyn Snapshot, position: Position) -> Result<Sequence, StoreError> {
        if self.tail.first().is_none_or(|first| *first > position) {
            let (mut low, mut high) = (self.first_kept, self.tail_base);
            while low < high {
                let middle = Sequence(low.0 + (high.0 - low.0) / 2);
                let Some(run) = self.run_from(snapshot, middle)? else {
                    // Removed since the view was taken, and with it all before it.
                    low = high;
                    break;
                };
                let before = run.positions.partition_point(|at| *at <= position) as u64;
                if run.first.0 + before == run.end().0 {
                    low = run.end().max(low);
                } else if before == 0 && run.first <= middle {
                    high = run.first;
                } else {
                    return Ok(Sequence(run.first.0 + before).max(low));
                }
            }
            if low < self.tail_base {
                return Ok(low);
            }
        }
        let before = self.tail.partition_point(|at| *at <= position) as u64;
        Ok(Sequence(self.tail_base.0 + before).max(self.first_kept))
    }

    /// The run that holds a sequence or, if that is gone, the first one behind it.
    fn run_from(&self, snapshot: &dyn Snapshot, sequence: Sequence) -> Result<Option<Run>, StoreError> {
        let key = index_key(self.id, sequence);
        let mut found = None;
        let mut keep = |key: &[u8], value: &[u8]| {
            found = match key.starts_with(&channel_key(self.id)) {
                true => Some(Run::decode(key, value)?),
                false => None,
            };
            Ok(Visit::Enough)
        };
        snapshot.downwards(Table::Index, &key, &mut keep)?;
        if found.as_ref().is_some_and(|run| run.end() > sequence) {
            return Ok(found);
        }
        found = None;
        snapshot.upwards(Table::Index, &key, &mut |key, value| {
            if key.starts_with(&channel_key(self.id)) {
                found = Some(Run::decode(key, value)?);
            }
            Ok(Visit::Enough)
        })?;
        Ok(found)
    }
}
