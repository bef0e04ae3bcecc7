//! The keys of the tables: big-endian numbers, so that the order of bytes is the order of numbers.

use super::{StoreError, Table};
use crate::types::{ChannelId, CursorId, PacketId, Position, Sequence, SessionId, Timestamp};

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

/// The key of a session, of its place and of its will.
pub fn session_key(session: SessionId) -> [u8; 8] {
    session.0.to_be_bytes()
}

/// The session of such a key.
pub(crate) fn parse_session_key(table: Table, key: &[u8]) -> Result<SessionId, StoreError> {
    number(table, key).map(SessionId)
}

/// The key of a subscription: its session and its number there.
pub fn subscription_key(session: SessionId, number: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&session.0.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The session and number of a subscription's key.
pub(crate) fn parse_subscription_key(key: &[u8]) -> Result<(SessionId, u32), StoreError> {
    match key
        .split_first_chunk::<8>()
        .map(|(session, rest)| (session, rest.try_into()))
    {
        Some((session, Ok(number))) => Ok((SessionId(u64::from_be_bytes(*session)), u32::from_be_bytes(number))),
        _ => Err(StoreError::corrupt(
            Table::Subscriptions,
            key,
            "not a subscription's key",
        )),
    }
}

/// The key of a QoS 2 message that a session sent and has not released.
pub fn received_key(session: SessionId, packet_id: PacketId) -> [u8; 10] {
    let mut key = [0; 10];
    key[..8].copy_from_slice(&session.0.to_be_bytes());
    key[8..].copy_from_slice(&packet_id.get().to_be_bytes());
    key
}

/// The session and packet identifier of such a key.
pub(crate) fn parse_received_key(key: &[u8]) -> Result<(SessionId, PacketId), StoreError> {
    let parts = key
        .split_first_chunk::<8>()
        .map(|(session, rest)| (session, rest.try_into()));
    if let Some((session, Ok(packet_id))) = parts
        && let Some(packet_id) = PacketId::new(u16::from_be_bytes(packet_id))
    {
        return Ok((SessionId(u64::from_be_bytes(*session)), packet_id));
    }
    Err(StoreError::corrupt(
        Table::Received,
        key,
        "not the key of a packet identifier",
    ))
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
            let key = &[0; 12][..length];
            assert!(parse_index_key(key).is_err());
            assert!(parse_subscription_key(key).is_err());
        }
        assert!(parse_session_key(Table::Places, &[0; 7]).is_err());
        for length in 0..10 {
            assert!(parse_received_key(&[1; 10][..length]).is_err());
        }
    }

    #[test]
    fn keys_of_sessions_come_back_and_are_ordered_by_session() {
        let (session, packet_id) = (SessionId(300), PacketId::new(7).unwrap());
        let key = subscription_key(session, 9);
        assert_eq!(parse_subscription_key(&key).unwrap(), (session, 9));
        let key = received_key(session, packet_id);
        assert_eq!(parse_received_key(&key).unwrap(), (session, packet_id));
        assert_eq!(parse_session_key(Table::Wills, &session_key(session)).unwrap(), session);
        assert!(subscription_key(SessionId(2), u32::MAX) < subscription_key(SessionId(256), 1));
        assert!(parse_received_key(&[0; 10]).is_err(), "zero is no packet identifier");
    }
}
