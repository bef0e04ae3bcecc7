//! One line on a terminal that tells how far long work is. Where there is no terminal, nothing.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use tokio::time::Instant;

use super::tell;

/// The line, when it is time for it.
pub(super) struct Progress {
    begun: Instant,
    next: Option<Instant>,
    total: Option<u64>,
    is_shown: bool,
}

impl Progress {
    /// For work of so many pieces, where that is known.
    pub(super) fn new(total: Option<u64>) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            next: stderr().is_terminal().then(|| begun + PATIENCE),
            total,
            is_shown: false,
        }
    }

    /// When it is to be shown next, if ever.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Shows that so much is done.
    pub(super) fn show(&mut self, done: u64) {
        let now = Instant::now();
        self.next = Some(now + PERIOD);
        self.is_shown = true;
        let millis = u64::try_from((now - self.begun).as_millis()).unwrap_or(u64::MAX);
        let rate = u128::from(done) * 1_000 / u128::from(millis.max(1));
        let of = self.total.map_or_else(String::new, |total| {
            let percent = u128::from(done) * 100 / u128::from(total.max(1));
            format!(" of {total} ({percent}%)")
        });
        tell(&format!("\r\x1b[K{done}{of} published, {rate}/s"));
    }

    /// Makes room for what is told next.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            tell("\r\x1b[K");
        }
    }
}

/// Work that takes less needs no line.
const PATIENCE: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_millis(200);
