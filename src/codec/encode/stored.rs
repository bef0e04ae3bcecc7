//! PUBACK and PUBREC of a stored event, with its sequence: the one acknowledgement with a property that is hot.

use bytes::{BufMut, BytesMut};

use crate::codec::delivery::{MAX_DIGITS, SEQUENCE, decimal, put_pair};
use crate::types::{PacketId, ReasonCode, Sequence};

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
    use crate::types::Version;

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
