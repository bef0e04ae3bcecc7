//! Finds out once, at the instant of subscribing, where a replay starts and how much waits.

use super::index::View;
use super::merge::Place;
use super::reader::event;
use super::retention::first_at;
use super::scan::{BYTES_PER_SNAPSHOT, RECORDS_PER_SNAPSHOT};
use super::selection::{Kinds, Selection};
use super::{Event, LogError, LogReader, Origin, StartRule, TopicMatch};
use crate::store::{Snapshot, StoreError, Table, log_key};
use crate::types::{ChannelId, Position, Sequence, Timestamp};

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
    /// Resolves a start at this instant. `deliverable` is asked for [`StartAt::Last`] only, newest first.
    pub fn resolve(
        &self,
        filter: &dyn TopicMatch,
        start: StartAt,
        now: Timestamp,
        deliverable: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<Origin, LogError> {
        let taken_at = self.watermark();
        let everything_from = |first| Origin {
            taken_at,
            first,
            rule: StartRule::Everything,
        };
        Ok(match start {
            StartAt::New => everything_from(taken_at.next()),
            StartAt::First => everything_from(Position(1)),
            // A time in the future behaves like `new`.
            StartAt::Time(time) if time > now => everything_from(taken_at.next()),
            StartAt::Time(time) => {
                let first = self.with_snapshot(|snapshot| first_at(snapshot, time))?;
                everything_from(first.map_or(taken_at.next(), |first| first.min(taken_at.next())))
            }
            StartAt::Sequence(sequence) => Origin {
                taken_at,
                first: self.first_since(filter, sequence, taken_at)?,
                rule: StartRule::SinceSequence(sequence),
            },
            StartAt::Last(count) => self.resolve_last(filter, count, taken_at, deliverable)?,
        })
    }

    /// How many events wait for a cursor that stands at `floor` and started at `origin`; `None` if counting is not cheap.
    /// Events that the subscription would skip are counted too.
    pub fn pending(&self, filter: &dyn TopicMatch, origin: Option<&Origin>, floor: Position) -> Option<u64> {
        self.pending_within(filter, origin, floor, MOST_COUNTED)
    }

    /// The same where up to `most_channels` are looked at one by one.
    pub fn pending_within(
        &self,
        filter: &dyn TopicMatch,
        origin: Option<&Origin>,
        floor: Position,
        most_channels: usize,
    ) -> Option<u64> {
        if filter.exact().is_none() && self.channel_count() > MOST_ASKED.max(most_channels) {
            return None;
        }
        let ids = self.select(filter);
        if ids.len() > most_channels {
            return None;
        }
        let views = self.views(&ids);
        let count = self.with_snapshot(|snapshot| {
            let mut count = 0;
            for view in &views {
                let first = first_pending(view, snapshot, origin, floor)?;
                count += view.next.0.saturating_sub(first.0);
            }
            Ok(count)
        });
        count.ok()
    }

    fn select(&self, filter: &dyn TopicMatch) -> Vec<ChannelId> {
        let mut selection = Selection::new(filter, Kinds::Events);
        selection.extend(filter, &self.shared);
        selection.ids().to_vec()
    }

    fn views(&self, ids: &[ChannelId]) -> Vec<View> {
        let directory = self.shared.directory();
        let channels = ids.iter().filter_map(|id| Some((*id, directory.channel(*id)?)));
        channels.map(|(id, channel)| View::new(id, channel)).collect()
    }

    fn with_snapshot<R>(&self, read: impl Fn(&dyn Snapshot) -> Result<R, StoreError>) -> Result<R, StoreError> {
        let mut result = None;
        self.shared.store.read(&mut |snapshot| {
            result = Some(read(snapshot)?);
            Ok(())
        })?;
        Ok(result.expect("a store calls back before it returns"))
    }

    /// A position before which no channel has the sequence: exact if there are few channels.
    fn first_since(
        &self,
        filter: &dyn TopicMatch,
        sequence: Sequence,
        taken_at: Position,
    ) -> Result<Position, StoreError> {
        let ids = self.select(filter);
        if ids.len() > MOST_COUNTED {
            return Ok(Position(1));
        }
        let views = self.views(&ids);
        self.with_snapshot(|snapshot| {
            let mut first = taken_at.next();
            for view in &views {
                let mut positions = Vec::new();
                view.positions(snapshot, sequence, &mut positions)?;
                first = positions.first().map_or(first, |position| first.min(*position));
            }
            Ok(first)
        })
    }

    fn resolve_last(
        &self,
        filter: &dyn TopicMatch,
        count: u64,
        taken_at: Position,
        deliverable: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<Origin, StoreError> {
        let mut starts = Vec::new();
        let mut first = taken_at.next();
        for id in self.select(filter) {
            if let Some(start) = self.nth_newest(id, count, taken_at, deliverable)? {
                starts.push((id, start));
                first = first.min(start);
            }
        }
        Ok(Origin {
            taken_at,
            first,
            rule: StartRule::PerChannel(starts),
        })
    }

    /// The position of the n-th newest deliverable event of a channel, or of the oldest if there are fewer.
    fn nth_newest(
        &self,
        channel: ChannelId,
        count: u64,
        taken_at: Position,
        deliverable: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        let mut found = None;
        let mut left = count;
        let Some(view) = self.views(&[channel]).pop() else {
            return Ok(None);
        };
        let mut end = view.next;
        let mut step = count.clamp(1, RECORDS_PER_SNAPSHOT as u64);
        while left > 0 && end > view.first_kept {
            let start = Sequence(end.0.saturating_sub(step)).max(view.first_kept);
            let mut events = Vec::new();
            self.shared.store.read(&mut |snapshot| {
                events.clear();
                self.newest_first(&view, start, end, snapshot, &mut events)
            })?;
            // Reading stops early when events are big.
            end = events.last().map_or(start, |event| event.sequence);
            for event in events {
                if left > 0 && event.position <= taken_at && deliverable(&event) {
                    found = Some(event.position);
                    left -= 1;
                }
            }
            step = (step * 2).min(RECORDS_PER_SNAPSHOT as u64);
        }
        Ok(found)
    }

    /// Reads the events of some sequences, newest first, about 1 MiB of them.
    fn newest_first(
        &self,
        view: &View,
        start: Sequence,
        end: Sequence,
        snapshot: &dyn Snapshot,
        out: &mut Vec<Event>,
    ) -> Result<(), StoreError> {
        let mut places = Vec::new();
        let mut next = start;
        while next < end {
            let mut positions = Vec::new();
            let Some(first) = view.positions(snapshot, next, &mut positions)? else {
                break;
            };
            for (sequence, position) in (first.0..end.0).map(Sequence).zip(&positions) {
                places.push(Place {
                    position: *position,
                    channel: view.id,
                    sequence,
                });
            }
            next = Sequence(first.0 + positions.len() as u64);
        }
        let mut bytes = 0;
        for place in places.into_iter().rev() {
            let key = log_key(place.position);
            if let Some(value) = snapshot.value(Table::Log, &key)? {
                bytes += value.len();
                out.push(event(&self.shared, place, &key, value)?);
            }
            if bytes >= BYTES_PER_SNAPSHOT {
                break;
            }
        }
        Ok(())
    }
}

/// The first sequence of a channel that waits.
fn first_pending(
    view: &View,
    snapshot: &dyn Snapshot,
    origin: Option<&Origin>,
    floor: Position,
) -> Result<Sequence, StoreError> {
    let Some(origin) = origin else {
        return view.first_after(snapshot, floor);
    };
    let floor = floor.max(Position(origin.first.0.saturating_sub(1)));
    let first = view.first_after(snapshot, floor)?;
    // Up to the instant of subscribing the rule counts.
    let later = view.first_after(snapshot, floor.max(origin.taken_at))?;
    Ok(match &origin.rule {
        StartRule::Everything => first,
        StartRule::SinceSequence(sequence) => first.max(*sequence).min(later),
        StartRule::PerChannel(starts) => match starts.binary_search_by_key(&view.id, |(id, _)| *id) {
            Ok(at) => first.max(view.first_after(snapshot, Position(starts[at].1.0.saturating_sub(1)))?),
            Err(_) => later,
        },
    })
}

/// The most channels that are counted one by one.
const MOST_COUNTED: usize = 16;
/// The most channels that a filter with wildcards is asked about.
const MOST_ASKED: usize = 1_000;
