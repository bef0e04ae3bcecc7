//! Keeps lines of one kind from flooding the log: so many in an interval, and then how many there were beyond them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::metrics::{Backend, Label, RefusalReason};
use crate::types::Timestamp;

/// The kinds of lines that somebody outside, or a short retention, can bring about without end.
#[derive(Debug)]
pub struct Floods {
    /// Connections that were refused, by reason.
    refused: Vec<Flood>,
    /// Authentications that were refused, by what was tried.
    authentication: Vec<Flood>,
    /// Questions to the authentication service that brought no answer.
    service: Flood,
    /// Connections that could not be accepted.
    accept: Flood,
    /// Events that retention removed before a cursor had passed them.
    lost: Flood,
}

/// One kind of line.
#[derive(Debug, Default)]
pub struct Flood(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    since: Timestamp,
    written: u32,
    left_out: u64,
}

impl Default for Floods {
    fn default() -> Self {
        let each = |count| std::iter::repeat_with(Flood::default).take(count).collect();
        Self {
            refused: each(RefusalReason::VALUES.len()),
            authentication: each(Backend::VALUES.len()),
            service: Flood::default(),
            accept: Flood::default(),
            lost: Flood::default(),
        }
    }
}

impl Floods {
    /// Lines about connections that were refused for a reason.
    pub fn refused(&self, reason: RefusalReason) -> &Flood {
        &self.refused[reason.index()]
    }

    /// Lines about authentications that were refused by a backend.
    pub fn authentication(&self, backend: Backend) -> &Flood {
        &self.authentication[backend.index()]
    }

    /// Lines about the authentication service.
    pub fn service(&self) -> &Flood {
        &self.service
    }

    /// Lines about connections that could not be accepted.
    pub fn accept(&self) -> &Flood {
        &self.accept
    }

    /// Lines about events that cursors have lost.
    pub fn lost(&self) -> &Flood {
        &self.lost
    }

    /// Says of each kind what was left out in an interval that is over.
    pub fn tell(&self, now: Timestamp) {
        for (flood, (_, kind)) in self.refused.iter().zip(RefusalReason::VALUES) {
            if let Some(left_out) = flood.take_left_out(now) {
                tracing::info!(
                    kind,
                    left_out,
                    "connection refused: more lines of this kind were left out"
                );
            }
        }
        for (flood, (_, backend)) in self.authentication.iter().zip(Backend::VALUES) {
            if let Some(left_out) = flood.take_left_out(now) {
                tracing::info!(
                    backend,
                    left_out,
                    "authentication refused: more lines of this kind were left out"
                );
            }
        }
        if let Some(left_out) = self.service.take_left_out(now) {
            tracing::warn!(
                left_out,
                "the authentication service did not answer: more lines of this kind were left out"
            );
        }
        if let Some(left_out) = self.accept.take_left_out(now) {
            tracing::warn!(
                left_out,
                "connections could not be accepted: more lines of this kind were left out"
            );
        }
        if let Some(left_out) = self.lost.take_left_out(now) {
            tracing::warn!(
                left_out,
                "events were lost to cursors: more lines of this kind were left out"
            );
        }
    }
}

impl Flood {
    /// Whether a line is to be written now; if not, it is counted.
    pub fn admits(&self, now: Timestamp) -> bool {
        let mut window = self.lock();
        // What was left out before is told first, by `tell`.
        if window.is_over(now) && window.left_out == 0 {
            *window = Window {
                since: now,
                ..Window::default()
            };
        }
        let admits = window.written < LINES;
        if admits {
            window.written += 1;
        } else {
            window.left_out += 1;
        }
        admits
    }

    /// How many lines were left out, if the interval is over; a new one begins with the next line.
    fn take_left_out(&self, now: Timestamp) -> Option<u64> {
        let mut window = self.lock();
        if !window.is_over(now) || window.left_out == 0 {
            return None;
        }
        Some(std::mem::take(&mut *window).left_out)
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn is_over(&self, now: Timestamp) -> bool {
        // The second: the clock was set back.
        now >= self.since.saturating_add(INTERVAL) || now < self.since
    }
}

/// Lines of one kind in an interval.
const LINES: u32 = 20;
/// The interval.
const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp(secs * 1_000_000_000)
    }

    #[test]
    fn so_many_lines_in_an_interval_and_the_rest_is_counted() {
        let flood = Flood::default();
        let admitted = (0..100).filter(|_| flood.admits(at(100))).count();
        assert_eq!(admitted, LINES as usize);
        assert_eq!(flood.take_left_out(at(109)), None, "the interval is not over");
        assert!(!flood.admits(at(111)), "what was left out is not told yet");
        assert_eq!(flood.take_left_out(at(111)), Some(81));
        assert_eq!(flood.take_left_out(at(111)), None);
        assert!(flood.admits(at(111)));
    }

    #[test]
    fn lines_now_and_then_are_all_written() {
        let flood = Flood::default();
        assert!((0..1_000).all(|second| flood.admits(at(second))));
        assert_eq!(flood.take_left_out(at(2_000)), None);
    }

    #[test]
    fn kinds_are_counted_apart() {
        let floods = Floods::default();
        (0..100).for_each(|_| {
            floods.refused(RefusalReason::Protocol).admits(at(1));
        });
        assert!(floods.refused(RefusalReason::Timeout).admits(at(1)));
        assert!(floods.authentication(Backend::Users).admits(at(1)));
    }
}
