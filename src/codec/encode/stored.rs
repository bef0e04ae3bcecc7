//! The hot acknowledgements: PUBACK without a property, and PUBACK and PUBREC of a stored event, with its sequence.

use bytes::{BufMut, BytesMut};

use crate::codec::delivery::{MAX_DIGITS, SEQUENCE, decimal, put_pair};
use crate::types::{PacketId, ReasonCode, Sequence, Version};

/// Which acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAck {
    /// PUBACK, at QoS 1.
    PubAck,
    /// PUBREC, at QoS 2.
    PubRec,
}

/// No acknowledgement that [`encode_stored_ack`] writes is longer, bytes.
pub const MAX_STORED_ACK: u32 = 37;

/// No acknowledgement that [`encode_plain_puback`] writes is longer, bytes.
pub const MAX_PLAIN_PUBACK: u32 = 5;

/// Appends a PUBACK without properties. MQTT 3.1.1 has no place for the reason (section 3.4).
#[inline]
pub fn encode_plain_puback(packet_id: PacketId, reason: ReasonCode, version: Version, out: &mut BytesMut) {
    let [high, low] = packet_id.get().to_be_bytes();
    if version == Version::V3 || reason == ReasonCode::Success {
        out.extend_from_slice(&[0x40, 2, high, low]);
    } else {
        out.extend_from_slice(&[0x40, 3, high, low, reason.byte()]);
    }
}

/// Appends an MQTT 5 PUBACK or PUBREC with reason Success and the user property `es-seq`.
pub fn encode_stored_ack(kind: StoredAck, packet_id: PacketId, sequence: Sequence, out: &mut BytesMut) {
    let mut digits = [0; MAX_DIGITS];
    let digits = decimal(sequence.0, &mut digits);
    // Identifier, the two lengths of a string pair, the name, the value: all below 128, so each length is one byte.
    let properties = 1 + 2 + SEQUENCE.len() + 2 + digits.len();
    out.put_u8(match kind {
        StoredAck::PubAck => 0x40,
        StoredAck::PubRec => 0x50,
    });
    out.put_u8((2 + 1 + 1 + properties) as u8);
    out.put_u16(packet_id.get());
    out.put_u8(ReasonCode::Success.byte());
    out.put_u8(properties as u8);
    put_pair(SEQUENCE, digits, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Ack, Packet, encode};

    #[test]
    fn a_plain_puback_is_what_the_general_encoder_writes() {
        let packet_id = PacketId::new(258).expect("not zero");
        for version in [Version::V3, Version::V5] {
            for reason in [ReasonCode::Success, ReasonCode::NoMatchingSubscribers] {
                let (mut general, mut quick) = (BytesMut::new(), BytesMut::new());
                let ack = Packet::PubAck(Ack::new(packet_id, reason));
                encode(&ack, version, &mut general).expect("it can be written");
                encode_plain_puback(packet_id, reason, version, &mut quick);
                assert_eq!(quick, general);
                assert!(quick.len() as u32 <= MAX_PLAIN_PUBACK);
            }
        }
    }

    #[test]
    fn it_is_what_the_general_encoder_writes() {
        let packet_id = PacketId::new(258).expect("not zero");
        for sequence in [0, 1, 9, 10, 12_345, u64::MAX] {
            let mut ack = Ack::new(packet_id, ReasonCode::Success);
            ack.user_properties.push(("es-seq".into(), sequence.to_string()));
            let rows = [
                (StoredAck::PubAck, Packet::PubAck(ack.clone())),
                (StoredAck::PubRec, Packet::PubRec(ack)),
            ];
            for (kind, packet) in rows {
                let (mut general, mut quick) = (BytesMut::new(), BytesMut::new());
                encode(&packet, Version::V5, &mut general).expect("it can be written");
                encode_stored_ack(kind, packet_id, Sequence(sequence), &mut quick);
                assert_eq!(quick, general);
                assert!(quick.len() as u32 <= MAX_STORED_ACK);
            }
        }
    }
}
