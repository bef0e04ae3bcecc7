//! Which cursors are the furthest behind: all are estimated, the worst are looked at.

use std::cmp::Reverse;

use super::cursors::{CHEAP, CursorFilter, CursorView, THOROUGH};
use crate::broker::Broker;
use crate::broker::cursors::Listed;
use crate::log::CursorOwner;
use crate::topic::TopicFilter;
use crate::types::CursorId;

impl Broker {
    /// The cursors that are the most events behind, the largest lag first, at most `most`.
    ///
    /// Of a filter that matches very many channels the events are counted only if it can be among them, which the records
    /// since its position decide.
    pub fn most_behind(&self, filter: &CursorFilter, most: usize) -> Vec<CursorView> {
        let wants = |key: &_| filter.wants(key);
        let (cursors, _) = self.cursors.list(CursorId(filter.after), MOST_ESTIMATED, &wants);
        let mut estimated: Vec<(u64, bool, Listed)> = cursors
            .into_iter()
            .filter(|listed| !matches!(listed.record.owner, CursorOwner::Share(_)))
            .map(|listed| {
                let (events, counted) = self.estimate(&listed);
                (events, counted, listed)
            })
            .collect();
        estimated.sort_by_key(|(events, _, listed)| (Reverse(*events), listed.record.id.0));
        estimated.truncate(most);
        let looked_at = estimated.into_iter().map(|(_, counted, listed)| {
            let effort = if counted { CHEAP } else { THOROUGH };
            self.cursor_view(&listed, effort)
        });
        let mut views: Vec<CursorView> = looked_at.collect();
        views.sort_by_key(|view| Reverse(view.lag.as_ref().map(|lag| lag.events)));
        views
    }

    /// How many events a cursor is behind, or at most is; and whether they were counted.
    fn estimate(&self, listed: &Listed) -> (u64, bool) {
        let record = &listed.record;
        let filter = TopicFilter::parse(&record.filter).ok();
        match filter.and_then(|filter| self.events_behind(listed, &filter, CHEAP)) {
            Some(events) => (events, true),
            None => (self.reader.watermark().0.saturating_sub(record.floor.0), false),
        }
    }
}

/// Cursors that one request estimates.
const MOST_ESTIMATED: usize = 100_000;
