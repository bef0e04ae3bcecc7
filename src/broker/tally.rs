//! What one client's turn sends and receives, counted without touching the shared counters for each message.

use std::thread::LocalKey;

use super::lent::{Lent, Spare, Spares};
use crate::metrics::{DeliveryKind, Metrics};
use crate::types::QoS;

/// Counts that go to the metrics at the end of the turn.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Lent<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    deliveries: [u64; 3],
    sent: [u64; 3],
    sent_bytes: [u64; 3],
    received: [u64; 3],
    received_bytes: [u64; 3],
    redelivered: u64,
}

impl Spare for Counts {
    fn spare() -> &'static LocalKey<Spares<Self>> {
        &SPARE
    }
}

thread_local! {
    static SPARE: Spares<Counts> = const { Spares::new(Vec::new()) };
}

impl Tally {
    /// A message went into the output.
    pub fn sent(&mut self, kind: DeliveryKind, qos: QoS, payload_bytes: usize) {
        self.sent_many(kind, qos, 1, payload_bytes);
    }

    /// Several messages of one QoS went into the output.
    pub fn sent_many(&mut self, kind: DeliveryKind, qos: QoS, messages: usize, payload_bytes: usize) {
        let counts = self.counts.take();
        counts.deliveries[kind as usize] += messages as u64;
        counts.sent[qos as usize] += messages as u64;
        counts.sent_bytes[qos as usize] += payload_bytes as u64;
    }

    /// A message that was sent before and not acknowledged went into the output.
    pub fn redelivered(&mut self) {
        self.counts.take().redelivered += 1;
    }

    /// A PUBLISH came.
    pub fn received(&mut self, qos: QoS, payload_bytes: usize) {
        let counts = self.counts.take();
        counts.received[qos as usize] += 1;
        counts.received_bytes[qos as usize] += payload_bytes as u64;
    }

    /// Hands the counts over and begins anew.
    pub fn flush(&mut self, metrics: &Metrics) {
        if let Some(counts) = self.counts.used() {
            std::mem::take(counts).add_to(metrics);
            self.counts.give_back();
        }
    }
}

impl Counts {
    fn add_to(&self, metrics: &Metrics) {
        for kind in [DeliveryKind::Live, DeliveryKind::Replay, DeliveryKind::Retained] {
            add(metrics.deliveries.of(kind), self.deliveries[kind as usize]);
        }
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            add(metrics.messages_sent.of(qos), self.sent[qos as usize]);
            add(metrics.messages_received.of(qos), self.received[qos as usize]);
            add(metrics.message_bytes_sent.of(qos), self.sent_bytes[qos as usize]);
            add(
                metrics.message_bytes_received.of(qos),
                self.received_bytes[qos as usize],
            );
        }
        add(&metrics.redeliveries, self.redelivered);
    }
}

fn add(counter: &metrics::Counter, count: u64) {
    if count > 0 {
        counter.increment(count);
    }
}
