//! A record of the log: a message with its place, near its wire form. The topic is the channel's and not in it.

use super::bytes::{Input, QOS_BITS};
use super::message::{HAS_EXPIRY, HAS_PUBLISHER, KNOWN_FLAGS, RETAIN};
use super::{ChannelKind, StoreError, Table};
use crate::types::{ChannelId, ClientId, Message, MessageParts, QoS, Sequence, Timestamp};

/// The fixed part of a record: enough to place it, cheap to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// What kind of channel it belongs to.
    pub kind: ChannelKind,
    /// Its channel.
    pub channel: ChannelId,
    /// Its number in the channel.
    pub sequence: Sequence,
    /// When it was committed.
    pub time: Timestamp,
    flags: u8,
}

/// A record, borrowed from the store.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The fixed part.
    pub head: RecordHead,
    /// When the broker received the message.
    pub received: Timestamp,
    /// Message Expiry Interval, seconds.
    pub expiry_secs: Option<u32>,
    /// The client that published it.
    pub publisher: Option<&'a str>,
    /// Its PUBLISH properties as on the wire.
    pub properties: &'a [u8],
    /// The application's bytes.
    pub payload: &'a [u8],
}

impl RecordHead {
    /// Reads the fixed part of a record.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        Self::read(&mut Input::new(Table::Log, key, value))
    }

    fn read(input: &mut Input<'_>) -> Result<Self, StoreError> {
        let kind = match input.u8()? {
            EVENT_1 => ChannelKind::Event,
            HELD_1 => ChannelKind::Held,
            _ => return Err(input.corrupt("unknown kind of record")),
        };
        let flags = input.u8()?;
        if flags & !KNOWN_FLAGS != 0 || flags & QOS_BITS == QOS_BITS {
            return Err(input.corrupt("unknown flags"));
        }
        Ok(Self {
            kind,
            channel: ChannelId(input.u32()?),
            sequence: Sequence(input.u64()?),
            time: Timestamp(input.u64()?),
            flags,
        })
    }

    /// Whether the message was published with RETAIN.
    pub fn retain(&self) -> bool {
        self.flags & RETAIN != 0
    }

    /// The QoS the message was published with.
    pub fn qos(&self) -> QoS {
        QoS::from_bits(self.flags & QOS_BITS).expect("checked when it was read")
    }
}

impl<'a> Record<'a> {
    /// Appends a message as a record.
    ///
    /// # Panics
    /// If the publisher's identifier is longer than 65,535 bytes, which no CONNECT can carry.
    pub fn encode(
        message: &Message,
        kind: ChannelKind,
        channel: ChannelId,
        sequence: Sequence,
        time: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let expiry = message.expiry_secs();
        let publisher = message.publisher();
        let flags = message.qos().bits()
            | if message.retain() { RETAIN } else { 0 }
            | if expiry.is_some() { HAS_EXPIRY } else { 0 }
            | if publisher.is_some() { HAS_PUBLISHER } else { 0 };
        out.push(match kind {
            ChannelKind::Event => EVENT_1,
            ChannelKind::Held => HELD_1,
        });
        out.push(flags);
        out.extend_from_slice(&channel.0.to_be_bytes());
        for number in [sequence.0, time.0, message.received().0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        if let Some(secs) = expiry {
            out.extend_from_slice(&secs.to_be_bytes());
        }
        if let Some(client) = publisher {
            let client = client.as_str().as_bytes();
            let length = u16::try_from(client.len()).expect("a client identifier fits in 65,535 bytes");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(client);
        }
        let properties = u32::try_from(message.properties().len()).expect("properties fit in a packet");
        out.extend_from_slice(&properties.to_be_bytes());
        out.extend_from_slice(message.properties());
        out.extend_from_slice(message.payload());
    }

    /// Reads a record.
    pub fn decode(key: &'a [u8], value: &'a [u8]) -> Result<Self, StoreError> {
        let mut input = Input::new(Table::Log, key, value);
        let head = RecordHead::read(&mut input)?;
        let received = Timestamp(input.u64()?);
        let expiry_secs = match head.flags & HAS_EXPIRY {
            0 => None,
            _ => Some(input.u32()?),
        };
        let publisher = match head.flags & HAS_PUBLISHER {
            0 => None,
            _ => {
                let length = input.u16()?;
                let bytes = input.take(usize::from(length))?;
                Some(std::str::from_utf8(bytes).map_err(|_| input.corrupt("the publisher is not UTF-8"))?)
            }
        };
        let properties = input.u32()?;
        let properties = input.take(properties as usize)?;
        Ok(Self {
            head,
            received,
            expiry_secs,
            publisher,
            properties,
            payload: input.rest(),
        })
    }

    /// The message, copied, with the topic of its channel.
    pub fn message(&self, topic: &str) -> Message {
        Message::new(
            MessageParts {
                topic,
                properties: self.properties,
                payload: self.payload,
                qos: self.head.qos(),
                retain: self.head.retain(),
                expiry_secs: self.expiry_secs,
                received: self.received,
            },
            self.publisher.map(ClientId::from),
        )
    }
}

const EVENT_1: u8 = 1;
const HELD_1: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(qos: QoS, retain: bool, expiry_secs: Option<u32>, publisher: Option<&str>) -> Message {
        let parts = MessageParts {
            topic: "t/1",
            properties: &[1, 1, 3],
            payload: b"payload",
            qos,
            retain,
            expiry_secs,
            received: Timestamp(5),
        };
        Message::new(parts, publisher.map(ClientId::from))
    }

    fn encode(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        Record::encode(
            message,
            ChannelKind::Event,
            ChannelId(9),
            Sequence(4),
            Timestamp(8),
            &mut out,
        );
        out
    }

    #[test]
    fn every_shape_of_message_comes_back_unchanged() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for retain in [false, true] {
                for expiry in [None, Some(0), Some(u32::MAX)] {
                    for publisher in [None, Some(""), Some("client")] {
                        let original = message(qos, retain, expiry, publisher);
                        let value = encode(&original);
                        let record = Record::decode(&[0; 8], &value).unwrap();
                        assert_eq!(record.message("t/1"), original);
                        let head = record.head;
                        assert_eq!(
                            (head.channel, head.sequence, head.time),
                            (ChannelId(9), Sequence(4), Timestamp(8))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_short_record_is_damage_that_names_its_row() {
        let value = encode(&message(QoS::AtLeastOnce, false, Some(3), Some("c")));
        let payload_start = value.len() - 7;
        for length in 0..payload_start {
            let error = Record::decode(&[0, 0, 0, 0, 0, 0, 0, 9], &value[..length]).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("table log") && text.contains("0000000000000009"),
                "{text}"
            );
        }
    }

    #[test]
    fn junk_is_damage_and_no_panic() {
        fastrand::seed(3);
        let value = encode(&message(QoS::ExactlyOnce, true, Some(3), Some("c")));
        for _ in 0..5_000 {
            let mut junk = value.clone();
            for _ in 0..fastrand::usize(1..6) {
                let at = fastrand::usize(..junk.len());
                junk[at] = fastrand::u8(..);
            }
            if let Ok(record) = Record::decode(&[], &junk) {
                record.message("t");
            }
        }
    }
}
