//! Which messages are timed: few enough that the others pay nothing for it.

use std::cell::Cell;
use std::time::Duration;

use super::Broker;
use crate::metrics::DeliveryPath;
use crate::types::Timestamp;

impl Broker {
    /// Messages that were read at `read_at` and that nobody keeps are in their subscribers' mailboxes now.
    #[inline]
    pub fn handed_over(&self, read_at: Timestamp, now: Timestamp) {
        if is_due(now) {
            self.time_delivery(DeliveryPath::Direct, read_at, now);
        }
    }

    pub(super) fn time_delivery(&self, path: DeliveryPath, read_at: Timestamp, now: Timestamp) {
        let took = now.since(read_at).as_secs_f64();
        self.metrics.publish_to_deliver_seconds.of(path).record(took);
    }
}

/// Whether this thread has timed nothing for the interval.
#[inline]
fn is_due(now: Timestamp) -> bool {
    LAST.with(|last| {
        let timed_at = last.get();
        // The second: the clock was set back.
        let due = now >= timed_at.saturating_add(INTERVAL) || now < timed_at;
        if due {
            last.set(now);
        }
        due
    })
}

thread_local! {
    static LAST: Cell<Timestamp> = const { Cell::new(Timestamp(0)) };
}

/// A thread times one message in this time.
const INTERVAL: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_an_interval_is_due_and_a_clock_that_is_set_back_stops_nothing() {
        let at = |micros: u64| Timestamp(1_000_000_000 + micros * 1_000);
        let due = [0, 1, 999, 1_000, 1_999, 2_000, 500, 501].map(|micros| is_due(at(micros)));
        assert_eq!(due, [true, false, false, true, false, true, true, false]);
    }
}
