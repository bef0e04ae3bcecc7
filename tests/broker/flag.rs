//! A sign to stop that is given even where a test fails, so that no thread is waited for in vain.

use std::sync::atomic::{AtomicBool, Ordering};

/// Raised by its guard.
#[derive(Default)]
pub struct Flag(AtomicBool);

/// Raises the flag when dropped.
pub struct Guard<'a>(&'a Flag);

impl Flag {
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn guard(&self) -> Guard<'_> {
        Guard(self)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.raise();
    }
}
