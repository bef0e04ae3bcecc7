//! Goes through the channels and says what retention has to cut. Cuts nothing itself.

use super::directory::Directory;
use super::index::View;
use super::options::{Holds, Retention, RetentionRule};
use super::reader::Shared;
use super::trim::{Cut, SLICE_EVENTS};
use crate::store::{ChannelKind, Snapshot, StoreError, Table, Visit, log_key, number, time_key};
use crate::types::{ChannelId, Position, Sequence, Timestamp};

/// One walk over all channels.
#[derive(Debug)]
pub(crate) struct Sweep {
    next: ChannelId,
    now: Timestamp,
    /// The first position of a time or later, for the few times that are asked for.
    starts: Vec<(Timestamp, Position)>,
}

/// A channel that has something to cut.
struct Due {
    view: View,
    bytes: u64,
    retention: Retention,
    too_old: bool,
    /// Up to here no durable session needs its events.
    passed: Position,
}

impl Sweep {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            next: ChannelId(1),
            now,
            starts: Vec::new(),
        }
    }

    /// Whether every channel below `end` was looked at.
    pub(crate) fn is_over(&self, end: ChannelId) -> bool {
        self.next >= end
    }

    /// Looks at the next channels and adds to `cuts` until about [`SLICE_EVENTS`] events are to go.
    pub(crate) fn step(
        &mut self,
        shared: &Shared,
        rule: &RetentionRule,
        holds: &dyn Holds,
        cuts: &mut Vec<(Cut, View)>,
        mut budget: u64,
    ) -> Result<(), StoreError> {
        let due = self.collect(&shared.directory(), rule, holds, budget as usize);
        let mut looked_at = self.next;
        shared.store.read(&mut |snapshot| {
            for (id, due) in &due.channels {
                let cut = self.cut(*id, due, budget, snapshot)?;
                if let Some(cut) = cut {
                    budget -= cut.through.0 - due.view.first_kept.0 + 1;
                    cuts.push((cut, due.view.clone()));
                }
                if budget == 0 {
                    // There may be more to cut of this one.
                    looked_at = *id;
                    return Ok(());
                }
            }
            looked_at = due.end;
            Ok(())
        })?;
        self.next = looked_at;
        Ok(())
    }

    fn collect(&self, directory: &Directory, rule: &RetentionRule, holds: &dyn Holds, most: usize) -> Collected {
        let mut channels = Vec::new();
        let mut id = self.next;
        let end = ChannelId(self.next.0.saturating_add(CHANNELS_PER_STEP));
        while id < end
            && channels.len() < most
            && let Some(channel) = directory.channel(id)
        {
            if channel.kind == ChannelKind::Event && channel.count() > 0 {
                let retention = rule(&channel.topic);
                let cutoff = retention.max_age.map(|age| self.now.saturating_sub(age));
                let too_old = cutoff.is_some_and(|cutoff| channel.first_time < cutoff);
                let too_many = retention.max_count.is_some_and(|most| channel.count() > most);
                let too_big = retention.max_bytes.is_some_and(|most| channel.bytes > most);
                if too_old || too_many || too_big {
                    let view = View::new(id, channel);
                    let bytes = channel.bytes;
                    let passed = holds.passed(id, &channel.topic, ChannelKind::Event).unwrap_or_default();
                    channels.push((
                        id,
                        Due {
                            view,
                            bytes,
                            retention,
                            too_old,
                            passed,
                        },
                    ));
                }
            }
            id = ChannelId(id.0 + 1);
        }
        Collected { channels, end: id }
    }

    fn cut(
        &mut self,
        channel: ChannelId,
        due: &Due,
        budget: u64,
        snapshot: &dyn Snapshot,
    ) -> Result<Option<Cut>, StoreError> {
        let view = &due.view;
        let mut end = view.first_kept;
        if let Some(most) = due.retention.max_count {
            end = end.max(Sequence(view.next.0.saturating_sub(most)));
        }
        if let Some(age) = due.retention.max_age
            && due.too_old
        {
            let start = self.start(self.now.saturating_sub(age), snapshot)?;
            end = end.max(view.first_after(snapshot, Position(start.0 - 1))?);
        }
        let most = Sequence(view.first_kept.0 + budget);
        if end < most
            && let Some(bytes) = due.retention.max_bytes
        {
            end = end.max(due.end_by_bytes(bytes, most, snapshot)?);
        }
        let mut end = end.min(most);
        if end > view.first_kept && due.passed < Position(u64::MAX) {
            end = end.min(view.first_after(snapshot, due.passed)?);
        }
        Ok((end > view.first_kept).then(|| Cut {
            channel,
            through: Sequence(end.0 - 1),
        }))
    }

    /// The first position of a time or later; behind the last if there is none.
    fn start(&mut self, time: Timestamp, snapshot: &dyn Snapshot) -> Result<Position, StoreError> {
        if let Some((_, start)) = self.starts.iter().find(|(known, _)| *known == time) {
            return Ok(*start);
        }
        let start = first_at(snapshot, time)?.unwrap_or(Position(u64::MAX));
        self.starts.push((time, start));
        Ok(start)
    }
}

struct Collected {
    channels: Vec<(ChannelId, Due)>,
    end: ChannelId,
}

impl Due {
    /// The sequence after the last that must go for the channel to have no more bytes than it may; `most` at the most.
    fn end_by_bytes(&self, bytes: u64, most: Sequence, snapshot: &dyn Snapshot) -> Result<Sequence, StoreError> {
        let mut left = self.bytes;
        let mut sequence = self.view.first_kept;
        while left > bytes && sequence < most {
            let mut positions = Vec::new();
            let Some(first) = self.view.positions(snapshot, sequence, &mut positions)? else {
                break;
            };
            sequence = first;
            for position in positions {
                if left <= bytes || sequence >= most {
                    break;
                }
                let size = snapshot.value(Table::Log, &log_key(position))?.map_or(0, <[u8]>::len);
                left = left.saturating_sub(size as u64);
                sequence = sequence.next();
            }
        }
        Ok(sequence)
    }
}

/// The first position that was committed at a time or later.
pub(crate) fn first_at(snapshot: &dyn Snapshot, time: Timestamp) -> Result<Option<Position>, StoreError> {
    let mut first = None;
    snapshot.upwards(Table::Times, &time_key(time), &mut |_, value| {
        first = Some(Position(number(Table::Times, value)?));
        Ok(Visit::Enough)
    })?;
    Ok(first)
}

const CHANNELS_PER_STEP: u32 = 4_096;
const _: () = assert!(SLICE_EVENTS > 0, "a step cuts something");
