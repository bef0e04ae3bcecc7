//! The packets of one publisher, encoded ahead: only their numbers are filled in when they are sent.

use bytes::BytesMut;
use rewindmq::codec::{self, Packet, Publish};
use rewindmq::types::{PacketId, QoS};

use super::scenario::Scenario;
use crate::connection::packet_id;
use crate::error::BenchError;
use crate::frame::{Frame, malformed};

/// Packets of one length, one for each topic or more.
#[derive(Debug)]
pub struct Tape {
    packets: BytesMut,
    packet_len: usize,
    id_at: Option<usize>,
    payload_at: usize,
    topics: Vec<String>,
    publisher: u64,
}

impl Tape {
    /// All packets of a publisher.
    ///
    /// # Errors
    /// If a packet cannot be said.
    pub fn new(scenario: &Scenario, publisher: usize) -> Result<Self, BenchError> {
        let topics = scenario.shape.topics(publisher, scenario.topics);
        let payload: Vec<u8> = (0..scenario.payload).map(|byte| b'a' + (byte % 26) as u8).collect();
        let (batch, _) = scenario.pace.on_their_way();
        let mut packets = BytesMut::new();
        let mut properties = BytesMut::new();
        for (name, value) in scenario.properties() {
            codec::encode_user_property(name, value, &mut properties);
        }
        for topic in topics.iter().cycle().take(topics.len().max(batch as usize)) {
            let publish = Publish {
                dup: false,
                qos: scenario.qos,
                retain: false,
                topic,
                packet_id: (scenario.qos > QoS::AtMostOnce).then_some(PacketId::MIN),
                topic_alias: None,
                expiry_secs: None,
                properties: &properties,
                has_hop_properties: false,
                has_user_properties: !properties.is_empty(),
                payload: &payload,
            };
            codec::encode(&Packet::Publish(publish), scenario.version, &mut packets)?;
        }
        let first = Frame::cut(&packets)?.ok_or_else(|| malformed("a PUBLISH"))?;
        let (packet_len, parts) = (first.bytes.len(), first.publish(scenario.version)?);
        let id_at = parts.packet_id.map(|(at, _)| at);
        Ok(Self {
            payload_at: packet_len - payload.len(),
            packet_len,
            id_at,
            packets,
            topics,
            publisher: publisher as u64,
        })
    }

    /// Adds the packets of these numbers to a batch.
    pub fn put(&mut self, from: u64, to: u64, batch: &mut BytesMut) {
        let slots = (self.packets.len() / self.packet_len) as u64;
        let mut next = from;
        while next < to {
            let first = (next % slots) as usize;
            let end = to.min(next + slots - next % slots);
            let piece = first * self.packet_len..(first + (end - next) as usize) * self.packet_len;
            for (number, packet) in (next..end).zip(self.packets[piece.clone()].chunks_exact_mut(self.packet_len)) {
                let tagged = self.publisher << PUBLISHER_SHIFT | number;
                packet[self.payload_at..self.payload_at + 8].copy_from_slice(&tagged.to_be_bytes());
                if let Some(at) = self.id_at {
                    packet[at..at + 2].copy_from_slice(&packet_id(number).get().to_be_bytes());
                }
            }
            batch.extend_from_slice(&self.packets[piece]);
            next = end;
        }
    }

    /// Whether this is what was published under this number.
    pub fn is(&self, number: u64, topic: &[u8], payload: &[u8]) -> bool {
        let published = &self.packets[self.payload_at..self.packet_len];
        topic == self.topics[(number % self.topics.len() as u64) as usize].as_bytes()
            && payload.len() == published.len()
            && payload[8..] == published[8..]
    }
}

/// The publisher and the number that a payload carries.
pub fn tag(payload: &[u8]) -> Option<(usize, u64)> {
    let tagged = u64::from_be_bytes(*payload.first_chunk()?);
    Some((
        (tagged >> PUBLISHER_SHIFT) as usize,
        tagged & ((1 << PUBLISHER_SHIFT) - 1),
    ))
}

/// Numbers stay below.
const PUBLISHER_SHIFT: u32 = 40;
