//! Walks the rows of a table in steps, and notes what cannot be read instead of stopping there.

use super::report::Damage;
use crate::store::{Snapshot, StoreError, StoreView, Table, Visit};

/// A walk through a store.
pub(super) struct Walk<'v> {
    pub(super) view: &'v StoreView,
    /// The most lines of a list.
    pub(super) limit: usize,
    /// What could not be read.
    pub(super) damage: Damage,
}

/// What is done with a row, beside the instant that it belongs to.
pub(super) type RowVisitor<'r> = dyn FnMut(&dyn Snapshot, &[u8], &[u8]) -> Result<Visit, StoreError> + 'r;

impl<'v> Walk<'v> {
    pub(super) fn new(view: &'v StoreView, limit: usize) -> Self {
        Self {
            view,
            limit,
            damage: Damage::default(),
        }
    }

    /// Visits every row of a table upwards from a key. A row that the visitor finds corrupt is noted and passed over.
    pub(super) fn rows(&mut self, table: Table, from: &[u8], visit: &mut RowVisitor<'_>) -> Result<(), StoreError> {
        let view = self.view;
        let mut next = from.to_vec();
        loop {
            let mut rows = 0;
            let mut done = false;
            let read = view.read(&mut |snapshot| {
                snapshot.upwards(table, &next.clone(), &mut |key, value| {
                    rows += 1;
                    next.clear();
                    next.extend_from_slice(key);
                    // The key that comes directly after.
                    next.push(0);
                    done = self.damage.pass(visit(snapshot, key, value))? == Some(Visit::Enough);
                    Ok(if done || rows == ROWS_PER_SNAPSHOT {
                        Visit::Enough
                    } else {
                        Visit::More
                    })
                })
            });
            if self.damage.pass(read)?.is_none() || done || rows < ROWS_PER_SNAPSHOT {
                return Ok(());
            }
        }
    }
}

impl Damage {
    /// Notes what is damaged; other errors stay errors.
    pub(super) fn pass<T>(&mut self, result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Damaged { .. })) => {
                self.count += 1;
                if self.first.len() < MOST_FAULTS {
                    self.first.push(error.to_string());
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

const ROWS_PER_SNAPSHOT: usize = 1_000;
/// How many faults are told in words.
const MOST_FAULTS: usize = 100;
