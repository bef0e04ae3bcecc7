//! Publishes numbered messages, keeps a few unacknowledged, never sends one twice, and notes what was acknowledged.

use std::collections::HashMap;
use std::time::Instant;

use rewindmq::codec::{Ack, Packet};
use rewindmq::types::{PacketId, ReasonCode};

use super::super::client::{DEADLINE, Post, Received, post, v5};
use super::{CHANNELS, Life, topic};

/// Messages on their way.
const WINDOW: usize = 4;

pub struct Publisher {
    pub number: usize,
    qos: u8,
    /// Messages sent so far; they are numbered from 1.
    pub sent: u64,
    /// The sequence of each that was acknowledged in the life before the last check.
    pub acknowledged: HashMap<u64, u64>,
}

impl Publisher {
    pub fn new(number: usize, qos: u8) -> Self {
        Self {
            number,
            qos,
            sent: 0,
            acknowledged: HashMap::new(),
        }
    }

    /// Publishes until the broker is killed.
    pub fn run(&mut self, life: &Life) {
        self.acknowledged.clear();
        let Some(mut client) = life.connect(v5(&format!("publisher-{}", self.number))) else {
            return;
        };
        let mut open: HashMap<PacketId, u64> = HashMap::new();
        loop {
            let result = if open.len() < WINDOW {
                self.sent += 1;
                let (topic, text) = (
                    topic(self.sent as usize % CHANNELS),
                    format!("{}:{}", self.number, self.sent),
                );
                let message = Post {
                    qos: self.qos,
                    ..post(&topic, &text)
                };
                client.try_post(&message).map(|packet_id| {
                    open.insert(packet_id.expect("QoS 1 or 2"), self.sent);
                })
            } else {
                client.try_receive(Instant::now() + DEADLINE).and_then(|received| {
                    self.received(&received, &mut open)
                        .map_or(Ok(()), |answer| client.try_send(&answer))
                })
            };
            if let Err(fault) = result {
                life.broken::<()>(&fault);
                return;
            }
        }
    }

    /// Takes note of an acknowledgement; gives the answer to it.
    fn received(&mut self, received: &Received, open: &mut HashMap<PacketId, u64>) -> Option<Packet<'static>> {
        let Received::Packet(packet) = received else {
            panic!("unexpected {received:?}");
        };
        match &**packet {
            Packet::PubAck(ack) => {
                self.acknowledged(ack, open[&ack.packet_id]);
                open.remove(&ack.packet_id);
                None
            }
            Packet::PubRec(ack) => {
                self.acknowledged(ack, open[&ack.packet_id]);
                Some(Packet::PubRel(Ack::new(ack.packet_id, ReasonCode::Success)))
            }
            Packet::PubComp(ack) => {
                open.remove(&ack.packet_id).expect("a message on its way");
                None
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    fn acknowledged(&mut self, ack: &Ack, number: u64) {
        assert!(!ack.reason.is_error(), "{ack:?}");
        let sequence = ack.user_properties.iter().find(|(name, _)| name == "es-seq");
        let sequence = sequence.and_then(|(_, value)| value.parse().ok());
        let earlier = self.acknowledged.insert(number, sequence.expect("es-seq"));
        assert_eq!(earlier, None, "acknowledged twice");
    }
}
