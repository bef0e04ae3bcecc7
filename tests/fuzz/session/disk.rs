//! The disk of a durable session: a log, and rows of the session that get there late or not at all.

use std::collections::{BTreeSet, VecDeque};

use rewindmq::session::{InFlightPlace, Session, Source};
use rewindmq::types::PacketId;

use super::subscriber::Offered;

/// A row of the session as it was when it was submitted.
#[derive(Clone, Default)]
struct Row {
    changes: u64,
    in_flight: Vec<InFlightPlace>,
    last_packet_id: u16,
    done: BTreeSet<u64>,
}

#[derive(Default)]
pub struct Disk {
    /// Messages for the session; the first has position 1.
    pub log: Vec<Offered>,
    /// The last position that was sent.
    pub sent_to: u64,
    /// Positions that are done with.
    pub done: BTreeSet<u64>,
    under_way: VecDeque<Row>,
    row: Row,
}

impl Disk {
    /// Sends the row as it is now on its way.
    pub fn submit(&mut self, session: &Session) {
        if self.under_way.len() > 32 {
            return;
        }
        let (in_flight, last_packet_id) = session.in_flight_places();
        self.under_way.push_back(Row {
            changes: session.changes().0,
            in_flight,
            last_packet_id,
            done: self.done.clone(),
        });
    }

    /// The oldest row under way is there: gives the number of its last change.
    pub fn commit(&mut self) -> Option<u64> {
        self.row = self.under_way.pop_front()?;
        Some(self.row.changes)
    }

    /// Whether rows are under way.
    pub fn is_behind(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Some of what was under way may have got there; the rest is lost. Gives what was in flight.
    pub fn broker_killed(&mut self, arrived: u8) -> Vec<InFlightPlace> {
        for _ in 0..usize::from(arrived) % (self.under_way.len() + 1) {
            self.commit();
        }
        self.under_way.clear();
        self.done = self.row.done.clone();
        self.sent_to = 0;
        self.row.in_flight.clone()
    }

    pub fn last_packet_id(&self) -> u16 {
        self.row.last_packet_id
    }

    /// Puts back what was in flight, with its messages from the log.
    pub fn load(&self, session: &mut Session, places: Vec<InFlightPlace>) {
        for place in places {
            let delivery = match (place.source, place.completing) {
                (_, true) => None,
                (Source::Session(position), false) => Some(self.log[position.0 as usize - 1].delivery(position.0)),
                (source, _) => panic!("{source:?} is not in the log"),
            };
            session.load(place, delivery);
        }
    }

    /// The next message of the log that is neither done nor in flight.
    pub fn next(&mut self, session: &Session) -> Option<(u64, Offered)> {
        while let Some(message) = self.log.get(self.sent_to as usize) {
            let position = self.sent_to + 1;
            if !self.done.contains(&position) && !is_in_flight(session, position) {
                return Some((position, *message));
            }
            self.sent_to = position;
        }
        None
    }

    /// What the row on disk has under a packet identifier: the position, and whether PUBREL is what goes out again.
    pub fn place(&self, packet_id: PacketId) -> Option<(Source, bool)> {
        let mut places = self.row.in_flight.iter();
        let place = places.find(|place| place.packet_id == packet_id)?;
        Some((place.source, place.completing))
    }
}

fn is_in_flight(session: &Session, position: u64) -> bool {
    let (places, _) = session.in_flight_places();
    let mut sources = places.iter().map(|place| place.source);
    sources.any(|source| matches!(source, Source::Session(there) if there.0 == position))
}
