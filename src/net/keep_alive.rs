//! When a client must have sent something.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The timer is set anew only when it runs out. Without keep-alive there is none.
pub(super) struct KeepAlive {
    secs: u16,
    last_packet: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl KeepAlive {
    /// Begins now. 0 is no keep-alive.
    pub fn new(secs: u16) -> Self {
        let mut keep_alive = Self {
            secs,
            last_packet: Instant::now(),
            timer: None,
        };
        if secs > 0 {
            keep_alive.timer = Some(Box::pin(tokio::time::sleep_until(keep_alive.deadline())));
        }
        keep_alive
    }

    pub fn packet_came(&mut self) {
        if self.timer.is_some() {
            self.last_packet = Instant::now();
        }
    }

    /// Ready when it ran out.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline();
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        while timer.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// One and a half times the keep-alive [MQTT-3.1.2-22].
    fn deadline(&self) -> Instant {
        self.last_packet + Duration::from_millis(u64::from(self.secs) * 1500)
    }
}
