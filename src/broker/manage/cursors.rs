//! Cursors: where each stands, how far that is behind, and the end of one.

use std::sync::Arc;

use serde::Serialize;

use super::ManageError;
use super::channels::unreadable;
use crate::broker::Broker;
use crate::broker::cursors::{CursorKey, Listed};
use crate::log::{CursorOwner, LogError};
use crate::topic::TopicFilter;
use crate::types::{CursorId, rfc3339};

/// Which cursors are wanted.
#[derive(Clone, Debug, Default)]
pub struct CursorFilter {
    /// Those behind this number.
    pub after: u64,
    /// `client`, `group` or `share`.
    pub kind: Option<String>,
    /// The client or group whose they are.
    pub owner: Option<String>,
}

/// A cursor of a client or a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CursorView {
    /// Its number.
    pub id: u64,
    /// `client`, `group` (with a start option) or `share` (without one).
    pub kind: &'static str,
    /// The client identifier, or the group's name.
    pub owner: String,
    /// The filter.
    pub filter: String,
    /// Whether a session is subscribed with it.
    pub in_use: bool,
    /// Everything up to this position of the store is acknowledged or skipped.
    pub position: u64,
    /// Events above that which are acknowledged.
    pub acknowledged_above: usize,
    /// When it was made.
    pub created: String,
    /// When it was used last.
    pub used: String,
    /// How far it is behind; `null` where that takes long to find out.
    pub lag: Option<Lag>,
}

/// How far a cursor is behind the newest event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lag {
    /// Events that are not acknowledged, those that a selector will skip included.
    pub events: u64,
    /// How long ago the oldest of them was committed.
    pub seconds: f64,
}

impl Broker {
    /// The cursors that are wanted, by number, at most `most`; and whether there are more.
    pub fn cursors(&self, filter: &CursorFilter, most: usize) -> (Vec<CursorView>, bool) {
        let wants = |key: &CursorKey| filter.wants(key);
        let (found, more) = self.cursors.list(CursorId(filter.after), most, &wants);
        (found.iter().map(|found| self.cursor_view(found, CHEAP)).collect(), more)
    }

    /// Where a cursor stands.
    pub fn cursor(&self, id: u64) -> Result<CursorView, ManageError> {
        Ok(self.cursor_view(&self.listed(id)?, THOROUGH))
    }

    /// Removes a cursor that nobody uses.
    pub async fn delete_cursor(&self, id: u64) -> Result<(), ManageError> {
        let found = self.listed(id)?;
        let command = self.cursors.remove_unused(&found.key).ok_or_else(|| {
            ManageError::Conflict(format!(
                "cursor {id} is in use; end the subscription first (kick the client, delete its session), or reset the cursor"
            ))
        })?;
        tracing::info!(
            cursor = id,
            filter = found.key.filter,
            "an administrator deletes a cursor"
        );
        self.carry_out(vec![command]).await
    }

    pub(super) fn listed(&self, id: u64) -> Result<Listed, ManageError> {
        let found = self.cursors.by_id(CursorId(id));
        found.ok_or_else(|| ManageError::NotFound(format!("there is no cursor {id}")))
    }

    pub(super) fn cursor_view(&self, found: &Listed, effort: Effort) -> CursorView {
        let record = &found.record;
        let (kind, owner) = owner(&record.owner);
        CursorView {
            id: record.id.0,
            kind,
            owner: owner.to_owned(),
            filter: record.filter.clone(),
            in_use: found.in_use,
            position: record.floor.0,
            acknowledged_above: record.acked.len(),
            created: rfc3339(record.created),
            used: rfc3339(record.used),
            lag: self.lag(found, effort).unwrap_or_else(|fault| {
                tracing::warn!(cursor = record.id.0, fault = %unreadable(fault), "a lag is not known");
                None
            }),
        }
    }

    pub(super) fn lag(&self, found: &Listed, effort: Effort) -> Result<Option<Lag>, LogError> {
        // What a shared subscription waits for is held for others as well.
        let counts = !matches!(found.record.owner, CursorOwner::Share(_));
        let Some(filter) = TopicFilter::parse(&found.record.filter).ok().filter(|_| counts) else {
            return Ok(None);
        };
        let Some(events) = self.events_behind(found, &filter, effort) else {
            return Ok(None);
        };
        let record = &found.record;
        if events == 0 {
            return Ok(Some(Lag { events, seconds: 0.0 }));
        }
        let mut scan = self.reader.scan(Arc::new(filter), record.floor);
        let mut admit = |position, channel, sequence| {
            found.origin.admits(position, channel, sequence) && record.acked.binary_search(&position).is_err()
        };
        let watermark = self.reader.watermark();
        let mut first = Vec::new();
        for _ in 0..effort.batches {
            let position = scan.next_batch(&self.reader, &mut admit, 1, usize::MAX, &mut first)?;
            if let Some(event) = first.first() {
                let seconds = self.clock().now().since(event.time).as_secs_f64();
                return Ok(Some(Lag { events, seconds }));
            }
            if position >= watermark {
                return Ok(Some(Lag {
                    events: 0,
                    seconds: 0.0,
                }));
            }
        }
        Ok(None)
    }

    /// How many events a cursor has still to get; `None` if its filter matches more channels than are counted.
    pub(super) fn events_behind(&self, found: &Listed, filter: &TopicFilter, effort: Effort) -> Option<u64> {
        let record = &found.record;
        let pending = self
            .reader
            .pending_within(filter, Some(&found.origin), record.floor, effort.channels)?;
        Some(pending.saturating_sub(record.acked.len() as u64))
    }
}

impl CursorFilter {
    pub(super) fn wants(&self, key: &CursorKey) -> bool {
        let (kind, owner) = owner(&key.owner);
        self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && self.owner.as_deref().is_none_or(|wanted| wanted == owner)
    }
}

pub(super) fn owner(owner: &CursorOwner) -> (&'static str, &str) {
    match owner {
        CursorOwner::Client(name) | CursorOwner::User { client: name, .. } => ("client", name),
        CursorOwner::Group(name) => ("group", name),
        CursorOwner::Share(name) => ("share", name),
    }
}

/// How much may be read for one lag.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    channels: usize,
    batches: usize,
}

/// For each of many.
pub(super) const CHEAP: Effort = Effort {
    channels: 16,
    batches: 4,
};
/// For each of a few.
pub(super) const CAREFUL: Effort = Effort {
    channels: 50_000,
    batches: 50,
};
/// For one.
pub(super) const THOROUGH: Effort = Effort {
    channels: 50_000,
    batches: 1_000,
};
