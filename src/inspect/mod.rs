//! What a data folder holds, for the people who look after it. Reads only; a broker may run on the folder meanwhile.
//!
//! Tables are walked a thousand rows at a time, each time from a new instant, so that a running broker keeps reusing
//! space; what is told then belongs to slightly different moments. Of lists only the first few are kept in memory.

mod channels;
mod cursors;
mod first;
mod report;
mod rows;
mod sessions;
mod text;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::store::{FORMAT, Marks, StoreError, StoreView, Table, Visit, number};
use crate::types::Position;

pub use report::{
    ChannelReport, Channels, CursorReport, Cursors, Damage, Report, Retained, RetainedReport, SessionReport, Sessions,
    TableReport, WillReport, Wills,
};

use rows::Walk;

/// Looks at the store in a data folder; each list has at most `limit` lines. With `check` every page is looked at first,
/// which reads nearly all of the store; without it a page that is not what it must be can end the process.
///
/// # Errors
/// What keeps the store from being opened, and pages that are damaged; damaged rows are part of the report.
pub fn inspect(path: &Path, limit: usize, check: bool) -> Result<Report, StoreError> {
    let view = StoreView::open(path)?;
    if check {
        view.check()?;
    }
    let tables = view.sizes()?.into_iter().map(TableReport::from).collect();
    let (checkpoint, last) = positions(&view)?;
    let mut walk = Walk::new(&view, limit);
    let channels = channels::look(&mut walk, checkpoint)?;
    let cursors = cursors::look(&mut walk, last)?;
    let sessions = sessions::look(&mut walk, last)?;
    let retained = sessions::retained(&mut walk)?;
    let wills = sessions::wills(&mut walk)?;
    Ok(Report {
        path: path.display().to_string(),
        format: FORMAT,
        file_bytes: view.file_bytes()?,
        checkpoint: checkpoint.0,
        last: last.0,
        tables,
        channels,
        cursors,
        sessions,
        retained,
        wills,
        damage: walk.damage,
    })
}

/// The checkpoint and the last position given out.
fn positions(view: &StoreView) -> Result<(Position, Position), StoreError> {
    let mut found = (Position(0), Position(0));
    view.read(&mut |snapshot| {
        let marks = Marks::load(snapshot)?;
        found = (marks.checkpoint, marks.last);
        snapshot.downwards(Table::Log, &[0xff; 8], &mut |key, _| {
            found.1 = found.1.max(Position(number(Table::Log, key)?));
            Ok(Visit::Enough)
        })
    })?;
    Ok(found)
}
