//! Random traffic against a client that keeps count: Receive Maximum is never exceeded, nothing is lost, order holds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// PUBLISH came; PUBACK or PUBREC is due.
    Published(u8),
    /// PUBREC was sent; PUBREL is awaited.
    Received,
    /// PUBREL came; PUBCOMP is due.
    Released,
}

/// The client's side of one session.
struct Peer {
    session: Session,
    random: fastrand::Rng,
    receive_maximum: u16,
    /// What is open on this connection, by packet identifier.
    open: BTreeMap<u16, Step>,
    /// Those of them that only their PUBREL opened: the message came over an earlier connection.
    releases: BTreeSet<u16>,
    /// The payload that each packet identifier stands for until it is done.
    numbers: BTreeMap<u16, u64>,
    next: u64,
    /// The number that came last for the first time.
    newest: u64,
}

impl Peer {
    fn new(seed: u64) -> Self {
        Self {
            session: session(receive_maximum(3)),
            random: fastrand::Rng::with_seed(seed),
            receive_maximum: 3,
            open: BTreeMap::new(),
            releases: BTreeSet::new(),
            numbers: BTreeMap::new(),
            next: 1,
            newest: 0,
        }
    }

    fn step(&mut self) {
        match self.random.u8(0..20) {
            0 => self.reconnect(),
            1..9 => self.offer(),
            _ => self.answer(),
        }
        self.read();
    }

    /// The broker has a message for the client.
    fn offer(&mut self) {
        let qos = self.random.u8(0..=2);
        if self.session.resend_is_complete() && send(&mut self.session, live(qos, &self.next.to_string())) {
            self.next += 1;
        }
    }

    fn reconnect(&mut self) {
        self.receive_maximum = self.random.u16(1..5);
        self.session.connection_lost();
        self.session.resume(receive_maximum(self.receive_maximum));
        self.open.clear();
        self.releases.clear();
    }

    /// Answers one of the open messages, any of them.
    fn answer(&mut self) {
        let due: Vec<(u16, Step)> = self.open.iter().map(|(id, step)| (*id, *step)).collect();
        let Some(&(packet_id, step)) = self.random.choice(&due) else {
            return;
        };
        let refuse = self.random.u8(0..8) == 0;
        let code = if refuse { 0x80 } else { 0 };
        match step {
            Step::Published(1) => {
                acknowledge(&mut self.session, Packet::PubAck, packet_id, code);
                self.done(packet_id);
            }
            Step::Published(_) => {
                acknowledge(&mut self.session, Packet::PubRec, packet_id, code);
                if refuse {
                    self.done(packet_id);
                } else {
                    self.open.insert(packet_id, Step::Received);
                }
            }
            Step::Received => {}
            Step::Released => {
                acknowledge(&mut self.session, Packet::PubComp, packet_id, 0);
                self.done(packet_id);
            }
        }
    }

    fn done(&mut self, packet_id: u16) {
        self.open.remove(&packet_id);
        self.releases.remove(&packet_id);
        self.numbers.remove(&packet_id);
    }

    fn read(&mut self) {
        self.session.resend(NOW, usize::MAX);
        for line in written(&mut self.session) {
            let words: Vec<&str> = line.split(' ').collect();
            let packet_id = words.iter().find_map(|word| word.strip_prefix('#')?.parse().ok());
            match (words[0], packet_id) {
                ("PUBLISH", Some(packet_id)) => self.published(packet_id, &words),
                ("PUBLISH", None) => self.newest = number(&words),
                ("PUBREL", Some(packet_id)) => self.released(packet_id),
                _ => panic!("unexpected {line}"),
            }
        }
        let publishes = self.open.len() - self.releases.len();
        assert!(publishes <= usize::from(self.receive_maximum), "{:?}", self.open);
    }

    fn published(&mut self, packet_id: u16, words: &[&str]) {
        let qos = words[1].trim_start_matches('q').parse().expect("a QoS");
        let number = number(words);
        assert!(!self.open.contains_key(&packet_id), "#{packet_id} is in use");
        if words.contains(&"dup") {
            assert_eq!(self.numbers.get(&packet_id), Some(&number), "the same message again");
        } else {
            assert!(number > self.newest, "order");
            self.newest = number;
            let earlier = self.numbers.insert(packet_id, number);
            assert_eq!(earlier, None, "#{packet_id} is in use");
        }
        let open_before = self.open.keys().filter_map(|id| self.numbers.get(id));
        assert!(open_before.max().is_none_or(|&before| before < number), "order");
        self.open.insert(packet_id, Step::Published(qos));
    }

    fn released(&mut self, packet_id: u16) {
        let step = self.open.insert(packet_id, Step::Released);
        assert!(matches!(step, None | Some(Step::Received)), "{step:?}");
        if step.is_none() {
            self.releases.insert(packet_id);
        }
    }

    /// Everything that is in flight comes to its end.
    fn finish(&mut self) {
        for _ in 0..100 {
            self.answer();
            self.read();
        }
        assert_eq!(self.session.in_flight(), 0, "{:?}", self.open);
        assert_eq!(self.session.send_quota(), self.receive_maximum);
        assert!(self.numbers.is_empty(), "lost: {:?}", self.numbers);
        assert_eq!(self.newest + 1, self.next);
    }
}

fn number(words: &[&str]) -> u64 {
    let payload = words.last().expect("a payload");
    payload.trim_matches('\'').parse().expect("a number")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn receive_maximum_order_and_identifiers_hold_under_random_traffic(seed: u64) {
        let mut peer = Peer::new(seed);
        for _ in 0..200 {
            peer.step();
        }
        peer.finish();
    }
}
