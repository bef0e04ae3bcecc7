//! A store around another that fails, loses or holds back writes when a test says so.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Changes, Disk, Reading, Store, StoreError};

/// What a write runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An input/output error.
    Io,
    /// No space.
    Full,
}

/// Wraps a store; until told otherwise it does what the wrapped one does.
pub struct FailingStore {
    inner: Arc<dyn Store>,
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    writes: u64,
    fail_at: Option<(u64, Fault)>,
    fail_from: Option<(u64, Fault)>,
    frozen_from: Option<u64>,
    blocked: bool,
    waiting: u32,
}

impl FailingStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            plan: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The n-th write from now on fails (1 is the next one); those after it work again.
    pub fn fail_write(&self, n: u64, fault: Fault) {
        let mut plan = self.plan();
        plan.fail_at = Some((plan.writes + n, fault));
    }

    /// The n-th write from now on and all after it fail.
    pub fn fail_from(&self, n: u64, fault: Fault) {
        let mut plan = self.plan();
        plan.fail_from = Some((plan.writes + n, fault));
    }

    /// From the n-th write on, writes say that they worked and change nothing, as if the machine had stopped there.
    pub fn freeze_from(&self, n: u64) {
        let mut plan = self.plan();
        plan.frozen_from = Some(plan.writes + n);
    }

    /// Whether a write was lost because the store is frozen.
    pub fn is_frozen(&self) -> bool {
        let plan = self.plan();
        plan.frozen_from.is_some_and(|from| plan.writes >= from)
    }

    /// Holds back every write until [`Self::release`].
    pub fn block(&self) {
        self.plan().blocked = true;
    }

    /// Lets the writes go that were held back, and all after them.
    pub fn release(&self) {
        self.plan().blocked = false;
        self.changed.notify_all();
    }

    /// Waits until a write is being held back.
    pub fn wait_blocked(&self) {
        let mut plan = self.plan();
        while plan.waiting == 0 {
            plan = self.changed.wait(plan).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many writes there were, failed and lost ones too.
    pub fn writes(&self) -> u64 {
        self.plan().writes
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_released(&self) -> MutexGuard<'_, Plan> {
        let mut plan = self.plan();
        if plan.blocked {
            plan.waiting += 1;
            self.changed.notify_all();
            while plan.blocked {
                plan = self.changed.wait(plan).unwrap_or_else(PoisonError::into_inner);
            }
            plan.waiting -= 1;
        }
        plan
    }
}

impl Plan {
    fn fault(&self) -> Option<Fault> {
        let once = self.fail_at.filter(|(at, _)| *at == self.writes);
        let always = self.fail_from.filter(|(from, _)| *from <= self.writes);
        once.or(always).map(|(_, fault)| fault)
    }
}

impl Store for FailingStore {
    fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut plan = self.wait_released();
        plan.writes += 1;
        match plan.fault() {
            Some(Fault::Io) => return Err(StoreError::io("writing", io::Error::other("a fault of the test"))),
            Some(Fault::Full) => return Err(StoreError::Full),
            None => {}
        }
        if plan.frozen_from.is_some_and(|from| plan.writes >= from) {
            return Ok(());
        }
        drop(plan);
        self.inner.write(changes)
    }

    fn read(&self, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        self.inner.read(reading)
    }

    fn used_bytes(&self) -> Result<u64, StoreError> {
        self.inner.used_bytes()
    }

    fn capacity_bytes(&self) -> u64 {
        self.inner.capacity_bytes()
    }

    fn disk(&self) -> Result<Option<Disk>, StoreError> {
        self.inner.disk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, Table};

    fn row(n: u8) -> Changes {
        let mut changes = Changes::new();
        changes.put(Table::Meta, &[n], |out| out.push(n));
        changes
    }

    fn rows(store: &dyn Store) -> usize {
        let mut count = 0;
        store
            .read(&mut |snapshot| {
                snapshot.upwards(Table::Meta, &[], &mut |_, _| {
                    count += 1;
                    Ok(crate::store::Visit::More)
                })
            })
            .unwrap();
        count
    }

    #[test]
    fn only_the_named_write_fails() {
        let store = FailingStore::new(Arc::new(MemoryStore::new()));
        store.fail_write(2, Fault::Full);
        let results: Vec<_> = (0..3).map(|n| store.write(&row(n)).is_ok()).collect();
        assert_eq!((results, rows(&store)), (vec![true, false, true], 2));
    }

    #[test]
    fn a_frozen_store_loses_what_it_takes() {
        let store = FailingStore::new(Arc::new(MemoryStore::new()));
        store.freeze_from(2);
        (0..3).for_each(|n| store.write(&row(n)).unwrap());
        assert_eq!((store.is_frozen(), rows(&store)), (true, 1));
    }

    #[test]
    fn a_blocked_write_returns_when_it_is_released() {
        let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
        store.block();
        let writer = std::thread::spawn({
            let store = store.clone();
            move || store.write(&row(1)).unwrap()
        });
        store.wait_blocked();
        assert_eq!(rows(&*store), 0);
        store.release();
        writer.join().unwrap();
        assert_eq!(rows(&*store), 1);
    }
}
