//! What is kept of a durable session, and its row. Knows nothing of packets.

use super::bytes::{Input, put_bytes, put_varint};
use super::{StoreError, Table, parse_session_key};
use crate::types::{SessionId, Timestamp};

/// A durable session as it stands on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The store's name for it.
    pub id: SessionId,
    /// The client it belongs to.
    pub client_id: String,
    /// Session Expiry Interval, seconds; `u32::MAX` is never.
    pub expiry_secs: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When its client went away; `None` if it was connected when this was written.
    pub disconnected: Option<Timestamp>,
    /// The user it belongs to, if one has authenticated for it.
    pub owner: Option<String>,
}

impl SessionRecord {
    /// Appends the row's value; the key is the identifier.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(flag(self.disconnected.is_some(), HAS_DISCONNECTED) | flag(self.owner.is_some(), HAS_OWNER));
        put_varint(out, u64::from(self.expiry_secs));
        out.extend_from_slice(&self.created.0.to_be_bytes());
        if let Some(time) = self.disconnected {
            out.extend_from_slice(&time.0.to_be_bytes());
        }
        put_bytes(out, self.client_id.as_bytes());
        if let Some(owner) = &self.owner {
            put_bytes(out, owner.as_bytes());
        }
    }

    /// Reads a row.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let mut input = Input::new(Table::Sessions, key, value);
        let flags = input.u8()?;
        if flags & !(HAS_DISCONNECTED | HAS_OWNER) != 0 {
            return Err(input.corrupt("unknown flags"));
        }
        let record = Self {
            id: parse_session_key(Table::Sessions, key)?,
            expiry_secs: input.varint_u32()?,
            created: Timestamp(input.u64()?),
            disconnected: match flags & HAS_DISCONNECTED {
                0 => None,
                _ => Some(Timestamp(input.u64()?)),
            },
            client_id: input.text()?.to_owned(),
            owner: match flags & HAS_OWNER {
                0 => None,
                _ => Some(input.text()?.to_owned()),
            },
        };
        input.end()?;
        Ok(record)
    }
}

const HAS_DISCONNECTED: u8 = 1;
const HAS_OWNER: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::message::tests::{assert_no_panic, assert_only_whole};
    use crate::store::session_key;

    #[test]
    fn a_session_comes_back_unchanged_and_only_whole() {
        for (expiry_secs, disconnected, owner) in [
            (0, None, None),
            (u32::MAX, Some(Timestamp(0)), Some("ann".to_owned())),
            (9, Some(Timestamp(u64::MAX)), None),
            (9, None, Some("caf\u{e9}".to_owned())),
        ] {
            let record = SessionRecord {
                id: SessionId(77),
                client_id: "caf\u{e9}".into(),
                expiry_secs,
                created: Timestamp(4),
                disconnected,
                owner,
            };
            let key = session_key(record.id);
            let mut value = Vec::new();
            record.encode(&mut value);
            let decode = |value: &[u8]| SessionRecord::decode(&key, value);
            assert_eq!(decode(&value).unwrap(), record);
            assert_only_whole(&value, decode);
            assert_no_panic(&value, decode);
        }
    }

    #[test]
    fn damage_names_its_table_and_key() {
        let text = SessionRecord::decode(&session_key(SessionId(9)), &[])
            .unwrap_err()
            .to_string();
        assert!(text.contains("table sessions, key 0000000000000009"), "{text}");
    }
}
