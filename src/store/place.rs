//! How far a durable session has come, what is in flight to it, and the row of both. Sends nothing.

use super::bytes::{Input, QOS_BITS, put_positions, put_varint};
use super::message::{put_message, read_message};
use super::{StoreError, Table, parse_session_key};
use crate::types::{Message, PacketId, Position, QoS, SessionId};

/// The place of a session as it stands on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceRecord {
    /// The session.
    pub session: SessionId,
    /// Everything up to here is acknowledged or was not for it.
    pub floor: Position,
    /// What is acknowledged above the floor, ascending.
    pub acked: Vec<Position>,
    /// The highest position ever sent.
    pub sent: Position,
    /// The packet identifier given out last; 0 if none was.
    pub last_packet_id: u16,
    /// What is in flight, in the order sent.
    pub in_flight: Vec<InFlightRecord>,
}

/// A message that was sent and is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlightRecord {
    /// The packet identifier it was sent with.
    pub packet_id: PacketId,
    /// Where the message is.
    pub from: InFlightFrom,
    /// The QoS it was sent with.
    pub qos: QoS,
    /// The RETAIN it was sent with.
    pub retain: bool,
    /// PUBREC has come, PUBCOMP is awaited.
    pub completing: bool,
    /// The Subscription Identifiers it was sent with.
    pub subscription_ids: Vec<u32>,
}

/// Where a message in flight came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InFlightFrom {
    /// The log, for the plain subscriptions of the session.
    Session(Position),
    /// The log, for the replay or group subscription of this number.
    Replay(u32, Position),
    /// No log: its own copy, which is not needed any more once it is completing.
    Own(Option<Box<Message>>),
}

impl PlaceRecord {
    /// Appends the row's value; the key is the session.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.floor.0);
        put_varint(out, self.sent.0);
        put_varint(out, u64::from(self.last_packet_id));
        put_positions(out, &self.acked);
        put_varint(out, self.in_flight.len() as u64);
        let mut before = Before::default();
        for record in &self.in_flight {
            record.encode(&mut before, out);
        }
    }

    /// Reads a row.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let mut input = Input::new(Table::Places, key, value);
        let mut record = Self {
            session: parse_session_key(Table::Places, key)?,
            floor: Position(input.varint()?),
            sent: Position(input.varint()?),
            last_packet_id: read_u16(&mut input)?,
            acked: input.positions()?,
            in_flight: Vec::new(),
        };
        let count = input.varint()?;
        if count > input.rest().len() as u64 {
            return Err(input.corrupt("more in flight announced than there are bytes"));
        }
        record.in_flight.reserve(count as usize);
        let mut before = Before::default();
        for _ in 0..count {
            record.in_flight.push(InFlightRecord::decode(&mut before, &mut input)?);
        }
        input.end()?;
        Ok(record)
    }

    /// About what its row takes, bytes.
    pub(crate) fn size(&self) -> usize {
        let own = self.in_flight.iter().map(|record| match &record.from {
            InFlightFrom::Own(Some(message)) => message.size(),
            _ => 0,
        });
        8 * self.acked.len() + 32 * self.in_flight.len() + own.sum::<usize>()
    }
}

/// What the record before said: identifiers and positions are written as differences, mostly of one byte.
#[derive(Default)]
struct Before {
    packet_id: u16,
    position: u64,
}

impl Before {
    fn put_position(&mut self, position: Position, out: &mut Vec<u8>) {
        let difference = position.0.wrapping_sub(self.position) as i64;
        put_varint(out, (difference << 1 ^ difference >> 63) as u64);
        self.position = position.0;
    }

    fn position(&mut self, input: &mut Input<'_>) -> Result<Position, StoreError> {
        let folded = input.varint()?;
        let difference = (folded >> 1) ^ (folded & 1).wrapping_neg();
        self.position = self.position.wrapping_add(difference);
        Ok(Position(self.position))
    }
}

impl InFlightRecord {
    fn encode(&self, before: &mut Before, out: &mut Vec<u8>) {
        out.push(
            self.qos.bits()
                | if self.retain { RETAIN } else { 0 }
                | if self.completing { COMPLETING } else { 0 }
                | if self.subscription_ids.is_empty() { 0 } else { HAS_IDS }
                | match self.from {
                    InFlightFrom::Session(_) => FROM_SESSION,
                    InFlightFrom::Replay(..) => FROM_REPLAY,
                    InFlightFrom::Own(Some(_)) => FROM_OWN,
                    InFlightFrom::Own(None) => FROM_OWN_GONE,
                },
        );
        let packet_id = self.packet_id.get();
        put_varint(out, u64::from(packet_id.wrapping_sub(before.packet_id).wrapping_sub(1)));
        before.packet_id = packet_id;
        match &self.from {
            InFlightFrom::Session(position) => before.put_position(*position, out),
            InFlightFrom::Replay(number, position) => {
                put_varint(out, u64::from(*number));
                before.put_position(*position, out);
            }
            InFlightFrom::Own(Some(message)) => put_message(out, message),
            InFlightFrom::Own(None) => {}
        }
        if !self.subscription_ids.is_empty() {
            put_varint(out, self.subscription_ids.len() as u64);
            for id in &self.subscription_ids {
                put_varint(out, u64::from(*id));
            }
        }
    }

    fn decode(before: &mut Before, input: &mut Input<'_>) -> Result<Self, StoreError> {
        let (flags, qos) = input.flags(KNOWN_FLAGS)?;
        let step = read_u16(input)?;
        before.packet_id = before.packet_id.wrapping_add(step).wrapping_add(1);
        let Some(packet_id) = PacketId::new(before.packet_id) else {
            return Err(input.corrupt("zero is not a packet identifier"));
        };
        let from = match flags & FROM_BITS {
            FROM_SESSION => InFlightFrom::Session(before.position(input)?),
            FROM_REPLAY => InFlightFrom::Replay(input.varint_u32()?, before.position(input)?),
            FROM_OWN => InFlightFrom::Own(Some(Box::new(read_message(input)?))),
            _ => InFlightFrom::Own(None),
        };
        let mut subscription_ids = Vec::new();
        if flags & HAS_IDS != 0 {
            let count = input.varint()?;
            if count > input.rest().len() as u64 {
                return Err(input.corrupt("more identifiers announced than there are bytes"));
            }
            for _ in 0..count {
                subscription_ids.push(input.varint_u32()?);
            }
        }
        Ok(Self {
            packet_id,
            from,
            qos,
            retain: flags & RETAIN != 0,
            completing: flags & COMPLETING != 0,
            subscription_ids,
        })
    }
}

fn read_u16(input: &mut Input<'_>) -> Result<u16, StoreError> {
    u16::try_from(input.varint()?).map_err(|_| input.corrupt("a number is out of range"))
}

const RETAIN: u8 = 1 << 2;
const COMPLETING: u8 = 1 << 3;
const HAS_IDS: u8 = 1 << 4;
const FROM_BITS: u8 = 0b11 << 5;
const FROM_SESSION: u8 = 0;
const FROM_REPLAY: u8 = 1 << 5;
const FROM_OWN: u8 = 2 << 5;
const FROM_OWN_GONE: u8 = 3 << 5;
const KNOWN_FLAGS: u8 = QOS_BITS | RETAIN | COMPLETING | HAS_IDS | FROM_BITS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::message::tests::{assert_no_panic, assert_only_whole, message};
    use crate::store::session_key;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn in_flight(packet_id: u16, from: InFlightFrom) -> InFlightRecord {
        InFlightRecord {
            packet_id: PacketId::new(packet_id).unwrap(),
            from,
            qos: QoS::AtLeastOnce,
            retain: false,
            completing: false,
            subscription_ids: Vec::new(),
        }
    }

    fn place(in_flight: Vec<InFlightRecord>) -> PlaceRecord {
        PlaceRecord {
            session: SessionId(6),
            floor: Position(1 << 50),
            acked: vec![Position((1 << 50) + 4), Position((1 << 50) + 5)],
            sent: Position((1 << 50) + 90),
            last_packet_id: u16::MAX,
            in_flight,
        }
    }

    fn encode(record: &PlaceRecord) -> Vec<u8> {
        let mut value = Vec::new();
        record.encode(&mut value);
        value
    }

    fn decode(value: &[u8]) -> Result<PlaceRecord, StoreError> {
        PlaceRecord::decode(&session_key(SessionId(6)), value)
    }

    fn every_shape() -> PlaceRecord {
        place(vec![
            in_flight(u16::MAX, InFlightFrom::Session(Position(u64::MAX))),
            in_flight(1, InFlightFrom::Session(Position(0))),
            in_flight(7, InFlightFrom::Replay(u32::MAX, Position(5))),
            InFlightRecord {
                qos: QoS::ExactlyOnce,
                retain: true,
                subscription_ids: vec![1, 268_435_455],
                ..in_flight(6, InFlightFrom::Own(Some(Box::new(message("t")))))
            },
            InFlightRecord {
                qos: QoS::ExactlyOnce,
                completing: true,
                ..in_flight(5, InFlightFrom::Own(None))
            },
        ])
    }

    #[test]
    fn a_place_comes_back_unchanged_and_only_whole() {
        for record in [place(Vec::new()), every_shape()] {
            let value = encode(&record);
            assert_eq!(decode(&value).unwrap(), record);
            assert_only_whole(&value, decode);
            assert_no_panic(&value, decode);
        }
    }

    #[test]
    fn a_thousand_in_flight_in_order_take_about_three_bytes_each() {
        let first = 1 << 40;
        let sent = (0..1_000).map(|n| in_flight(n + 1, InFlightFrom::Session(Position(first + 3 * u64::from(n)))));
        let value = encode(&place(sent.collect()));
        assert!(value.len() < 3_100, "{}", value.len());
    }

    proptest! {
        #[test]
        fn any_place_comes_back(
            floor: u64,
            sent: u64,
            last_packet_id: u16,
            flights in vec((1u16.., 0..4u8, any::<u64>(), any::<u32>(), any::<bool>(), 0..3u8), 0..40),
        ) {
            let in_flight = flights.into_iter().map(|(packet_id, from, position, number, flag, qos)| {
                let from = match from {
                    0 => InFlightFrom::Session(Position(position)),
                    1 => InFlightFrom::Replay(number, Position(position)),
                    2 => InFlightFrom::Own(Some(Box::new(message("t/1")))),
                    _ => InFlightFrom::Own(None),
                };
                InFlightRecord {
                    qos: QoS::from_bits(qos).unwrap(),
                    retain: flag,
                    completing: !flag,
                    subscription_ids: vec![number; usize::from(qos)],
                    ..in_flight(packet_id, from)
                }
            });
            let record = PlaceRecord {
                floor: Position(floor),
                sent: Position(sent),
                last_packet_id,
                ..place(in_flight.collect())
            };
            prop_assert_eq!(decode(&encode(&record)).unwrap(), record);
        }
    }

    #[test]
    fn a_packet_identifier_of_zero_is_damage() {
        let mut value = encode(&place(Vec::new()));
        value.pop();
        value.extend_from_slice(&[1, 1, 0xff, 0xff, 3, 0]);
        assert!(decode(&value).is_err());
    }
}
