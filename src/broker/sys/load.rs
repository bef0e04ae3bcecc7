//! Load averages over 1, 5 and 15 minutes, weighted towards now, as mosquitto tells them: how much comes per minute.

use std::time::Duration;

/// The average of one counter's growth.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    last: f64,
    averages: [f64; 3],
}

impl Load {
    /// Takes what the counter stands at, `elapsed` after it was taken last. Returns the averages.
    pub fn take(&mut self, counter: f64, elapsed: Duration) -> [f64; 3] {
        let minutes = elapsed.as_secs_f64() / 60.0;
        if minutes > 0.0 {
            let per_minute = (counter - self.last) / minutes;
            for (average, (_, over)) in self.averages.iter_mut().zip(SPANS) {
                *average = per_minute + (-minutes / over).exp() * (*average - per_minute);
            }
        }
        self.last = counter;
        self.averages
    }
}

/// The last level of the topic, and the minutes that weigh.
pub(super) const SPANS: [(&str, f64); 3] = [("1min", 1.0), ("5min", 5.0), ("15min", 15.0)];

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: [f64; 3], wanted: [f64; 3]) {
        let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.01);
        assert!(near, "{found:?}, wanted {wanted:?}");
    }

    #[test]
    fn a_steady_stream_comes_to_its_rate_and_goes_to_zero() {
        let mut load = Load::default();
        let mut counter = 0.0;
        close(load.take(0.0, Duration::ZERO), [0.0; 3]);
        // 100 in ten seconds are 600 a minute; a sixth of a minute weighs 1 - e^(-1/6) of one.
        counter += 100.0;
        close(load.take(counter, Duration::from_secs(10)), [92.11, 19.67, 6.63]);
        for _ in 0..1_000 {
            counter += 100.0;
            load.take(counter, Duration::from_secs(10));
        }
        close(load.averages, [600.0; 3]);
        close(load.take(counter, Duration::from_secs(60)), [220.73, 491.24, 561.30]);
        close(load.take(counter, Duration::from_secs(100_000)), [0.0; 3]);
    }

    #[test]
    fn two_short_spans_weigh_as_one_long_one() {
        let (mut short, mut long) = (Load::default(), Load::default());
        short.take(50.0, Duration::from_secs(5));
        short.take(100.0, Duration::from_secs(5));
        long.take(100.0, Duration::from_secs(10));
        close(short.averages, long.averages);
    }
}
