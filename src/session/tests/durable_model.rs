//! Random traffic over a disk that is late, connections that break and brokers that are killed, against a client that
//! keeps count: nothing goes out before its row, QoS 2 comes exactly once, nothing is lost, order holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::durable::durable;
use super::*;

/// A row of the session as it was when it was submitted.
#[derive(Clone, Default)]
struct Snapshot {
    changes: u64,
    in_flight: Vec<InFlightPlace>,
    last_packet_id: u16,
    /// Positions that are done with.
    done: BTreeSet<u64>,
}

impl Snapshot {
    fn place(&self, packet_id: u16) -> Option<&InFlightPlace> {
        self.in_flight.iter().find(|place| place.packet_id == id(packet_id))
    }
}

/// What the client owes an answer to.
#[derive(Clone, Copy, Debug)]
enum Due {
    Acknowledge(u16),
    Receive(u16),
    Complete(u16),
}

struct World {
    random: fastrand::Rng,
    session: Session,
    done: BTreeSet<u64>,
    /// Rows on their way to disk, oldest first.
    under_way: VecDeque<Snapshot>,
    disk: Snapshot,
    /// The QoS of every message of the log; its position is its number from 1.
    log: Vec<u8>,
    /// The last position that was sent.
    sent_to: u64,
    due: Vec<Due>,
    /// What the client holds of QoS 2 until PUBREL, by identifier.
    held: BTreeMap<u16, u64>,
    /// How often each message reached the application.
    applied: BTreeMap<u64, u32>,
    /// The position that came last on this connection.
    last: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            session: durable(receive_maximum(4)),
            done: BTreeSet::new(),
            under_way: VecDeque::new(),
            disk: Snapshot::default(),
            log: Vec::new(),
            sent_to: 0,
            due: Vec::new(),
            held: BTreeMap::new(),
            applied: BTreeMap::new(),
            last: 0,
        }
    }

    fn step(&mut self) {
        match self.random.u8(0..40) {
            0 => self.break_connection(),
            1 => self.restart(),
            2..12 => self.log.push(self.random.u8(1..=2)),
            12..20 => self.submit(),
            20..28 => self.commit(),
            _ => self.answer(),
        }
        self.offer();
        self.read();
    }

    /// Sends what the log has for the session, as far as the client takes it.
    fn offer(&mut self) {
        self.finish_sources(|session| session.resend(NOW, usize::MAX));
        while self.session.resend_is_complete() && self.sent_to < self.log.len() as u64 {
            let next = self.sent_to + 1;
            let known = self.done.contains(&next) || self.is_in_flight(next);
            let message = self.message(next);
            if !known && !send(&mut self.session, message) {
                return;
            }
            self.sent_to = next;
        }
    }

    fn message(&self, position: u64) -> Delivery {
        kept(self.log[position as usize - 1], position)
    }

    fn is_in_flight(&self, position: u64) -> bool {
        let (places, _) = self.session.in_flight_places();
        places
            .iter()
            .any(|place| place.source == Source::Session(Position(position)))
    }

    fn finish_sources(&mut self, work: impl FnOnce(&mut Session) -> Vec<Source>) {
        assert!(work(&mut self.session).is_empty(), "no message is too large");
    }

    /// Sends the row as it is now on its way to disk.
    fn submit(&mut self) {
        let (in_flight, last_packet_id) = self.session.in_flight_places();
        self.under_way.push_back(Snapshot {
            changes: self.session.changes().0,
            in_flight,
            last_packet_id,
            done: self.done.clone(),
        });
    }

    /// The oldest row under way is on disk.
    fn commit(&mut self) {
        if let Some(row) = self.under_way.pop_front() {
            let changes = row.changes;
            self.disk = row;
            self.finish_sources(|session| session.saved(changes, NOW));
        }
    }

    /// The next connection comes when everything before it is on disk: its CONNACK waits for a later row.
    fn break_connection(&mut self) {
        // What stands in the output may have reached the client, or not.
        if self.random.bool() {
            self.read();
        }
        self.session.connection_lost();
        self.submit();
        let places = self.session.unload();
        while !self.under_way.is_empty() {
            self.commit();
        }
        self.connect(places);
    }

    /// The broker is killed: what is on disk is all there is.
    fn restart(&mut self) {
        if self.random.bool() {
            self.read();
        }
        // A row may have got there without anybody having heard of it.
        for _ in 0..self.random.usize(0..=self.under_way.len()) {
            self.disk = self.under_way.pop_front().expect("so many are under way");
        }
        self.under_way.clear();
        self.session = durable(v5());
        self.session.restore([], self.disk.last_packet_id);
        self.done = self.disk.done.clone();
        // The log is read again from the beginning; what is done or in flight is left out.
        self.sent_to = 0;
        self.connect(self.disk.in_flight.clone());
    }

    fn connect(&mut self, places: Vec<InFlightPlace>) {
        for place in places {
            let Source::Session(position) = place.source else {
                panic!("everything is in the log");
            };
            let delivery = (!place.completing).then(|| self.message(position.0));
            self.session.load(place, delivery);
        }
        self.session.resume(receive_maximum(self.random.u16(1..5)));
        self.due.clear();
        self.last = 0;
    }

    /// The client answers one of what it owes an answer to, any of it.
    fn answer(&mut self) {
        if self.due.is_empty() {
            return;
        }
        let acked = match self.due.swap_remove(self.random.usize(0..self.due.len())) {
            Due::Acknowledge(packet_id) => acknowledge(&mut self.session, Packet::PubAck, packet_id, 0),
            Due::Receive(packet_id) => acknowledge(&mut self.session, Packet::PubRec, packet_id, 0),
            Due::Complete(packet_id) => acknowledge(&mut self.session, Packet::PubComp, packet_id, 0),
        };
        if let Some(Source::Session(position)) = acked {
            self.done.insert(position.0);
        }
    }

    fn read(&mut self) {
        for line in written(&mut self.session) {
            let words: Vec<&str> = line.split(' ').collect();
            let packet_id = words.iter().find_map(|word| word.strip_prefix('#')?.parse().ok());
            let packet_id = packet_id.expect("QoS 1 and 2 only");
            match words[..2] {
                ["PUBLISH", "q1"] => {
                    self.came(position(&words));
                    self.due.push(Due::Acknowledge(packet_id));
                }
                ["PUBLISH", _] => self.came_exactly_once(packet_id, position(&words)),
                ["PUBREL", _] => {
                    let row = self.disk.place(packet_id).expect("PUBREL is on disk");
                    assert!(row.completing, "#{packet_id} is not completing on disk");
                    self.held.remove(&packet_id);
                    self.due.push(Due::Complete(packet_id));
                }
                _ => panic!("unexpected {line}"),
            }
        }
    }

    fn came(&mut self, position: u64) {
        assert!(position > self.last, "order: {position} after {}", self.last);
        self.last = position;
        *self.applied.entry(position).or_default() += 1;
    }

    fn came_exactly_once(&mut self, packet_id: u16, position: u64) {
        let row = self.disk.place(packet_id);
        let source = row.map(|place| place.source);
        assert_eq!(
            source,
            Some(Source::Session(Position(position))),
            "#{packet_id} on disk"
        );
        self.due.push(Due::Receive(packet_id));
        match self.held.insert(packet_id, position) {
            None => self.came(position),
            Some(earlier) => {
                assert_eq!(earlier, position, "another message under #{packet_id}");
                self.last = position;
            }
        }
    }

    /// Everything comes to its end.
    fn finish(&mut self) {
        for _ in 0..20 * self.log.len() + 100 {
            self.submit();
            self.commit();
            self.answer();
            self.offer();
            self.read();
        }
        assert_eq!((self.session.in_flight(), self.held.len()), (0, 0));
        for (position, qos) in (1..).zip(&self.log) {
            let times = self.applied.get(&position).copied().unwrap_or(0);
            let fits = if *qos == 2 { times == 1 } else { times >= 1 };
            assert!(fits, "QoS {qos} message {position} came {times} times");
        }
    }
}

fn position(words: &[&str]) -> u64 {
    let payload = words.last().expect("a payload");
    payload.trim_matches('\'').parse().expect("a number")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_goes_out_before_its_row_and_qos2_comes_exactly_once(seed: u64) {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
        }
        world.finish();
    }
}
