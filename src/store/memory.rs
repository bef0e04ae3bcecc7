//! A store in memory, for brokers that need no disk and for tests. Nothing survives it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::{Change, Changes, Reading, Snapshot, Store, StoreError, Table, Visit, Visitor};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    tables: RwLock<Tables>,
    capacity: u64,
}

#[derive(Clone, Debug, Default)]
struct Tables {
    rows: [Rows; Table::ALL.len()],
    bytes: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_capacity(u64::MAX)
    }

    /// An empty store that is full when its keys and values take this many bytes.
    pub fn with_capacity(bytes: u64) -> Self {
        Self {
            tables: RwLock::default(),
            capacity: bytes,
        }
    }

    fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if tables.bytes + changes.bytes() as u64 > self.capacity {
            return Err(StoreError::Full);
        }
        for (table, change) in changes.iter() {
            tables.apply(table, change);
        }
        Ok(())
    }

    fn read(&self, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        reading(&*self.tables())
    }

    fn used_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.tables().bytes)
    }

    fn capacity_bytes(&self) -> u64 {
        self.capacity
    }
}

impl Tables {
    fn apply(&mut self, table: Table, change: Change<'_>) {
        let rows = &mut self.rows[table as usize];
        let (key, old) = match change {
            Change::Append(key, value) | Change::Put(key, value) => {
                if let Change::Append(..) = change {
                    let last = rows.last_key_value();
                    assert!(
                        last.is_none_or(|(last, _)| last.as_slice() < key),
                        "an appended key is the highest"
                    );
                }
                self.bytes += (key.len() + value.len()) as u64;
                (key, rows.insert(key.to_vec(), value.to_vec()))
            }
            Change::Delete(key) => (key, rows.remove(key)),
        };
        if let Some(old) = old {
            self.bytes -= (key.len() + old.len()) as u64;
        }
    }
}

impl Snapshot for Tables {
    fn value(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.rows[table as usize].get(key).map(Vec::as_slice))
    }

    fn upwards(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StoreError> {
        let bounds = (Bound::Included(from), Bound::Unbounded);
        for (key, value) in self.rows[table as usize].range::<[u8], _>(bounds) {
            if visit(key, value)? == Visit::Enough {
                break;
            }
        }
        Ok(())
    }

    fn downwards(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StoreError> {
        let bounds = (Bound::Unbounded, Bound::Included(from));
        for (key, value) in self.rows[table as usize].range::<[u8], _>(bounds).rev() {
            if visit(key, value)? == Visit::Enough {
                break;
            }
        }
        Ok(())
    }
}
