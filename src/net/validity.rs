//! How long what a client proved holds: its connection ends with that.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::types::{Clock, Timestamp};

/// A timer where there is an end, nothing otherwise.
pub(super) struct Validity(Option<Box<Running>>);

struct Running {
    until: Timestamp,
    timer: Pin<Box<Sleep>>,
}

impl Validity {
    pub fn new(until: Option<Timestamp>, clock: &Clock) -> Self {
        let running = until.map(|until| Running {
            until,
            timer: Box::pin(sleep_until(next_look(until, clock.now()))),
        });
        Self(running.map(Box::new))
    }

    /// Ready when it is over. The timer does not know when the clock is set: it looks again at times.
    pub fn poll(&mut self, clock: &Clock, cx: &mut Context<'_>) -> Poll<()> {
        let Some(running) = &mut self.0 else {
            return Poll::Pending;
        };
        while running.timer.as_mut().poll(cx).is_ready() {
            let now = clock.now();
            if now >= running.until {
                return Poll::Ready(());
            }
            running.timer.as_mut().reset(next_look(running.until, now));
        }
        Poll::Pending
    }
}

fn next_look(until: Timestamp, now: Timestamp) -> Instant {
    let left = Duration::from_nanos(until.0.saturating_sub(now.0));
    Instant::now() + left.clamp(SHORTEST, LONGEST)
}

/// The timer may run out a little before the clock has got there.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(60);
