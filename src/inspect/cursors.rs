//! Cursors: whose they are and how far behind.

use super::first::First;
use super::report::{CursorReport, Cursors};
use super::rows::Walk;
use crate::store::{CursorOwner, CursorRecord, StoreError, Table, Visit, number};
use crate::types::{CursorId, Position, rfc3339};

/// Looks at every cursor.
pub(super) fn look(walk: &mut Walk<'_>, last: Position) -> Result<Cursors, StoreError> {
    let mut found = Cursors::default();
    let mut behind = First::new(walk.limit);
    walk.rows(Table::Cursors, &[], &mut |_, key, value| {
        found.count += 1;
        let record = CursorRecord::decode(CursorId(number(Table::Cursors, key)?), value)?;
        let report = report(record, last);
        behind.push(report.lag, report);
        Ok(Visit::More)
    })?;
    found.furthest_behind = behind.into_vec();
    Ok(found)
}

fn report(record: CursorRecord, last: Position) -> CursorReport {
    let (owner, name) = match record.owner {
        CursorOwner::Client(name) => ("client", name),
        CursorOwner::User { user, client } => ("client", format!("{client} (of {user})")),
        CursorOwner::Group(name) => ("group", name),
        CursorOwner::Share(name) => ("share", name),
    };
    CursorReport {
        owner,
        name,
        filter: record.filter,
        floor: record.floor.0,
        acked_above: record.acked.len(),
        lag: last.0.saturating_sub(record.floor.0),
        used: rfc3339(record.used),
    }
}
