//! Chooses for the channels that have something to let go whether their records are found in the index or on one walk
//! through the log, and finds them.

use super::directory::Channel;
use super::index::View;
use super::reader::Shared;
use super::scan::{COST_IN_LOG, COST_OF_CHANNEL};
use super::trim::Cut;
use super::walk::{Gone, Walk};
use crate::store::StoreError;
use crate::types::{ChannelId, Position, Sequence};

/// A channel that may have something to let go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) channel: ChannelId,
    /// Nothing is kept before.
    pub(crate) first: Position,
    /// Up to here nothing is needed.
    passed: Position,
    /// About how many records are to go.
    records: u64,
}

/// What is to be let go, and how it is found.
#[derive(Debug)]
pub(crate) struct Route {
    by_index: Vec<Due>,
    by_log: Vec<Due>,
    walk: Walk,
}

impl Due {
    /// As if the records of a channel lay evenly in the log.
    pub(crate) fn new(id: ChannelId, channel: &Channel, passed: Position) -> Self {
        let first = channel.first;
        let span = channel.last.0.max(first.0) - first.0 + 1;
        let part = (passed.0 - first.0 + 1).min(span);
        Self {
            channel: id,
            first,
            passed,
            records: (u128::from(channel.count()) * u128::from(part)).div_ceil(u128::from(span)) as u64,
        }
    }

    fn cost_by_index(&self) -> u64 {
        COST_OF_CHANNEL + self.records * COST_OF_CUT
    }
}

impl Route {
    /// Chooses the cheapest: one walk through the log for the channels whose records begin late, and the index for those
    /// for which it would have to begin much earlier.
    pub(crate) fn choose(mut due: Vec<Due>) -> Self {
        due.sort_unstable_by_key(|due| due.first);
        let mut by_index: u64 = due.iter().map(Due::cost_by_index).sum();
        let mut walk = Walk::new(Position(1), Position(0));
        let (mut lowest, mut split) = (by_index, due.len());
        let mut until = Position(0);
        for (at, due) in due.iter().enumerate().rev() {
            by_index -= due.cost_by_index();
            until = until.max(due.passed);
            let cost = by_index + (until.0 - due.first.0 + 1) * COST_IN_LOG;
            if cost <= lowest {
                (lowest, split) = (cost, at);
                walk = Walk::new(due.first, until);
            }
        }
        let by_log = due.split_off(split);
        Self {
            by_index: due,
            by_log,
            walk,
        }
    }

    /// The channels whose records are found in the log.
    pub(crate) fn by_log(&self) -> &[Due] {
        &self.by_log
    }

    /// Whether nothing is left to be found.
    pub(crate) fn is_over(&self) -> bool {
        self.by_index.is_empty() && self.walk.is_over()
    }

    /// Adds the next cuts of channels whose records are found in the index, of at most `most` records; returns what is left
    /// of those.
    pub(crate) fn cut_by_index(
        &mut self,
        shared: &Shared,
        most: u64,
        cuts: &mut Vec<(Cut, View)>,
        learned: &mut Vec<(ChannelId, Position)>,
    ) -> Result<u64, StoreError> {
        if self.by_index.is_empty() {
            return Ok(most);
        }
        let given = most.min(CUT_PER_STEP);
        let mut budget = given;
        let views = self.next_views(shared, budget);
        let by_index = &mut self.by_index;
        shared.store.read(&mut |snapshot| {
            for (due, view) in &views {
                if budget == 0 {
                    by_index.push(*due);
                    continue;
                }
                let end = view.first_after(snapshot, due.passed)?;
                if end > view.first_kept {
                    let through = Sequence((end.0 - 1).min(view.first_kept.0 + budget - 1));
                    budget -= through.0 + 1 - view.first_kept.0;
                    let channel = view.id;
                    cuts.push((Cut { channel, through }, view.clone()));
                    if through.next() < end {
                        by_index.push(*due);
                        continue;
                    }
                }
                let first = view.position(snapshot, end)?;
                learned.push((view.id, first.unwrap_or(due.passed.next())));
            }
            Ok(())
        })?;
        Ok(most - (given - budget))
    }

    fn next_views(&mut self, shared: &Shared, budget: u64) -> Vec<(Due, View)> {
        let start = self.by_index.len().saturating_sub(budget as usize);
        let directory = shared.directory();
        let views = self.by_index.drain(start..).filter_map(|due| {
            let channel = directory.channel(due.channel).filter(|channel| channel.count() > 0)?;
            Some((due, View::new(due.channel, channel)))
        });
        views.collect()
    }

    /// Goes on through the log and adds to `gone` what is found of the channels of [`Self::by_log`], as `wanted` says.
    pub(crate) fn walk(
        &mut self,
        shared: &Shared,
        budget: u64,
        wanted: &dyn Fn(ChannelId, Position) -> bool,
        gone: &mut Vec<Gone>,
        learned: &mut Vec<(ChannelId, Position)>,
    ) -> Result<(), StoreError> {
        if budget == 0 || self.walk.is_over() {
            return Ok(());
        }
        shared
            .store
            .read(&mut |snapshot| self.walk.step(snapshot, wanted, budget, gone))?;
        if self.walk.is_over() {
            let passed = self.by_log.iter().map(|due| (due.channel, due.passed.next()));
            learned.extend(passed);
        }
        Ok(())
    }
}

/// The most records, and channels, of a step that are found in the index: each may take ten microseconds.
const CUT_PER_STEP: u64 = 2_000;
/// What it costs to remove a record that shares its page with none that goes with it, in tenths of a microsecond.
const COST_OF_CUT: u64 = 70;

#[cfg(test)]
mod tests {
    use super::*;

    fn due(channel: u32, first: u64, passed: u64, records: u64) -> Due {
        Due {
            channel: ChannelId(channel),
            first: Position(first),
            passed: Position(passed),
            records,
        }
    }

    fn chosen(due: Vec<Due>) -> (Vec<u32>, Vec<u32>) {
        let route = Route::choose(due);
        let ids = |due: &[Due]| due.iter().map(|due| due.channel.0).collect();
        (ids(&route.by_index), ids(&route.by_log))
    }

    #[test]
    fn many_records_are_found_in_the_log_and_few_of_much_in_the_index() {
        assert_eq!(chosen(vec![]), (vec![], vec![]));
        assert_eq!(chosen(vec![due(1, 1, 1_000, 500)]), (vec![], vec![1]));
        assert_eq!(chosen(vec![due(1, 1, 1_000_000, 500)]), (vec![1], vec![]));
    }

    #[test]
    fn a_channel_that_begins_much_earlier_does_not_draw_the_others_with_it() {
        let mut all: Vec<_> = (2..100)
            .map(|id| due(id, 900_000 + u64::from(id), 1_000_000, 500))
            .collect();
        all.push(due(1, 5, 1_000_000, 500));
        assert_eq!(chosen(all), (vec![1], (2..100).collect()));
    }
}
