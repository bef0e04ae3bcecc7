//! What one client's turn sends and receives, counted without touching the shared counters for each message.

use crate::metrics::{DeliveryKind, Metrics};
use crate::types::QoS;

/// Counts that go to the metrics at the end of the turn.
#[derive(Debug, Default)]
pub struct Tally {
    deliveries: [u64; 3],
    sent: [u64; 3],
    sent_bytes: u64,
    received: [u64; 3],
    received_bytes: u64,
    redelivered: u64,
}

impl Tally {
    /// A message went into the output.
    pub fn sent(&mut self, kind: DeliveryKind, qos: QoS, payload_bytes: usize) {
        self.deliveries[kind as usize] += 1;
        self.sent[qos as usize] += 1;
        self.sent_bytes += payload_bytes as u64;
    }

    /// A message that was sent before and not acknowledged went into the output.
    pub fn redelivered(&mut self) {
        self.redelivered += 1;
    }

    /// A PUBLISH came.
    pub fn received(&mut self, qos: QoS, payload_bytes: usize) {
        self.received[qos as usize] += 1;
        self.received_bytes += payload_bytes as u64;
    }

    /// Hands the counts over and begins anew.
    pub fn flush(&mut self, metrics: &Metrics) {
        let counts = std::mem::take(self);
        for kind in [DeliveryKind::Live, DeliveryKind::Replay, DeliveryKind::Retained] {
            add(metrics.deliveries.of(kind), counts.deliveries[kind as usize]);
        }
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            add(metrics.messages_sent.of(qos), counts.sent[qos as usize]);
            add(metrics.messages_received.of(qos), counts.received[qos as usize]);
        }
        add(&metrics.message_bytes_sent, counts.sent_bytes);
        add(&metrics.message_bytes_received, counts.received_bytes);
        add(&metrics.redeliveries, counts.redelivered);
    }
}

fn add(counter: &metrics::Counter, count: u64) {
    if count > 0 {
        counter.increment(count);
    }
}
