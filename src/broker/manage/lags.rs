//! How far all cursors are behind, looked at in the background: sums for the metrics, and the list of those furthest behind.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::cursors::{CAREFUL, CHEAP, Lag, owner};
use crate::broker::Broker;
use crate::broker::cursors::{CursorKey, Listed};
use crate::log::CursorOwner;
use crate::metrics::CursorKind;
use crate::types::{CursorId, rfc3339};

/// How far all cursors were behind when they were looked at last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lags {
    /// When that was; `null` before the first time.
    pub as_of: Option<String>,
    /// The cursors of clients.
    pub clients: LagSums,
    /// The cursors of groups with a start option.
    pub groups: LagSums,
    /// Those furthest behind by events, most first.
    pub furthest: Vec<Behind>,
}

/// The cursors of one kind together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LagSums {
    /// How many there are.
    pub cursors: u64,
    /// How many of them have something to get.
    pub behind: u64,
    /// How many of them are in no other figure, because counting takes too long.
    pub unknown: u64,
    /// Events that they have not acknowledged, all together.
    pub events: u64,
    /// The most of one of them.
    pub max_events: u64,
    /// How long ago the oldest such event was committed.
    pub max_seconds: f64,
}

/// A cursor that is behind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Behind {
    /// Its number.
    pub id: u64,
    /// `client` or `group`.
    pub kind: &'static str,
    /// The client identifier, or the group's name.
    pub owner: String,
    /// The filter.
    pub filter: String,
    /// How far it is behind.
    #[serde(flatten)]
    pub lag: Lag,
}

impl Broker {
    /// How far all cursors were behind when they were looked at last.
    pub fn lags(&self) -> Arc<Lags> {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks how far all cursors are behind. Takes as long as there are many: not for a thread that others wait for.
    pub fn measure_lags(&self) {
        let begun = self.clock.now();
        let mut lags = Lags {
            as_of: Some(rfc3339(begun)),
            ..Lags::default()
        };
        let counts = |key: &CursorKey| !matches!(key.owner, CursorOwner::Share(_));
        let (mut after, mut more) = (CursorId(0), true);
        while more {
            let (page, is_cut) = self.cursors.list(after, PAGE, &counts);
            for listed in &page {
                if self.is_stopping() {
                    return;
                }
                let is_late = self.clock.now().since(begun) > PATIENCE;
                // What cannot be read is told by whoever has to read it.
                let lag = self.lag(listed, if is_late { CHEAP } else { CAREFUL }).ok().flatten();
                lags.add(listed, lag);
            }
            after = page.last().map_or(after, |last| last.record.id);
            more = is_cut;
        }
        lags.furthest.sort_by_key(|behind| std::cmp::Reverse(behind.lag.events));
        lags.furthest.truncate(FURTHEST);
        self.show_lags(&lags);
        *self.lags.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(lags);
    }

    /// Looks how large the store's file is and what room its disk has.
    pub fn measure_disk(&self) {
        let disk = self.reader.disk().unwrap_or_else(|fault| {
            tracing::debug!(%fault, "the room on the disk is not known");
            None
        });
        if let Some(disk) = disk {
            self.metrics.store_file_bytes.set(disk.file_bytes as f64);
            self.metrics.store_disk_free_bytes.set(disk.free_bytes as f64);
        }
    }

    fn show_lags(&self, lags: &Lags) {
        for (kind, sums) in [(CursorKind::Client, &lags.clients), (CursorKind::Group, &lags.groups)] {
            let metrics = &self.metrics;
            metrics.lag_events.of(kind).set(sums.events as f64);
            metrics.lag_max_events.of(kind).set(sums.max_events as f64);
            metrics.lag_max_seconds.of(kind).set(sums.max_seconds);
            metrics.lag_unknown_cursors.of(kind).set(sums.unknown as f64);
        }
    }
}

impl Lags {
    fn add(&mut self, listed: &Listed, lag: Option<Lag>) {
        let (kind, owner) = owner(&listed.key.owner);
        let sums = if kind == "group" {
            &mut self.groups
        } else {
            &mut self.clients
        };
        sums.cursors += 1;
        let Some(lag) = lag else {
            sums.unknown += 1;
            return;
        };
        if lag.events == 0 {
            return;
        }
        sums.behind += 1;
        sums.events = sums.events.saturating_add(lag.events);
        sums.max_events = sums.max_events.max(lag.events);
        sums.max_seconds = sums.max_seconds.max(lag.seconds);
        self.furthest.push(Behind {
            id: listed.record.id.0,
            kind,
            owner: owner.to_owned(),
            filter: listed.record.filter.clone(),
            lag,
        });
        if self.furthest.len() >= 2 * FURTHEST {
            self.furthest
                .select_nth_unstable_by_key(FURTHEST, |behind| std::cmp::Reverse(behind.lag.events));
            self.furthest.truncate(FURTHEST);
        }
    }
}

/// Cursors that are taken from the table at a time, so that nobody waits for it long.
const PAGE: usize = 1_000;
/// Cursors on the list of those furthest behind.
pub const FURTHEST: usize = 100;
/// Beyond this time only what is cheap to find out is.
const PATIENCE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{CursorRecord, Origin, StartRule};
    use crate::types::{Position, Timestamp};

    fn listed(id: u64, owner: CursorOwner) -> Listed {
        let record = CursorRecord {
            id: CursorId(id),
            owner: owner.clone(),
            filter: "a/#".to_owned(),
            floor: Position(0),
            acked: Vec::new(),
            sent: Position(0),
            created: Timestamp(0),
            used: Timestamp(0),
        };
        let origin = Origin {
            taken_at: Position(0),
            first: Position(1),
            rule: StartRule::Everything,
        };
        Listed {
            key: CursorKey {
                owner,
                filter: record.filter.clone(),
            },
            record,
            origin: Arc::new(origin),
            in_use: false,
        }
    }

    fn lag(events: u64) -> Option<Lag> {
        let seconds = events as f64 / 10.0;
        Some(Lag { events, seconds })
    }

    #[test]
    fn sums_are_by_kind_and_what_is_not_known_is_counted() {
        let mut lags = Lags::default();
        for (id, known) in [lag(3), lag(0), None, lag(7)].into_iter().enumerate() {
            lags.add(&listed(id as u64, CursorOwner::Client("c".into())), known);
        }
        lags.add(&listed(9, CursorOwner::Group("g".into())), lag(1));
        let expected = LagSums {
            cursors: 4,
            behind: 2,
            unknown: 1,
            events: 10,
            max_events: 7,
            max_seconds: 0.7,
        };
        assert_eq!(lags.clients, expected);
        assert_eq!((lags.groups.cursors, lags.groups.events), (1, 1));
    }

    #[test]
    fn of_many_those_with_most_are_kept() {
        let mut lags = Lags::default();
        for id in 0..1_000 {
            // All of them once, in no order.
            lags.add(&listed(id, CursorOwner::Client("c".into())), lag(id * 7 % 1_000 + 1));
        }
        assert!(lags.furthest.len() < 2 * FURTHEST);
        lags.furthest.sort_by_key(|behind| std::cmp::Reverse(behind.lag.events));
        let kept: Vec<u64> = lags
            .furthest
            .iter()
            .take(FURTHEST)
            .map(|behind| behind.lag.events)
            .collect();
        assert!(kept.iter().copied().eq((901..=1_000).rev()), "{kept:?}");
    }
}
