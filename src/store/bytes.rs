//! Numbers and byte strings in rows: big-endian, varints, lengths. Reading never panics and names the row.

use super::{StoreError, Table};
use crate::types::{Position, QoS};

/// Appends a number, seven bits a byte, lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a byte string with its length before it.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends ascending positions: their count, the first, then each one's distance from the one before.
pub(crate) fn put_positions(out: &mut Vec<u8>, positions: &[Position]) {
    put_varint(out, positions.len() as u64);
    let mut last = 0;
    for position in positions {
        debug_assert!(position.0 >= last, "positions are ascending");
        put_varint(out, position.0 - last);
        last = position.0;
    }
}

/// Where flags have a QoS.
pub(crate) const QOS_BITS: u8 = 0b11;

/// A row's value, read from the front.
pub(crate) struct Input<'a> {
    table: Table,
    key: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(table: Table, key: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            table,
            key,
            rest: value,
        }
    }

    pub(crate) fn corrupt(&self, what: &'static str) -> StoreError {
        StoreError::corrupt(self.table, self.key, what)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], StoreError> {
        let Some((head, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.corrupt("the row is too short"));
        };
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, StoreError> {
        Ok(self.array::<1>()?[0])
    }

    /// Flags whose lowest bits are a QoS; any but those of `known` are damage.
    pub(crate) fn flags(&mut self, known: u8) -> Result<(u8, QoS), StoreError> {
        let flags = self.u8()?;
        match QoS::from_bits(flags & QOS_BITS) {
            Some(qos) if flags & !known == 0 => Ok((flags, qos)),
            _ => Err(self.corrupt("unknown flags")),
        }
    }

    pub(crate) fn u16(&mut self) -> Result<u16, StoreError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StoreError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, StoreError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.corrupt("a number is out of range"))
    }

    /// A varint of at most 32 bits.
    pub(crate) fn varint_u32(&mut self) -> Result<u32, StoreError> {
        u32::try_from(self.varint()?).map_err(|_| self.corrupt("a number is out of range"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let length = self.varint()?;
        let length = usize::try_from(length).map_err(|_| self.corrupt("a length is out of range"))?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, StoreError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("text is not UTF-8"))
    }

    pub(crate) fn positions(&mut self) -> Result<Vec<Position>, StoreError> {
        let mut positions = Vec::new();
        self.positions_into(&mut positions)?;
        Ok(positions)
    }

    pub(crate) fn positions_into(&mut self, out: &mut Vec<Position>) -> Result<(), StoreError> {
        let count = self.varint()?;
        if count > self.rest.len() as u64 {
            return Err(self.corrupt("more positions announced than there are bytes"));
        }
        out.reserve(count as usize);
        let mut last = 0u64;
        for _ in 0..count {
            let delta = self.varint()?;
            last = last
                .checked_add(delta)
                .ok_or_else(|| self.corrupt("a position is out of range"))?;
            out.push(Position(last));
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Result<(), StoreError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.corrupt("the row is too long"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_at_every_width() {
        for bits in 0..64 {
            for number in [(1u64 << bits) - 1, 1 << bits, u64::MAX >> (63 - bits)] {
                let mut out = Vec::new();
                put_varint(&mut out, number);
                let mut input = Input::new(Table::Log, &[], &out);
                assert_eq!(input.varint().unwrap(), number);
                input.end().unwrap();
            }
        }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_is_damage() {
        let mut input = Input::new(Table::Log, &[], &[0xff; 11]);
        assert!(matches!(input.varint(), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn an_announced_count_does_not_allocate_what_is_not_there() {
        let mut value = Vec::new();
        put_varint(&mut value, u64::MAX);
        let mut input = Input::new(Table::Index, &[1, 2], &value);
        assert!(input.positions().is_err());
    }
}
