//! A whole message within a row, its topic too: what is in no log, or must outlive it there.

use super::StoreError;
use super::bytes::{Input, QOS_BITS, put_bytes};
use crate::types::{ClientId, Message, MessageParts, Timestamp};

/// Appends a message.
pub(crate) fn put_message(out: &mut Vec<u8>, message: &Message) {
    let expiry = message.expiry_secs();
    let publisher = message.publisher();
    out.push(
        message.qos().bits()
            | if message.retain() { RETAIN } else { 0 }
            | if expiry.is_some() { HAS_EXPIRY } else { 0 }
            | if publisher.is_some() { HAS_PUBLISHER } else { 0 },
    );
    out.extend_from_slice(&message.received().0.to_be_bytes());
    if let Some(secs) = expiry {
        out.extend_from_slice(&secs.to_be_bytes());
    }
    if let Some(client) = publisher {
        put_bytes(out, client.as_str().as_bytes());
    }
    put_bytes(out, message.topic_bytes());
    put_bytes(out, message.properties());
    put_bytes(out, message.payload());
}

/// Reads a message.
pub(crate) fn read_message(input: &mut Input<'_>) -> Result<Message, StoreError> {
    let (flags, qos) = input.flags(KNOWN_FLAGS)?;
    let received = Timestamp(input.u64()?);
    let expiry_secs = match flags & HAS_EXPIRY {
        0 => None,
        _ => Some(input.u32()?),
    };
    let publisher = match flags & HAS_PUBLISHER {
        0 => None,
        _ => Some(ClientId::from(input.text()?)),
    };
    let topic = input.text()?;
    if topic.len() > usize::from(u16::MAX) {
        return Err(input.corrupt("a topic is too long"));
    }
    let parts = MessageParts {
        topic,
        properties: input.bytes()?,
        payload: input.bytes()?,
        qos,
        retain: flags & RETAIN != 0,
        expiry_secs,
        received,
    };
    Ok(Message::new(parts, publisher))
}

/// The flags of a message, in a row of its own and in a record of the log.
pub(super) const RETAIN: u8 = 1 << 2;
pub(super) const HAS_EXPIRY: u8 = 1 << 3;
pub(super) const HAS_PUBLISHER: u8 = 1 << 4;
pub(super) const KNOWN_FLAGS: u8 = QOS_BITS | RETAIN | HAS_EXPIRY | HAS_PUBLISHER;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::Table;
    use crate::types::QoS;

    /// A message that uses everything a message can have.
    pub(crate) fn message(topic: &str) -> Message {
        let parts = MessageParts {
            topic,
            properties: &[1, 1],
            payload: b"payload",
            qos: QoS::ExactlyOnce,
            retain: true,
            expiry_secs: Some(70_000),
            received: Timestamp(5),
        };
        Message::new(parts, Some(ClientId::from("c")))
    }

    /// Every row that `value` is cut off to must be damage, as must one that is too long.
    pub(crate) fn assert_only_whole<T>(value: &[u8], decode: impl Fn(&[u8]) -> Result<T, StoreError>) {
        for length in 0..value.len() {
            assert!(decode(&value[..length]).is_err(), "cut off at {length}");
        }
        let longer = [value, &[0]].concat();
        assert!(decode(&longer).is_err(), "a byte too many");
    }

    /// Whatever changed bytes do to a row, reading it ends.
    pub(crate) fn assert_no_panic<T>(value: &[u8], decode: impl Fn(&[u8]) -> Result<T, StoreError>) {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..5_000 {
            let mut junk = value.to_vec();
            for _ in 0..rng.usize(1..6) {
                let at = rng.usize(..junk.len());
                junk[at] = rng.u8(..);
            }
            let _ = decode(&junk);
        }
    }

    fn decode(value: &[u8]) -> Result<Message, StoreError> {
        let mut input = Input::new(Table::Retained, b"k", value);
        let message = read_message(&mut input)?;
        input.end()?;
        Ok(message)
    }

    #[test]
    fn every_shape_of_message_comes_back_unchanged() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for retain in [false, true] {
                for expiry_secs in [None, Some(0), Some(u32::MAX)] {
                    for publisher in [None, Some(""), Some("client")] {
                        let parts = MessageParts {
                            topic: "t/\u{e9}",
                            properties: &[1, 1],
                            payload: b"",
                            qos,
                            retain,
                            expiry_secs,
                            received: Timestamp(u64::MAX),
                        };
                        let original = Message::new(parts, publisher.map(ClientId::from));
                        let mut value = Vec::new();
                        put_message(&mut value, &original);
                        assert_eq!(decode(&value).unwrap(), original);
                    }
                }
            }
        }
    }

    #[test]
    fn a_short_or_changed_message_is_damage_and_no_panic() {
        let mut value = Vec::new();
        put_message(&mut value, &message("t/1"));
        assert_only_whole(&value, decode);
        assert_no_panic(&value, decode);
    }

    #[test]
    fn a_topic_longer_than_mqtt_knows_is_damage() {
        let mut value = vec![0];
        value.extend_from_slice(&[0; 8]);
        put_bytes(&mut value, &[b'a'; 65_536]);
        put_bytes(&mut value, b"");
        put_bytes(&mut value, b"");
        assert!(decode(&value).is_err());
    }
}
