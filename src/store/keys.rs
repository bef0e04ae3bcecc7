//! The keys of the tables: big-endian numbers, so that the order of bytes is the order of numbers.

use super::{StoreError, Table};
use crate::types::{ChannelId, CursorId, Position, Sequence, Timestamp};

/// The key of a record.
pub fn log_key(position: Position) -> [u8; 8] {
    position.0.to_be_bytes()
}

/// The key of a channel.
pub fn channel_key(channel: ChannelId) -> [u8; 4] {
    channel.0.to_be_bytes()
}

/// The key of a commit time.
pub fn time_key(time: Timestamp) -> [u8; 8] {
    time.0.to_be_bytes()
}

/// The key of a cursor and of its origin.
pub fn cursor_key(cursor: CursorId) -> [u8; 8] {
    cursor.0.to_be_bytes()
}

/// The key of the run that begins with this sequence.
pub fn index_key(channel: ChannelId, first: Sequence) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&channel.0.to_be_bytes());
    key[4..].copy_from_slice(&first.0.to_be_bytes());
    key
}

/// The channel and first sequence of a run's key.
pub fn parse_index_key(key: &[u8]) -> Result<(ChannelId, Sequence), StoreError> {
    match key.split_first_chunk::<4>() {
        Some((channel, first)) => Ok((
            ChannelId(u32::from_be_bytes(*channel)),
            Sequence(number(Table::Index, first)?),
        )),
        None => Err(StoreError::corrupt(Table::Index, key, "the key is too short")),
    }
}

/// The number that eight bytes of a key or a value are.
pub fn number(table: Table, bytes: &[u8]) -> Result<u64, StoreError> {
    match bytes.try_into() {
        Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
        Err(_) => Err(StoreError::corrupt(table, bytes, "not a number of eight bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_ordered_by_channel_and_then_by_sequence() {
        let keys = [(1, 1), (1, 256), (2, 1), (256, 1)].map(|(c, s)| index_key(ChannelId(c), Sequence(s)));
        assert!(keys.is_sorted());
        assert_eq!(parse_index_key(&keys[1]).unwrap(), (ChannelId(1), Sequence(256)));
    }

    #[test]
    fn a_short_key_is_damage() {
        for length in 0..12 {
            assert!(parse_index_key(&[0; 12][..length]).is_err());
        }
    }
}
