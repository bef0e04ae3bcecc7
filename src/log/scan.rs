//! Reads the records that match a filter in commit order, a bounded batch at a time.

use std::sync::Arc;

use super::index::View;
use super::merge::{Merge, Place};
use super::reader::{Raw, Shared};
use super::selection::{Kinds, Selection};
use super::{Event, LogError, LogReader, TopicMatch};
use crate::store::{RecordHead, Snapshot, StoreError, Table, Visit, log_key, number};
use crate::types::{ChannelId, Position, Sequence};

/// A place in the log and the filter by which events are read from there on. No event is missed and none comes twice;
/// those that have been removed are left out.
pub struct Scan {
    filter: Arc<dyn TopicMatch + Send + Sync>,
    selection: Selection,
    position: Position,
    way: Way,
}

/// How events are found up to a position that was durable when the way was chosen.
enum Way {
    /// Not chosen, or at its end.
    None,
    /// Through the log, record by record.
    Log(Position),
    /// Through the index, channel by channel.
    Index(Box<Merge>),
}

/// Who takes the events of a scan, while a snapshot is open.
pub trait Take {
    /// Whether no more are wanted now.
    fn is_full(&self) -> bool;
    /// Whether an event is wanted, by its place.
    fn admits(&mut self, position: Position, channel: ChannelId, sequence: Sequence) -> bool;
    /// Takes an event.
    fn take(&mut self, event: &Raw<'_>);
}

/// Copies the events that are let in.
struct Collector<'a, A> {
    admit: A,
    out: &'a mut Vec<Event>,
}

impl<A: FnMut(Position, ChannelId, Sequence) -> bool> Take for Collector<'_, A> {
    fn is_full(&self) -> bool {
        false
    }

    fn admits(&mut self, position: Position, channel: ChannelId, sequence: Sequence) -> bool {
        (self.admit)(position, channel, sequence)
    }

    fn take(&mut self, event: &Raw<'_>) {
        self.out.push(event.event());
    }
}

/// What a batch is given to, and its bounds.
struct Batch<'a> {
    shared: &'a Shared,
    taker: &'a mut dyn Take,
    looked_at: usize,
    records: usize,
    bytes: usize,
}

impl Scan {
    pub(crate) fn new(filter: Arc<dyn TopicMatch + Send + Sync>, kinds: Kinds, after: Position) -> Self {
        Self {
            selection: Selection::new(&*filter, kinds),
            filter,
            position: after,
            way: Way::None,
        }
    }

    /// Everything up to here was looked at.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes on behind `after` instead.
    pub fn seek(&mut self, after: Position) {
        self.position = after;
        self.way = Way::None;
    }

    /// Appends the next events that match and that `admit` lets in to `out`: at most `max_records`, about `max_bytes`,
    /// and what one look at 1,000 records or 1 MiB finds. So it may append none though more is waiting. Returns the
    /// position up to which everything was looked at: the watermark if nothing is waiting. A bound of 0 reads nothing.
    pub fn next_batch(
        &mut self,
        reader: &LogReader,
        admit: &mut dyn FnMut(Position, ChannelId, Sequence) -> bool,
        max_records: usize,
        max_bytes: usize,
        out: &mut Vec<Event>,
    ) -> Result<Position, LogError> {
        let mut collector = Collector { admit, out };
        self.give_batch(reader, &mut collector, max_records, max_bytes)
    }

    /// As [`Self::next_batch`], but `taker` is given the events as they lie in the store.
    pub fn give_batch(
        &mut self,
        reader: &LogReader,
        taker: &mut dyn Take,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Position, LogError> {
        let shared = &*reader.shared;
        let watermark = shared.watermark();
        if self.position >= watermark || max_records == 0 || max_bytes == 0 {
            return Ok(self.position);
        }
        let mut batch = Batch {
            shared,
            taker,
            looked_at: 0,
            records: max_records.min(RECORDS_PER_SNAPSHOT),
            bytes: max_bytes.min(BYTES_PER_SNAPSHOT),
        };
        let result = self.read(&mut batch, watermark);
        if result.is_err() {
            self.way = Way::None;
        }
        result?;
        Ok(self.position)
    }

    fn read(&mut self, batch: &mut Batch<'_>, watermark: Position) -> Result<(), StoreError> {
        if matches!(self.way, Way::None) {
            self.selection.extend(&*self.filter, batch.shared);
            self.way = self.choose(batch.shared, watermark)?;
        }
        let Self {
            selection,
            position,
            way,
            ..
        } = self;
        let until = match way {
            Way::None => return Ok(()),
            Way::Log(until) => {
                let until = *until;
                batch
                    .shared
                    .store
                    .read(&mut |snapshot| batch.read_log(snapshot, selection, position, until))?;
                until
            }
            Way::Index(merge) => {
                batch
                    .shared
                    .store
                    .read(&mut |snapshot| batch.read_index(snapshot, merge, position))?;
                merge.until()
            }
        };
        if *position >= until {
            *way = Way::None;
        }
        Ok(())
    }

    /// Chooses the cheaper way up to the watermark.
    fn choose(&self, shared: &Shared, watermark: Position) -> Result<Way, StoreError> {
        let span = watermark.0 - self.position.0;
        let ids = self.selection.ids();
        if ids.len() > MOST_MERGED || ids.len() as u64 * COST_OF_CHANNEL > span * COST_IN_LOG {
            return Ok(Way::Log(watermark));
        }
        let views: Vec<_> = {
            let directory = shared.directory();
            let channels = ids.iter().filter_map(|id| Some((*id, directory.channel(*id)?)));
            channels.map(|(id, channel)| View::new(id, channel)).collect()
        };
        let mut way = Way::Log(watermark);
        shared.store.read(&mut |snapshot| {
            let mut channels = Vec::with_capacity(views.len());
            let mut events = 0;
            for view in &views {
                let first = view.first_after(snapshot, self.position)?;
                events += view.next.0.saturating_sub(first.0);
                channels.push((view.clone(), first));
            }
            let by_index = events * COST_IN_INDEX + ids.len() as u64 * COST_OF_CHANNEL;
            if by_index <= span * COST_IN_LOG {
                way = Way::Index(Box::new(Merge::new(channels, watermark, snapshot)?));
            }
            Ok(())
        })?;
        Ok(way)
    }
}

impl Batch<'_> {
    fn is_full(&self) -> bool {
        self.looked_at >= RECORDS_PER_SNAPSHOT || self.records == 0 || self.bytes == 0 || self.taker.is_full()
    }

    fn read_log(
        &mut self,
        snapshot: &dyn Snapshot,
        selection: &Selection,
        position: &mut Position,
        until: Position,
    ) -> Result<(), StoreError> {
        let mut cut_short = false;
        snapshot.upwards(Table::Log, &log_key(position.next()), &mut |key, value| {
            let here = Position(number(Table::Log, key)?);
            if here > until {
                return Ok(Visit::Enough);
            }
            let head = RecordHead::decode(key, value)?;
            if selection.contains(head.channel) {
                let place = Place {
                    position: here,
                    channel: head.channel,
                    sequence: head.sequence,
                };
                self.take(place, key, value)?;
            }
            self.looked_at += 1;
            *position = here;
            cut_short = self.is_full();
            Ok(if cut_short { Visit::Enough } else { Visit::More })
        })?;
        if !cut_short {
            *position = until;
        }
        Ok(())
    }

    fn read_index(
        &mut self,
        snapshot: &dyn Snapshot,
        merge: &mut Merge,
        position: &mut Position,
    ) -> Result<(), StoreError> {
        while !self.is_full() {
            let Some(place) = merge.next(snapshot)? else {
                *position = merge.until();
                return Ok(());
            };
            let key = log_key(place.position);
            // A record that is not there any more has been removed.
            if let Some(value) = snapshot.value(Table::Log, &key)? {
                self.take(place, &key, value)?;
            }
            self.looked_at += 1;
            *position = place.position;
        }
        Ok(())
    }

    fn take(&mut self, place: Place, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.taker.admits(place.position, place.channel, place.sequence) {
            self.taker.take(&Raw::of_place(self.shared, place, key, value)?);
            self.records -= 1;
            self.bytes = self.bytes.saturating_sub(value.len());
        }
        Ok(())
    }
}

/// The bounds of what is done within one snapshot, which stops the reuse of space while it is open.
pub(crate) const RECORDS_PER_SNAPSHOT: usize = 1_000;
pub(crate) const BYTES_PER_SNAPSHOT: usize = 1 << 20;
/// Costs in tenths of a microsecond, as measured: a record read in passing, one found through the index, and a channel
/// whose place in the index has to be found.
pub(crate) const COST_IN_LOG: u64 = 1;
const COST_IN_INDEX: u64 = 16;
pub(crate) const COST_OF_CHANNEL: u64 = 40;
/// A merge keeps up to about 2 KB for each channel.
const MOST_MERGED: usize = 1_024;
