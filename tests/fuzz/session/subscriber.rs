//! The client as a subscriber, and what it may count on: Receive Maximum, identifiers, order, QoS 2 exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rewindmq::codec::{Ack, Packet, Publish, RunBuilder};
use rewindmq::session::{Delivery, EventPlace, LinkOptions, Sent, Session, Source, SubscriptionIds, SubscriptionKey};
use rewindmq::types::{Message, MessageParts, PacketId, Position, QoS, Sequence, Timestamp, Version};

use super::ack;
use super::disk::Disk;
use super::script::Script;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromWhere {
    Live,
    Replay,
    Group,
    Log,
}

/// A message that the broker has for the client.
#[derive(Clone, Copy, Debug)]
pub struct Offered {
    pub qos: u8,
    pub source: FromWhere,
    pub topic: u8,
    pub padding: usize,
    pub retain: bool,
    pub expiry_secs: Option<u32>,
    pub received: Timestamp,
}

/// What became of it.
pub enum Went {
    Out,
    Back,
    Nowhere,
}

/// What the client owes an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Acknowledge,
    Receive,
    /// PUBREC was sent.
    Release,
    Complete,
}

pub struct Subscriber {
    options: LinkOptions,
    next: u64,
    /// Where each message in flight comes from, by its number; without those that need not come.
    flight: BTreeMap<u64, (Source, u8)>,
    due: BTreeMap<PacketId, Due>,
    /// Of those, what only a PUBREL on this connection has opened.
    only_released: BTreeSet<PacketId>,
    /// The number of the message that an identifier stands for.
    numbers: BTreeMap<PacketId, u64>,
    /// QoS 2 identifiers that the client keeps until PUBREL.
    held: BTreeMap<PacketId, u64>,
    /// QoS 2 messages that the application has.
    applied: BTreeSet<u64>,
    aliases: BTreeMap<u16, String>,
    last: u64,
}

impl Offered {
    pub fn delivery(&self, number: u64) -> Delivery {
        let qos = QoS::from_bits(self.qos).expect("a QoS");
        let payload = format!("{number}{}", ".".repeat(self.padding));
        let topic = format!("t{}", self.topic);
        let message = Message::new(
            MessageParts {
                topic: &topic,
                properties: &[],
                payload: payload.as_bytes(),
                qos,
                retain: self.retain,
                expiry_secs: self.expiry_secs,
                received: self.received,
            },
            None,
        );
        let (key, position) = (SubscriptionKey(1), Position(number));
        let event = EventPlace {
            sequence: Sequence(number),
            time: self.received,
            redelivered: self.retain,
        };
        let (source, event) = match self.source {
            FromWhere::Live => (Source::Live, None),
            FromWhere::Replay => (Source::Replay(key, position), Some(event)),
            FromWhere::Group => (Source::Group(key, position), Some(event)),
            FromWhere::Log => (Source::Session(position), None),
        };
        Delivery {
            message: Arc::new(message),
            qos,
            retain: self.retain,
            subscription_ids: SubscriptionIds::from_slice(&[7][..usize::from(self.topic & 1)]),
            source,
            event,
        }
    }
}

impl Subscriber {
    pub fn new(options: LinkOptions) -> Self {
        Self {
            options,
            next: 1,
            flight: BTreeMap::new(),
            due: BTreeMap::new(),
            only_released: BTreeSet::new(),
            numbers: BTreeMap::new(),
            held: BTreeMap::new(),
            applied: BTreeSet::new(),
            aliases: BTreeMap::new(),
            last: 0,
        }
    }

    /// The broker sends a message that is in no log, if the client takes it now.
    pub fn offer(&mut self, session: &mut Session, message: Offered, now: Timestamp) {
        // Numbers of what is in a log are positions; these are far above.
        let number = UNLOGGED + self.next;
        self.next += 1;
        let plain = message.source == FromWhere::Live && message.qos < 2 && !message.retain;
        if plain && message.expiry_secs.is_none() && session.takes_runs(self.options.version) {
            self.send_run(session, number, message);
        } else {
            self.send(session, number, message, now);
        }
    }

    /// The same for a message whose packet is ready: after the connection nothing of it is left.
    fn send_run(&mut self, session: &mut Session, number: u64, message: Offered) {
        let delivery = message.delivery(number);
        let mut run = RunBuilder::new(self.options.version, delivery.qos);
        let parts = &delivery.message;
        run.push(
            parts.topic_bytes(),
            parts.properties(),
            parts.payload(),
            &delivery.subscription_ids,
        );
        let could_go = session.can_send(delivery.qos);
        let (sent, left) = session.send_run(run.finish(false));
        assert_eq!((sent.messages == 1, left.is_none()), (could_go, could_go));
        if could_go && message.qos > 0 {
            let forgotten = Source::Group(SubscriptionKey(2), Position(number));
            self.flight.insert(number, (forgotten, message.qos));
        }
    }

    pub fn send(&mut self, session: &mut Session, number: u64, message: Offered, now: Timestamp) -> Went {
        let delivery = message.delivery(number);
        let source = delivery.source;
        match session.send(delivery, now) {
            Sent::Written => {
                if message.qos > 0 {
                    self.flight.insert(number, (source, message.qos));
                }
                Went::Out
            }
            Sent::Blocked(_) => Went::Back,
            Sent::Dropped(..) => Went::Nowhere,
        }
    }

    /// Answers one of what is due: acknowledges it, or refuses it.
    pub fn answer(&mut self, script: &mut Script, honest: bool) -> Option<Packet<'static>> {
        let (choice, number) = (script.byte(), script.byte());
        let refuse = choice & 0xF0 == 0xF0;
        if !honest {
            let ack = ack(PacketId::new(u16::from(number % 12) + 1)?, refuse);
            return Some(match choice % 3 {
                0 => Packet::PubAck(ack),
                1 => Packet::PubRec(ack),
                _ => Packet::PubComp(ack),
            });
        }
        let open: Vec<_> = self.due.iter().filter(|(_, due)| **due != Due::Release).collect();
        let (&id, &due) = *open.get(usize::from(number) % open.len().max(1))?;
        Some(match due {
            Due::Acknowledge => Packet::PubAck(ack(id, refuse)),
            Due::Receive => Packet::PubRec(ack(id, refuse)),
            Due::Complete | Due::Release => Packet::PubComp(ack(id, false)),
        })
    }

    /// Takes note of what the client sends.
    pub fn sends(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::PubAck(ack) => self.is_over(ack.packet_id),
            Packet::PubRec(ack) if ack.reason.is_error() => {
                // What it refuses it has not taken.
                if let Some(number) = self.held.remove(&ack.packet_id) {
                    self.applied.remove(&number);
                }
                self.is_over(ack.packet_id);
            }
            Packet::PubRec(ack) => {
                if let Some(due) = self.due.get_mut(&ack.packet_id) {
                    *due = Due::Release;
                }
            }
            Packet::PubComp(ack) => self.is_over(ack.packet_id),
            _ => {}
        }
    }

    fn is_over(&mut self, id: PacketId) {
        self.due.remove(&id);
        self.only_released.remove(&id);
        if let Some(number) = self.numbers.remove(&id) {
            self.flight.remove(&number);
        }
    }

    /// The broker was killed: QoS 1 identifiers that were not on disk yet may come with other messages.
    pub fn broker_killed(&mut self) {
        self.numbers.clear();
    }

    /// Something that has a cursor is done.
    pub fn finished(&mut self, source: Source) {
        self.flight.retain(|_, (there, _)| *there != source);
    }

    /// A QoS 1 message of a replay that another goes on with.
    pub fn give_up(&mut self) -> Option<Source> {
        let mut replays = self.flight.iter_mut();
        let found = replays.find(|(_, (source, qos))| matches!(source, Source::Replay(..)) && *qos == 1);
        let (_, (source, _)) = found?;
        // From now on it is like a message of a group: with the connection it is gone.
        let Source::Replay(key, position) = *source else {
            return None;
        };
        *source = Source::Group(key, position);
        Some(Source::Replay(key, position))
    }

    /// PUBLISH.
    pub fn came(&mut self, publish: &Publish<'_>, honest: bool, disk: Option<&Disk>) {
        let topic = self.topic(publish);
        let text = std::str::from_utf8(publish.payload).expect("a number");
        let number: u64 = text.trim_end_matches('.').parse().expect("a number");
        assert_eq!(topic.as_bytes()[0], b't');
        let Some(id) = publish.packet_id else {
            return;
        };
        if !honest {
            return;
        }
        let earlier = self.due.get(&id);
        assert!(earlier.is_none(), "{id} is in flight: {earlier:?}");
        if let Some(known) = self.numbers.insert(id, number)
            && publish.dup
        {
            assert_eq!(known, number, "another message again under {id}");
        }
        assert!(number > self.last, "order: {number} after {}", self.last);
        self.last = number;
        if publish.qos == QoS::AtLeastOnce {
            self.due.insert(id, Due::Acknowledge);
            return;
        }
        self.due.insert(id, Due::Receive);
        if let Some(disk) = disk
            && number < UNLOGGED
        {
            let there = disk.place(id).map(|(source, _)| source);
            assert_eq!(there, Some(Source::Session(Position(number))), "{id} is not on disk");
        }
        match self.held.insert(id, number) {
            None => assert!(self.applied.insert(number), "QoS 2 message {number} came twice"),
            Some(earlier) => assert_eq!(earlier, number, "another QoS 2 message under {id}"),
        }
    }

    fn topic(&mut self, publish: &Publish<'_>) -> String {
        let Some(alias) = publish.topic_alias else {
            assert!(!publish.topic.is_empty(), "no topic");
            return publish.topic.to_owned();
        };
        let allowed = 1..=self.options.client_topic_alias_maximum;
        assert!(allowed.contains(&alias), "alias {alias}");
        if !publish.topic.is_empty() {
            self.aliases.insert(alias, publish.topic.to_owned());
        }
        self.aliases.get(&alias).expect("an alias that was set").clone()
    }

    /// PUBREL.
    pub fn released(&mut self, ack: &Ack, honest: bool, disk: Option<&Disk>) {
        let id = ack.packet_id;
        if !honest {
            return;
        }
        let before = self.due.insert(id, Due::Complete);
        assert!(matches!(before, None | Some(Due::Release)), "PUBREL {id}: {before:?}");
        if before.is_none() {
            self.only_released.insert(id);
        }
        if let Some(disk) = disk {
            assert_eq!(
                disk.place(id).map(|(_, completing)| completing),
                Some(true),
                "PUBREL {id} is not on disk"
            );
        }
        self.held.remove(&id);
    }

    /// Never more on the way than the client asked for.
    pub fn keeps_receive_maximum(&self) {
        let open = self.due.len() - self.only_released.len();
        let maximum = usize::from(self.options.client_receive_maximum);
        assert!(
            open <= maximum,
            "{open} on the way, Receive Maximum {maximum}: {:?}",
            self.due
        );
    }

    pub fn connection_lost(&mut self, options: LinkOptions) {
        assert!(options.version == Version::V5 || options.client_topic_alias_maximum == 0);
        self.options = options;
        self.due.clear();
        self.only_released.clear();
        self.aliases.clear();
        self.last = 0;
        // Other members of the group get these.
        self.flight
            .retain(|_, (source, _)| !matches!(source, Source::Group(..)));
        let flight = &self.flight;
        self.numbers
            .retain(|_, number| flight.contains_key(number) || *number < UNLOGGED);
    }

    /// At the end nothing is open, and what the log had is done.
    pub fn has_everything(&self, disk: &Disk) {
        assert_eq!(self.due, BTreeMap::new(), "unanswered");
        assert_eq!(disk.done.len(), disk.log.len(), "messages of the log that are not done");
    }
}

/// Numbers from here on are of messages that are in no log.
const UNLOGGED: u64 = 1 << 32;
