//! How fast PUBLISH packets are taken from one client. Says when to go on; reads no socket.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;

/// The buckets of one client. What is beyond them is not dropped: the client is not read from until they have filled.
#[derive(Debug)]
pub(super) struct Throttle {
    packets: Option<Bucket>,
    bytes: Option<Bucket>,
}

/// Holds what may be taken: a second's worth when it is full. The last packet may take more than is left, which is then owed.
#[derive(Debug)]
struct Bucket {
    per_second: u64,
    /// In billionths.
    level: i128,
    filled_at: Instant,
}

impl Throttle {
    /// `None` if nothing is limited.
    pub fn new(limits: &Limits, now: Instant) -> Option<Box<Self>> {
        let bucket = |rate: Option<u64>| rate.map(|per_second| Bucket::new(per_second, now));
        let throttle = Self {
            packets: bucket(limits.publish_rate),
            bytes: bucket(limits.publish_bytes),
        };
        let limits_some = throttle.packets.is_some() || throttle.bytes.is_some();
        limits_some.then(|| Box::new(throttle))
    }

    /// When the next packet may be taken; `None`: now.
    pub fn pause(&mut self, now: Instant) -> Option<Duration> {
        let buckets = [&mut self.packets, &mut self.bytes].into_iter().flatten();
        buckets.filter_map(|bucket| bucket.pause(now)).max()
    }

    /// A PUBLISH of this length was taken.
    pub fn take(&mut self, bytes: usize) {
        if let Some(bucket) = &mut self.packets {
            bucket.level -= ONE;
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.level -= bytes as i128 * ONE;
        }
    }
}

impl Bucket {
    fn new(per_second: u64, now: Instant) -> Self {
        Self {
            per_second,
            level: i128::from(per_second) * ONE,
            filled_at: now,
        }
    }

    fn pause(&mut self, now: Instant) -> Option<Duration> {
        let rate = i128::from(self.per_second);
        let passed = now.saturating_duration_since(self.filled_at).as_nanos() as i128;
        self.filled_at = now;
        self.level = passed.saturating_mul(rate).saturating_add(self.level).min(rate * ONE);
        if self.level > 0 {
            return None;
        }
        // Rounded up, and never nothing.
        let nanos = (-self.level) / rate + 1;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

const ONE: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn throttle(packets: Option<u64>, bytes: Option<u64>, now: Instant) -> Throttle {
        let limits = Limits {
            publish_rate: packets,
            publish_bytes: bytes,
            ..Limits::default()
        };
        *Throttle::new(&limits, now).expect("something is limited")
    }

    #[test]
    fn nothing_limited_needs_no_throttle() {
        assert!(Throttle::new(&Limits::default(), Instant::now()).is_none());
    }

    #[test]
    fn a_second_of_packets_may_come_at_once_and_the_next_waits_for_its_share() {
        let now = Instant::now();
        let mut throttle = throttle(Some(10), None, now);
        for _ in 0..10 {
            assert_eq!(throttle.pause(now), None);
            throttle.take(1_000);
        }
        let pause = throttle.pause(now).expect("the bucket is empty");
        assert!(pause <= MILLISECOND, "{pause:?}");
        assert_eq!(throttle.pause(now + MILLISECOND), None);
        throttle.take(1);
        let later = now + MILLISECOND;
        let pause = throttle.pause(later).expect("a whole packet was taken for a hundredth");
        assert!(pause > 98 * MILLISECOND && pause < 100 * MILLISECOND, "{pause:?}");
        assert_eq!(throttle.pause(later + pause), None);
    }

    #[test]
    fn a_packet_larger_than_the_bucket_is_taken_and_owed() {
        let now = Instant::now();
        let mut throttle = throttle(None, Some(100), now);
        throttle.take(1_100);
        let pause = throttle.pause(now).expect("1,000 bytes are owed");
        assert_eq!(pause.as_secs(), 10);
        assert_eq!(throttle.pause(now + pause), None);
    }

    #[test]
    fn a_long_rest_fills_the_bucket_once() {
        let now = Instant::now();
        let mut throttle = throttle(Some(2), None, now);
        let later = now + Duration::from_secs(3_600 * 24 * 365 * 10);
        assert_eq!(throttle.pause(later), None);
        throttle.take(0);
        throttle.take(0);
        assert!(throttle.pause(later).is_some());
    }
}
