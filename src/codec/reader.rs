//! A cursor over the bytes of one packet: the data types of section 1.5. Knows no packet.

use super::error::DecodeError;
use crate::types::PacketId;

/// What is still unread of a packet, or of a part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, still unread.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads all that is left.
    #[inline]
    pub(super) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Variable Byte Integer (section 1.5.5).
    #[inline]
    pub(super) fn variable(&mut self) -> Result<u32, DecodeError> {
        let (value, len) = variable(self.rest)?.ok_or_else(cut_short)?;
        self.rest = &self.rest[len..];
        Ok(value)
    }

    /// Binary Data (section 1.5.6).
    #[inline]
    pub(super) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// UTF-8 Encoded String (section 1.5.4).
    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.binary()?;
        // [MQTT-1.5.4-1] [MQTT-1.5.3-1 of 3.1.1]: surrogates are ill-formed UTF-8 already.
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::malformed("a string is not UTF-8"))?;
        if bytes.contains(&0) {
            // [MQTT-1.5.4-2]
            return Err(DecodeError::malformed("a string contains U+0000"));
        }
        Ok(text)
    }

    /// A packet identifier, which is never 0 [MQTT-2.2.1-3].
    #[inline]
    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or_else(|| DecodeError::malformed("packet identifier 0"))
    }

    /// Refuses bytes behind the end of what the packet holds.
    #[inline]
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(DecodeError::malformed("bytes behind the end of the packet"))
    }
}

/// The variable byte integer at the start of `bytes` with its length; `None` if more bytes are needed.
#[inline]
pub(super) fn variable(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            if *byte == 0 && index > 0 {
                // [MQTT-1.5.5-1]
                return Err(DecodeError::malformed("a length in more bytes than it needs"));
            }
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= 4 {
        return Err(DecodeError::malformed("a length of more than four bytes"));
    }
    Ok(None)
}

#[cold]
fn cut_short() -> DecodeError {
    DecodeError::malformed("the packet ends inside a field")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_byte_integers_at_their_borders() {
        type Row<'a> = (&'a [u8], Option<(u32, usize)>);
        let rows: &[Row<'_>] = &[
            (&[], None),
            (&[0x00], Some((0, 1))),
            (&[0x7F], Some((127, 1))),
            (&[0x80], None),
            (&[0x80, 0x01], Some((128, 2))),
            (&[0xFF, 0x7F, 9], Some((16_383, 2))),
            (&[0x80, 0x80, 0x01], Some((16_384, 3))),
            (&[0xFF, 0xFF, 0x7F], Some((2_097_151, 3))),
            (&[0x80, 0x80, 0x80], None),
            (&[0x80, 0x80, 0x80, 0x01], Some((2_097_152, 4))),
            (&[0xFF, 0xFF, 0xFF, 0x7F], Some((268_435_455, 4))),
        ];
        for (bytes, expected) in rows {
            assert_eq!(variable(bytes), Ok(*expected), "{bytes:02X?}");
        }
    }

    #[test]
    fn variable_byte_integers_that_are_too_long_are_malformed() {
        for bytes in [
            &[0x80, 0x00][..],
            &[0xFF, 0x80, 0x00],
            &[0xFF, 0xFF, 0xFF, 0x80],
            &[0x80, 0x80, 0x80, 0x00],
            &[0xFF; 5],
        ] {
            assert!(variable(bytes).is_err(), "{bytes:02X?}");
        }
    }

    #[test]
    fn strings_are_well_formed_and_without_nul() {
        let good = [
            &b"\x00\x00"[..],
            b"\x00\x02\xC3\xA9",
            b"\x00\x03\xEF\xBB\xBF",
            b"\x00\x03\xEF\xBF\xBF",
        ];
        for bytes in good {
            assert!(Reader::new(bytes).text().is_ok(), "{bytes:02X?}");
        }
        let bad = [
            &b""[..],
            b"\x00",
            b"\x00\x01",
            b"\x00\x01\xFF",
            b"\x00\x03a\x00b",
            b"\x00\x02\xC0\x80",
            b"\x00\x03\xED\xA0\x80",
            b"\x00\x04\xF4\x90\x80\x80",
            b"\x00\x01\xC3\xA9",
        ];
        for bytes in bad {
            assert!(Reader::new(bytes).text().is_err(), "{bytes:02X?}");
        }
    }
}
