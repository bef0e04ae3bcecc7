//! Cuts packets out of bytes and finds the parts of a PUBLISH, and nothing else. Checks nothing that cutting does not need.

use rewindmq::types::Version;

use crate::error::BenchError;

/// One whole packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its first byte: type and flags.
    pub first: u8,
    /// All its bytes.
    pub bytes: &'a [u8],
    /// What is behind its fixed header.
    pub body: &'a [u8],
}

/// The parts of a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Topic name.
    pub topic: &'a [u8],
    /// Where its packet identifier is in the packet, and which; QoS 1 and 2.
    pub packet_id: Option<(usize, u16)>,
    /// The application's bytes.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first packet in these bytes, if it is there in full.
    ///
    /// # Errors
    /// If its length is longer than a length can be.
    pub fn cut(bytes: &'a [u8]) -> Result<Option<Self>, BenchError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let Some((body_len, len_bytes)) = variable(rest) else {
            return if rest.len() < MAX_LENGTH_BYTES {
                Ok(None)
            } else {
                Err(malformed("a length"))
            };
        };
        let start = 1 + len_bytes;
        Ok(bytes.get(..start + body_len).map(|bytes| Self {
            first,
            bytes,
            body: &bytes[start..],
        }))
    }

    /// Type of the packet, 1 (CONNECT) to 15 (AUTH).
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// Topic, packet identifier and payload of a PUBLISH.
    ///
    /// # Errors
    /// If it ends too early.
    pub fn publish(&self, version: Version) -> Result<Parts<'a>, BenchError> {
        self.parts(version).ok_or_else(|| malformed("a PUBLISH"))
    }

    fn parts(&self, version: Version) -> Option<Parts<'a>> {
        let (topic, mut rest) = string(self.body)?;
        let mut packet_id = None;
        if self.first & QOS_BITS != 0 {
            let (id, behind) = rest.split_first_chunk()?;
            packet_id = Some((self.bytes.len() - rest.len(), u16::from_be_bytes(*id)));
            rest = behind;
        }
        if version.has_properties() {
            let (len, len_bytes) = variable(rest)?;
            rest = rest.get(len_bytes + len..)?;
        }
        Some(Parts {
            topic,
            packet_id,
            payload: rest,
        })
    }
}

/// A string of the specification at the start of these bytes, and what is behind it.
pub fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// A variable byte integer, and how many bytes it takes (section 1.5.5).
pub fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(MAX_LENGTH_BYTES).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Something in the bytes that no packet can have.
pub fn malformed(what: &str) -> BenchError {
    BenchError::Format {
        file: "a connection".to_owned(),
        what: what.to_owned(),
    }
}

/// The longest Remaining Length takes this many bytes.
const MAX_LENGTH_BYTES: usize = 4;
/// Flags of PUBLISH that tell its QoS.
pub const QOS_BITS: u8 = 0x06;

/// Type of CONNECT.
pub const CONNECT: u8 = 1;
/// Type of PUBLISH.
pub const PUBLISH: u8 = 3;
/// Type of PUBACK.
pub const PUBACK: u8 = 4;
/// Type of SUBSCRIBE.
pub const SUBSCRIBE: u8 = 8;
/// Type of PINGREQ.
pub const PINGREQ: u8 = 12;
/// Type of DISCONNECT.
pub const DISCONNECT: u8 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_cut_only_when_it_is_whole() {
        let bytes = [0x32, 8, 0, 1, b't', 0, 9, 0, b'x', b'y', 0xC0, 0];
        for end in 0..10 {
            assert_eq!(Frame::cut(&bytes[..end]).expect("well-formed"), None);
        }
        let frame = Frame::cut(&bytes).expect("well-formed").expect("whole");
        assert_eq!((frame.kind(), frame.bytes.len()), (PUBLISH, 10));
        let parts = frame.publish(Version::V5).expect("a PUBLISH");
        assert_eq!(
            (parts.topic, parts.packet_id, parts.payload),
            (&b"t"[..], Some((5, 9)), &b"xy"[..])
        );
    }

    #[test]
    fn a_length_of_five_bytes_is_refused() {
        assert!(Frame::cut(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1]).is_err());
    }
}
