//! Says how much of the log waits for a durable session, and where that must begin to be no more than it may.

use std::ops::Range;

use super::directory::Channel;
use super::index::View;
use super::reader::Shared;
use super::retention::first_at;
use super::scan::{COST_IN_LOG, COST_OF_CHANNEL, RECORDS_PER_SNAPSHOT};
use super::selection::{Kinds, Selection};
use super::{LogError, LogReader, TopicMatch};
use crate::store::{RecordHead, Snapshot, StoreError, Table, Visit, log_key, number};
use crate::types::{ChannelId, Position, Timestamp};

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many records.
    pub records: u64,
    /// About how many bytes: each channel's mean counts.
    pub bytes: u64,
    /// When the oldest was committed.
    pub oldest: Option<Timestamp>,
}

/// How much may wait; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BacklogLimits {
    /// At most this many records.
    pub max_records: Option<u64>,
    /// About at most this many bytes.
    pub max_bytes: Option<u64>,
    /// None from before this time.
    pub older_than: Option<Timestamp>,
}

impl BacklogLimits {
    /// Whether no more waits than may.
    pub fn allow(&self, backlog: &Backlog) -> bool {
        let too_old = |time| backlog.oldest.is_some_and(|oldest| oldest < time);
        self.allow_size(backlog) && !self.older_than.is_some_and(too_old)
    }

    fn allow_size(&self, backlog: &Backlog) -> bool {
        self.max_records.is_none_or(|most| backlog.records <= most)
            && self.max_bytes.is_none_or(|most| backlog.bytes <= most)
    }

    /// The part of a backlog that is too much.
    fn excess(&self, backlog: &Backlog) -> f64 {
        let part =
            |most: Option<u64>, of: u64| most.map_or(0.0, |most| of.saturating_sub(most) as f64 / of.max(1) as f64);
        part(self.max_records, backlog.records).max(part(self.max_bytes, backlog.bytes))
    }
}

impl LogReader {
    /// What waits behind `after`, events and held records, for a reader with this filter. Costs up to four microseconds
    /// for each channel that has something behind it.
    pub fn backlog(&self, filter: &dyn TopicMatch, after: Position) -> Result<Backlog, LogError> {
        Ok(self.count_behind(self.kept(filter).ids(), after)?)
    }

    /// The lowest position from `after` on behind which no more waits than may. If that is not `after` itself, it costs
    /// about a tenth of a microsecond for each record up to it, or a few dozen times what [`Self::backlog`] does,
    /// whichever is less.
    pub fn cut_point(
        &self,
        filter: &dyn TopicMatch,
        after: Position,
        most: &BacklogLimits,
    ) -> Result<Position, LogError> {
        let selection = self.kept(filter);
        let ids = selection.ids();
        let watermark = self.watermark();
        let mut low = after;
        let mut backlog = self.count_behind(ids, low)?;
        if let Some(time) = most.older_than
            && backlog.oldest.is_some_and(|oldest| oldest < time)
        {
            low = low.max(self.last_before(time, watermark)?);
            backlog = self.count_behind(ids, low)?;
        }
        if most.allow_size(&backlog) || low >= watermark {
            return Ok(low);
        }
        let span = watermark.0 - low.0;
        let by_log = most.excess(&backlog) * span as f64 * COST_IN_LOG as f64;
        let by_index = u64::from(span.ilog2() + 1) * ids.len() as u64 * COST_OF_CHANNEL;
        Ok(match by_log < by_index as f64 {
            true => self.cut_by_log(&selection, low..watermark, backlog, most)?,
            false => self.cut_by_index(ids, low..watermark, most)?,
        })
    }

    /// Goes through the log until little enough is left.
    fn cut_by_log(
        &self,
        selection: &Selection,
        range: Range<Position>,
        mut backlog: Backlog,
        most: &BacklogLimits,
    ) -> Result<Position, StoreError> {
        let mut here = range.start;
        let mut found = false;
        while !found && here < range.end {
            let mut rows = 0;
            let mut reached = range.end;
            self.shared.store.read(&mut |snapshot| {
                snapshot.upwards(Table::Log, &log_key(here.next()), &mut |key, value| {
                    let position = Position(number(Table::Log, key)?);
                    if position > range.end {
                        return Ok(Visit::Enough);
                    }
                    if selection.contains(RecordHead::decode(key, value)?.channel) {
                        backlog.records = backlog.records.saturating_sub(1);
                        backlog.bytes = backlog.bytes.saturating_sub(value.len() as u64);
                        found = most.allow_size(&backlog);
                    }
                    rows += 1;
                    if found || rows == RECORDS_PER_SNAPSHOT {
                        reached = position;
                        return Ok(Visit::Enough);
                    }
                    Ok(Visit::More)
                })
            })?;
            here = reached;
        }
        Ok(here)
    }

    /// Halves the range until one position is left.
    fn cut_by_index(
        &self,
        ids: &[ChannelId],
        range: Range<Position>,
        most: &BacklogLimits,
    ) -> Result<Position, StoreError> {
        let Range {
            start: mut low,
            end: mut high,
        } = range;
        while low.next() < high {
            let middle = Position(low.0 + (high.0 - low.0) / 2);
            match most.allow_size(&self.count_behind(ids, middle)?) {
                true => high = middle,
                false => low = middle,
            }
        }
        Ok(high)
    }

    fn kept(&self, filter: &dyn TopicMatch) -> Selection {
        let mut selection = Selection::new(filter, Kinds::All);
        selection.extend(filter, &self.shared);
        selection
    }

    /// The last position from before a time.
    fn last_before(&self, time: Timestamp, watermark: Position) -> Result<Position, StoreError> {
        let mut first = None;
        self.shared.store.read(&mut |snapshot| {
            first = first_at(snapshot, time)?;
            Ok(())
        })?;
        Ok(first.map_or(watermark, |first| Position(first.0 - 1)))
    }

    /// Counts channels a slice at a time, so that neither the directory nor a snapshot is held for long.
    fn count_behind(&self, ids: &[ChannelId], after: Position) -> Result<Backlog, StoreError> {
        let mut count = Count::default();
        for slice in ids.chunks(RECORDS_PER_SNAPSHOT) {
            count.add(&self.shared, slice, after)?;
        }
        Ok(count.backlog)
    }
}

#[derive(Default)]
struct Count {
    backlog: Backlog,
    /// Where the oldest is.
    first: Option<Position>,
}

/// A channel of which something may wait.
struct Candidate {
    view: View,
    kept: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, shared: &Shared, ids: &[ChannelId], after: Position) -> Result<(), StoreError> {
        let candidates: Vec<_> = {
            let directory = shared.directory();
            let channels = ids.iter().filter_map(|id| Some((*id, directory.channel(*id)?)));
            let behind = channels.filter(|(_, channel)| channel.count() > 0 && channel.last > after);
            behind.map(|(id, channel)| Candidate::new(id, channel)).collect()
        };
        if candidates.is_empty() {
            return Ok(());
        }
        shared.store.read(&mut |snapshot| {
            for candidate in &candidates {
                self.add_channel(candidate, snapshot, after)?;
            }
            Ok(())
        })
    }

    fn add_channel(
        &mut self,
        candidate: &Candidate,
        snapshot: &dyn Snapshot,
        after: Position,
    ) -> Result<(), StoreError> {
        let view = &candidate.view;
        let next = view.first_after(snapshot, after)?;
        let records = view.next.0.saturating_sub(next.0);
        let bytes = u128::from(candidate.bytes) * u128::from(records) / u128::from(candidate.kept);
        self.backlog.records += records;
        self.backlog.bytes += bytes as u64;
        let Some(position) = view.position(snapshot, next)? else {
            return Ok(());
        };
        if self.first.is_none_or(|first| position < first) {
            let key = log_key(position);
            // A record that is not there any more was removed since the view was taken.
            if let Some(value) = snapshot.value(Table::Log, &key)? {
                self.first = Some(position);
                self.backlog.oldest = Some(RecordHead::decode(&key, value)?.time);
            }
        }
        Ok(())
    }
}

impl Candidate {
    fn new(id: ChannelId, channel: &Channel) -> Self {
        Self {
            view: View::new(id, channel),
            kept: channel.count(),
            bytes: channel.bytes,
        }
    }
}
