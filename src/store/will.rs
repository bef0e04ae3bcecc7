//! What is kept of the will of a durable session, and its row. Publishes nothing.

use super::bytes::{Input, put_varint};
use super::message::{put_message, read_message};
use super::{StoreError, Table, parse_session_key};
use crate::types::{Message, SessionId};

/// A will as it stands on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillRecord {
    /// The session it belongs to.
    pub session: SessionId,
    /// Will Delay Interval, seconds.
    pub delay_secs: u32,
    /// What is to be published.
    pub message: Message,
}

impl WillRecord {
    /// Appends the row's value; the key is the session.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.delay_secs));
        put_message(out, &self.message);
    }

    /// Reads a row.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let mut input = Input::new(Table::Wills, key, value);
        let record = Self {
            session: parse_session_key(Table::Wills, key)?,
            delay_secs: input.varint_u32()?,
            message: read_message(&mut input)?,
        };
        input.end()?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::message::tests::{assert_no_panic, assert_only_whole, message};
    use crate::store::session_key;

    #[test]
    fn a_will_comes_back_unchanged_and_only_whole() {
        let record = WillRecord {
            session: SessionId(2),
            delay_secs: u32::MAX,
            message: message("last/words"),
        };
        let key = session_key(record.session);
        let mut value = Vec::new();
        record.encode(&mut value);
        let decode = |value: &[u8]| WillRecord::decode(&key, value);
        assert_eq!(decode(&value).unwrap(), record);
        assert_only_whole(&value, decode);
        assert_no_panic(&value, decode);
    }
}
