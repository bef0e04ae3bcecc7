//! PUBLISH packets that stand one behind the other, encoded once for all who get them. Packet identifiers are left blank:
//! each session fills in its own.

use bytes::{Bytes, BytesMut};

use super::delivery::{Delivery, encode_delivery};
use super::reader::variable;
use super::spare;
use crate::types::{PacketId, QoS, Version};

/// Packets of one version and one QoS, without DUP, RETAIN, Topic Alias and Message Expiry Interval.
#[derive(Clone, Debug)]
pub struct Run {
    bytes: Bytes,
    version: Version,
    qos: QoS,
    packets: usize,
    payload_bytes: usize,
}

/// Gathers a run.
#[derive(Debug)]
pub struct RunBuilder {
    bytes: BytesMut,
    version: Version,
    qos: QoS,
    packets: usize,
    payload_bytes: usize,
}

/// One packet of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunPacket<'a> {
    /// All its bytes.
    pub bytes: &'a [u8],
    /// Where the packet identifier has its place; at QoS 0 there is none.
    pub packet_id_at: usize,
    /// How long its payload is, bytes.
    pub payload_bytes: usize,
}

impl RunBuilder {
    /// An empty run.
    pub fn new(version: Version, qos: QoS) -> Self {
        let mut bytes = BytesMut::new();
        spare::borrow(&mut bytes);
        Self {
            bytes,
            version,
            qos,
            packets: 0,
            payload_bytes: 0,
        }
    }

    /// Whether packets of this kind can stand in it.
    #[inline]
    pub fn is_of(&self, version: Version, qos: QoS) -> bool {
        self.version == version && self.qos == qos
    }

    /// Adds a packet. What is longer than any packet can be is left out, as no client takes it.
    #[inline]
    pub fn push(&mut self, topic: &[u8], properties: &[u8], payload: &[u8], subscription_ids: &[u32]) {
        let delivery = Delivery {
            topic,
            properties,
            payload,
            dup: false,
            qos: self.qos,
            retain: false,
            packet_id: (self.qos > QoS::AtMostOnce).then_some(BLANK),
            expiry_secs: None,
            topic_alias: None,
            send_topic: true,
            subscription_ids,
            event: None,
        };
        let before = self.bytes.len();
        encode_delivery(&delivery, self.version, &mut self.bytes);
        if self.bytes.len() > before {
            self.packets += 1;
            self.payload_bytes += payload.len();
        }
    }

    /// Adds a packet that came in as it is, but for DUP and RETAIN: it is of this version and QoS, and has neither Topic Alias
    /// nor Message Expiry Interval.
    #[inline]
    pub fn push_wire(&mut self, wire: &[u8], payload_bytes: usize) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(wire);
        if let Some(first) = self.bytes.get_mut(start) {
            *first = PUBLISH | self.qos.bits() << 1;
            self.packets += 1;
            self.payload_bytes += payload_bytes;
        }
    }

    /// The run. With `waits`, or if it fills its buffer badly, the buffer goes to others, so that runs that wait hold little
    /// more than their bytes.
    pub fn finish(mut self, waits: bool) -> Run {
        let bytes = if !waits && self.bytes.len() >= self.bytes.capacity() / 4 {
            self.bytes.freeze()
        } else {
            let bytes = Bytes::copy_from_slice(&self.bytes);
            spare::give_back(std::mem::take(&mut self.bytes));
            bytes
        };
        Run {
            bytes,
            version: self.version,
            qos: self.qos,
            packets: self.packets,
            payload_bytes: self.payload_bytes,
        }
    }
}

impl Run {
    /// The version that the packets are encoded in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The QoS of all packets.
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// How many packets are left.
    pub fn packets(&self) -> usize {
        self.packets
    }

    /// How long the payloads of the packets that are left are together, bytes.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// All packets that are left.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes all packets; gives the buffer itself where nobody else has the run.
    pub fn into_buffer(self) -> Result<BytesMut, Bytes> {
        self.bytes.try_into_mut()
    }

    /// The first packet that is left.
    #[inline]
    pub fn first(&self) -> Option<RunPacket<'_>> {
        let (body_len, len_bytes) = variable(self.bytes.get(1..)?).ok()??;
        let body_at = 1 + len_bytes;
        let bytes = self.bytes.get(..body_at + body_len as usize)?;
        let topic_len = u16::from_be_bytes(*bytes.get(body_at..)?.first_chunk()?);
        let packet_id_at = body_at + 2 + usize::from(topic_len);
        let mut payload_at = packet_id_at + if self.qos > QoS::AtMostOnce { 2 } else { 0 };
        if self.version.has_properties() {
            let (properties, len_bytes) = variable(bytes.get(payload_at..)?).ok()??;
            payload_at += len_bytes + properties as usize;
        }
        Some(RunPacket {
            bytes,
            packet_id_at,
            payload_bytes: bytes.len().checked_sub(payload_at)?,
        })
    }

    /// Drops the first packet, which is so long.
    #[inline]
    pub fn advance(&mut self, packet_bytes: usize, payload_bytes: usize) {
        bytes::Buf::advance(&mut self.bytes, packet_bytes);
        self.packets -= 1;
        self.payload_bytes -= payload_bytes;
    }

    /// Keeps only the first packets. Returns how many were cut off.
    pub fn truncate(&mut self, packets: usize) -> usize {
        let mut rest = self.clone();
        while rest.packets > self.packets.saturating_sub(packets) {
            let Some(first) = rest.first() else { break };
            let (packet_bytes, payload_bytes) = (first.bytes.len(), first.payload_bytes);
            rest.advance(packet_bytes, payload_bytes);
        }
        self.bytes.truncate(self.bytes.len() - rest.bytes.len());
        self.packets -= rest.packets;
        self.payload_bytes -= rest.payload_bytes;
        rest.packets
    }
}

/// Type of the packet, without flags (section 3.3.1).
const PUBLISH: u8 = 0x30;
/// Stands where each session puts a packet identifier of its own.
const BLANK: PacketId = PacketId::MIN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{DecodeLimits, Packet, decode_from_server};

    const LIMITS: DecodeLimits = DecodeLimits {
        max_packet_size: u32::MAX,
    };

    fn run(version: Version, qos: QoS, payloads: &[&[u8]]) -> Run {
        let mut builder = RunBuilder::new(version, qos);
        for payload in payloads {
            builder.push(b"a/b", b"\x26\x00\x01k\x00\x01v", payload, &[200]);
        }
        builder.finish(false)
    }

    fn payloads(mut run: Run) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while let Some(first) = run.first() {
            let (packet, len) = decode_from_server(first.bytes, run.version(), &LIMITS)
                .expect("well formed")
                .expect("whole");
            let Packet::Publish(publish) = packet else {
                panic!("a PUBLISH: {packet:?}")
            };
            assert_eq!((len, publish.qos), (first.bytes.len(), run.qos()));
            assert_eq!(publish.payload.len(), first.payload_bytes);
            if run.qos() > QoS::AtMostOnce {
                let blank = BLANK.get().to_be_bytes();
                assert_eq!(first.bytes[first.packet_id_at..first.packet_id_at + 2], blank);
            }
            found.push(publish.payload.to_vec());
            run.advance(len, found.last().map_or(0, Vec::len));
        }
        assert_eq!((run.packets(), run.payload_bytes(), run.bytes().len()), (0, 0, 0));
        found
    }

    #[test]
    fn packets_come_out_one_by_one() {
        let long = vec![7; 20_000];
        for version in [Version::V3, Version::V5] {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                let rows: [&[u8]; 3] = [b"", b"x", &long];
                assert_eq!(payloads(run(version, qos, &rows)), rows);
            }
        }
    }

    #[test]
    fn a_packet_that_came_in_loses_dup_and_retain() {
        let mut builder = RunBuilder::new(Version::V3, QoS::AtLeastOnce);
        builder.push_wire(b"\x3B\x06\x00\x01t\x00\x01x", 1);
        let run = builder.finish(false);
        assert_eq!(run.bytes(), b"\x32\x06\x00\x01t\x00\x01x");
        assert_eq!(payloads(run), [b"x"]);
    }

    #[test]
    fn a_run_is_cut_between_packets() {
        let rows: [&[u8]; 3] = [b"", b"x", b"yz"];
        for kept in 0..5 {
            let mut run = run(Version::V5, QoS::AtLeastOnce, &rows);
            let cut = run.truncate(kept);
            assert_eq!(cut, 3 - kept.min(3));
            assert_eq!(payloads(run), rows[..kept.min(3)]);
        }
    }

    #[test]
    fn a_run_that_waits_or_is_small_holds_no_large_buffer() {
        for (len, waits) in [(1, false), (50_000, true)] {
            let mut large = BytesMut::with_capacity(100_000);
            large.extend_from_slice(&vec![0; len]);
            let builder = RunBuilder {
                bytes: large,
                ..RunBuilder::new(Version::V3, QoS::AtMostOnce)
            };
            let buffer = builder.finish(waits).into_buffer().expect("nobody else has it");
            assert!(buffer.capacity() < len + 1000, "{}", buffer.capacity());
        }
    }
}
