//! A publisher with a durable session. It keeps what is unanswered, and sends it again in order with DUP on the next
//! connection.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rewindmq::codec::{Ack, Packet};
use rewindmq::types::{PacketId, ReasonCode, Version};

use super::durable;
use super::ledger::{Ledger, StreamId};
use super::life::{End, Life, Moment};
use crate::client::{Client, DEADLINE, Post, Received, post};

/// Messages on their way.
const WINDOW: usize = 8;
/// Packet identifiers are used again soon: 1 to this.
const PACKET_IDS: u16 = 20;
/// The longest rest after a burst, ms.
const REST_MS: u64 = 20;

pub struct Publisher {
    pub name: &'static str,
    version: Version,
    qos: u8,
    retain: bool,
    streams: Vec<StreamId>,
    ledger: Arc<Ledger>,
    random: fastrand::Rng,
    has_session: bool,
    /// What is unanswered, in the order it was sent.
    open: VecDeque<Open>,
    last_packet_id: u16,
    /// The sequence that the broker gave to a message.
    pub sequences: HashMap<(StreamId, u64), u64>,
}

struct Open {
    packet_id: PacketId,
    stream: StreamId,
    number: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Published,
    /// PUBREC came.
    Recorded,
    /// PUBREL was sent; `again` after an earlier connection broke on it.
    Released {
        again: bool,
    },
}

/// What a publisher publishes.
pub struct Load {
    pub name: &'static str,
    pub version: Version,
    pub qos: u8,
    pub retain: bool,
    pub topics: &'static [&'static str],
}

impl Publisher {
    pub fn new(load: &Load, streams: Vec<StreamId>, ledger: Arc<Ledger>, random: fastrand::Rng) -> Self {
        Self {
            name: load.name,
            version: load.version,
            qos: load.qos,
            retain: load.retain,
            streams,
            ledger,
            random,
            has_session: false,
            open: VecDeque::new(),
            last_packet_id: 0,
            sequences: HashMap::new(),
        }
    }

    /// Publishes until the life ends.
    pub fn run(&mut self, life: &Life) -> Result<(), End> {
        let mut client = self.connect(life)?;
        let mut resting = Instant::now();
        loop {
            if self.open.len() < WINDOW && resting <= Instant::now() {
                let stream = self.streams[self.random.usize(..self.streams.len())];
                self.publish(&mut client, stream)?;
                if self.random.u8(..4) == 0 {
                    resting = Instant::now() + Duration::from_millis(self.random.u64(..REST_MS));
                }
                continue;
            }
            let wait = if self.open.len() < WINDOW {
                resting
            } else {
                Instant::now() + DEADLINE
            };
            if !self.receive(&mut client, life, wait)? {
                return Ok(());
            }
        }
    }

    /// Gets everything acknowledged, with one more message on each topic.
    pub fn finish(&mut self, life: &Life) -> Result<(), End> {
        let mut client = self.connect(life)?;
        for stream in self.streams.clone() {
            self.publish(&mut client, stream)?;
        }
        while let Some(first) = self.open.front() {
            let (number, stream) = (first.number, self.ledger.stream(first.stream));
            let unanswered = format!("{} is not answered", stream.text(number));
            let count = self.open.len();
            let deadline = Instant::now() + DEADLINE;
            while self.open.len() == count {
                if Instant::now() > deadline {
                    return Err(End::Wrong(unanswered));
                }
                self.receive(&mut client, life, deadline)?;
            }
        }
        Ok(())
    }

    /// Connects and sends again what is unanswered, in the original order [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    fn connect(&mut self, life: &Life) -> Result<Client, End> {
        let mut client = life.connect(durable(self.version, self.name), self.has_session)?;
        self.has_session = true;
        for index in 0..self.open.len() {
            match self.open[index].stage {
                Stage::Published => self.send(&mut client, index, true)?,
                Stage::Recorded => self.release(&mut client, index, false)?,
                Stage::Released { .. } => self.release(&mut client, index, true)?,
            }
        }
        Ok(client)
    }

    fn publish(&mut self, client: &mut Client, stream: StreamId) -> Result<(), End> {
        let open = Open {
            packet_id: self.new_packet_id(),
            stream,
            number: self.ledger.stream(stream).next(),
            stage: Stage::Published,
        };
        self.open.push_back(open);
        self.send(client, self.open.len() - 1, false)
    }

    fn new_packet_id(&mut self) -> PacketId {
        loop {
            self.last_packet_id = self.last_packet_id % PACKET_IDS + 1;
            let id = PacketId::new(self.last_packet_id).expect("not zero");
            if self.open.iter().all(|open| open.packet_id != id) {
                return id;
            }
        }
    }

    fn send(&mut self, client: &mut Client, index: usize, dup: bool) -> Result<(), End> {
        let open = &self.open[index];
        let stream = self.ledger.stream(open.stream);
        let text = stream.text(open.number);
        let message = Post {
            qos: self.qos,
            retain: self.retain,
            dup,
            ..post(stream.topic, &text)
        };
        Ok(client.try_post_as(&message, Some(open.packet_id))?)
    }

    fn release(&mut self, client: &mut Client, index: usize, again: bool) -> Result<(), End> {
        let open = &mut self.open[index];
        open.stage = Stage::Released { again };
        let packet = Packet::PubRel(Ack::new(open.packet_id, ReasonCode::Success));
        Ok(client.try_send(&packet)?)
    }

    /// Takes the next answer, if one comes until the deadline; gives whether the life goes on.
    fn receive(&mut self, client: &mut Client, life: &Life, deadline: Instant) -> Result<bool, End> {
        let received = match client.try_receive(deadline) {
            Err(fault) if fault.kind() == ErrorKind::TimedOut && self.open.len() < WINDOW => return Ok(true),
            result => result?,
        };
        let Received::Packet(packet) = received else {
            return Err(End::Wrong(format!("gets {received:?} without a subscription")));
        };
        match *packet {
            Packet::PubAck(ack) if self.qos == 1 => {
                let index = self.acknowledged(&ack)?;
                self.open.remove(index);
            }
            Packet::PubRec(ack) if self.qos == 2 => {
                let index = self.acknowledged(&ack)?;
                self.open[index].stage = Stage::Recorded;
                if life.springs(self.name, Moment::GotPubRec) {
                    return Ok(false);
                }
                self.release(client, index, false)?;
            }
            Packet::PubComp(ack) => self.completed(&ack)?,
            other => return Err(End::Wrong(format!("gets {other:?}"))),
        }
        Ok(true)
    }

    /// PUBACK or PUBREC answers the first message that has none [MQTT-4.6.0-2], [MQTT-4.6.0-3].
    fn acknowledged(&mut self, ack: &Ack) -> Result<usize, String> {
        let index = self.open.iter().position(|open| open.stage == Stage::Published);
        let index = index.filter(|index| self.open[*index].packet_id == ack.packet_id);
        let index = index.ok_or_else(|| format!("is not waiting for {ack:?}"))?;
        let (id, number) = (self.open[index].stream, self.open[index].number);
        let stream = self.ledger.stream(id);
        if ack.reason.is_error() {
            return Err(format!("{} was refused: {ack:?}", stream.text(number)));
        }
        let sequence = ack.user_properties.iter().find(|(name, _)| name == "es-seq");
        if let Some(sequence) = sequence.and_then(|(_, value)| value.parse().ok()) {
            self.sequences.insert((id, number), sequence);
        }
        stream.acknowledge(number)?;
        Ok(index)
    }

    fn completed(&mut self, ack: &Ack) -> Result<(), String> {
        let released = |open: &Open| open.packet_id == ack.packet_id && matches!(open.stage, Stage::Released { .. });
        let index = self.open.iter().position(released);
        let open = index.and_then(|index| self.open.remove(index));
        let open = open.ok_or_else(|| format!("is not waiting for {ack:?}"))?;
        // An identifier may be unknown only if an earlier PUBREL has freed it.
        if ack.reason.is_error() && open.stage == (Stage::Released { again: false }) {
            let text = self.ledger.stream(open.stream).text(open.number);
            return Err(format!("{text} had PUBREC and PUBCOMP with {:?}", ack.reason));
        }
        Ok(())
    }
}
