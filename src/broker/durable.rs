//! What a durable session has beyond others: its place in the log, and that place as it is saved.
//! Knows no other session.

use std::collections::VecDeque;
use std::sync::Arc;

use super::measured::Measured;
use super::plain::PlainReader;
use crate::cursor::AckFloor;
use crate::log::{Command, InFlightFrom, InFlightRecord, PlaceRecord};
use crate::session::{Delivery, InFlightPlace, Session, Source, SubscriptionKey};
use crate::types::{Position, SessionId, Timestamp};

/// The durable part of a session.
#[derive(Debug)]
pub(super) struct Durable {
    pub id: SessionId,
    /// When the session was made.
    pub created: Timestamp,
    /// How far the client has acknowledged what its plain subscriptions got.
    pub place: AckFloor,
    /// Reads the log while the session is behind.
    pub reader: Option<PlainReader>,
    /// What was read and is not sent.
    pub buffer: VecDeque<(Position, Delivery)>,
    /// Up to where the log was read.
    pub scanned_to: Position,
    /// While nobody is connected: the first message that is known to be wanted.
    pub first_wanted: Position,
    /// Whether the log is read; otherwise what arrives is queued in the mailbox.
    pub behind: bool,
    /// What is in flight while nobody is connected.
    pub parked: Vec<InFlightPlace>,
    /// The will that is on disk.
    pub has_will: bool,
    pub saved: Saved,
    /// What waited when it was counted last; if it never was, as if all that was ever written did.
    pub measured: Measured,
}

/// What is on its way to disk.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// The changes of what is in flight, and the floor, as they were submitted last.
    pub changes: u64,
    pub floor: Position,
    /// Whether a submitted row is not known to be durable yet.
    pub under_way: bool,
    /// Whether the next flush will ask for the row.
    pub noted: bool,
    /// Whether the row could not be written: only the next flush tries again.
    pub failed: bool,
}

impl Durable {
    /// A new session, which needs nothing up to `floor`.
    pub fn new(id: SessionId, created: Timestamp, floor: Position) -> Self {
        Self::at(id, created, AckFloor::new(floor))
    }

    /// A session as it was saved.
    pub fn restore(id: SessionId, created: Timestamp, record: &PlaceRecord) -> Self {
        let mut place = AckFloor::restore(record.floor, &record.acked, record.sent);
        let mut outstanding: Vec<Position> = record.in_flight.iter().filter_map(session_position).collect();
        outstanding.sort_unstable();
        for position in outstanding {
            if !place.is_acked(position) {
                place.sent(position);
            }
        }
        Self {
            parked: record.in_flight.iter().map(parked).collect(),
            ..Self::at(id, created, place)
        }
    }

    fn at(id: SessionId, created: Timestamp, place: AckFloor) -> Self {
        Self {
            id,
            created,
            reader: None,
            buffer: VecDeque::new(),
            scanned_to: place.read_to(),
            first_wanted: Position::default(),
            behind: true,
            parked: Vec::new(),
            has_will: false,
            measured: Measured::default(),
            saved: Saved {
                floor: place.floor(),
                ..Saved::default()
            },
            place,
        }
    }

    /// What was read and not sent is read again later.
    pub fn fall_behind(&mut self) {
        self.behind = true;
        self.buffer.clear();
        self.reader = None;
        self.scanned_to = self.place.read_to();
        self.first_wanted = Position::default();
    }

    /// Whether one more can be remembered above the floor: not while a client leaves its oldest message unacknowledged
    /// and so many others after it were acknowledged.
    pub fn has_room(&self) -> bool {
        self.place.tracked() < MOST_TRACKED
    }

    /// Gives up what is not sent up to a position.
    pub fn skip_to(&mut self, position: Position) {
        self.place.skip_to(position);
        self.fall_behind();
    }

    /// The session as it stands, for the disk.
    pub fn record(&self, session: &Session) -> PlaceRecord {
        let (mut in_flight, last_packet_id) = session.in_flight_places();
        if in_flight.is_empty() {
            in_flight.clone_from(&self.parked);
        }
        PlaceRecord {
            session: self.id,
            floor: self.place.floor(),
            acked: self.place.acked_above(),
            sent: self.place.highest_sent(),
            last_packet_id,
            in_flight: records(&in_flight),
        }
    }

    /// The command that saves the place, unless nothing has changed since it was saved last.
    pub fn save(&mut self, session: &Session) -> Option<(Command, u64)> {
        let (changes, _) = session.changes();
        let floor = self.place.floor();
        if changes == self.saved.changes && floor == self.saved.floor {
            return None;
        }
        (self.saved.changes, self.saved.floor) = (changes, floor);
        Some((Command::SavePlace(Box::new(self.record(session))), changes))
    }
}

fn session_position(record: &InFlightRecord) -> Option<Position> {
    match record.from {
        InFlightFrom::Session(position) => Some(position),
        InFlightFrom::Replay(..) | InFlightFrom::Own(_) => None,
    }
}

/// The rows of what is in flight. Messages that are in no log are in the rows, up to a bound: what is beyond it does not
/// outlive the broker.
fn records(in_flight: &[InFlightPlace]) -> Vec<InFlightRecord> {
    let mut left = MOST_OWN_BYTES;
    let records = in_flight.iter().map(|place| {
        let mut record = record(place);
        if let InFlightFrom::Own(message) = &mut record.from {
            let size = message.as_ref().map_or(0, |message| message.size());
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => *message = None,
            }
        }
        record
    });
    records.collect()
}

fn record(place: &InFlightPlace) -> InFlightRecord {
    let from = match place.source {
        Source::Session(position) => InFlightFrom::Session(position),
        Source::Replay(key, position) => InFlightFrom::Replay(key.0, position),
        Source::Live | Source::Shared(_) | Source::Retained | Source::Group(..) => {
            InFlightFrom::Own(place.message.as_deref().map(|message| Box::new(message.clone())))
        }
    };
    InFlightRecord {
        packet_id: place.packet_id,
        from,
        qos: place.qos,
        retain: place.retain,
        completing: place.completing,
        subscription_ids: place.subscription_ids.to_vec(),
    }
}

fn parked(record: &InFlightRecord) -> InFlightPlace {
    let (source, message) = match &record.from {
        InFlightFrom::Session(position) => (Source::Session(*position), None),
        InFlightFrom::Replay(number, position) => (Source::Replay(SubscriptionKey(*number), *position), None),
        InFlightFrom::Own(message) => (Source::Live, message.as_deref().cloned().map(Arc::new)),
    };
    InFlightPlace {
        packet_id: record.packet_id,
        qos: record.qos,
        source,
        retain: record.retain,
        subscription_ids: record.subscription_ids.iter().copied().collect(),
        completing: record.completing,
        message,
    }
}

/// Messages above the floor of a place; no fewer than there are packet identifiers.
const MOST_TRACKED: usize = u16::MAX as usize;
/// Bytes of messages in one row that are in no log.
const MOST_OWN_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests;
