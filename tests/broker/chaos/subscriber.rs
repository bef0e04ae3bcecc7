//! A subscriber with a durable session. It keeps the packet identifiers of QoS 2 over its connections, so that its
//! application is given each message once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rewindmq::codec::{Ack, Connect, Disconnect, Packet};
use rewindmq::types::{PacketId, QoS, ReasonCode, Version};

use super::durable;
use super::ledger::Ledger;
use super::life::{End, Life, Moment};
use super::witness::Witness;
use crate::client::{Client, DEADLINE, Message, Received, filter};

/// How long one wait takes before it is looked whether all is done.
const PATIENCE: Duration = Duration::from_millis(50);
/// The longest visit or absence of a roaming subscriber, ms.
const ROAM_MS: u64 = 100;

/// How a subscriber behaves until it drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// It is always there.
    Stays,
    /// It comes and goes.
    Roams,
    /// It subscribes and is gone.
    Leaves,
    /// It keeps a message unacknowledged and takes its time for the next.
    Dawdles,
}

/// What a subscriber wants.
pub struct Wish {
    pub name: &'static str,
    pub version: Version,
    pub habit: Habit,
    pub receive_maximum: u16,
    pub filters: &'static [(&'static str, u8)],
    /// Its selector lets pass only what was published with this QoS.
    pub only_qos: Option<u8>,
    /// The life in which it comes for the first time.
    pub born: usize,
}

pub struct Subscriber {
    wish: &'static Wish,
    ledger: Arc<Ledger>,
    random: fastrand::Rng,
    witness: Witness,
    exchanges: Exchanges,
    has_session: bool,
    is_subscribed: bool,
    connections: u32,
}

/// The QoS 2 messages whose PUBREL has not come, by packet identifier. They outlive connections.
#[derive(Default)]
pub struct Exchanges(HashMap<PacketId, Exchange>);

struct Exchange {
    payload: Vec<u8>,
    /// PUBREC was sent.
    recorded: bool,
}

/// A connection, and what it forgets.
struct Visit {
    client: Client,
    /// What counts against Receive Maximum.
    open: HashSet<PacketId>,
    /// Messages that wait for their PUBACK or PUBREC.
    held: VecDeque<Message>,
}

/// Whether a connection goes on.
type GoesOn = bool;

impl Subscriber {
    pub fn new(wish: &'static Wish, ledger: Arc<Ledger>, random: fastrand::Rng) -> Self {
        Self {
            wish,
            witness: Witness::new(wish.filters, wish.only_qos, &ledger),
            ledger,
            random,
            exchanges: Exchanges::default(),
            has_session: false,
            is_subscribed: false,
            connections: 0,
        }
    }

    pub fn name(&self) -> &'static str {
        self.wish.name
    }

    /// Does as it uses to until the life ends.
    pub fn run(&mut self, life: &Life) -> Result<(), End> {
        if life.number < self.wish.born {
            return Ok(());
        }
        match self.wish.habit {
            Habit::Stays | Habit::Dawdles => {
                let mut visit = self.connect(life)?;
                while self.step(&mut visit, life)? {}
            }
            Habit::Roams => while self.roam(life)? {},
            Habit::Leaves if self.is_subscribed => {}
            Habit::Leaves => leave(self.connect(life)?)?,
        }
        Ok(())
    }

    /// Reads and acknowledges until nothing is missing.
    pub fn drain(&mut self, life: &Life) -> Result<(), End> {
        let mut visit = self.connect(life)?;
        let mut deadline = Instant::now() + DEADLINE;
        while let Some(missing) = self.witness.missing(&self.ledger) {
            if Instant::now() > deadline {
                return Err(End::Wrong(missing));
            }
            if self.receive(&mut visit, life)?.is_some() {
                deadline = Instant::now() + DEADLINE;
            }
            while self.acknowledge(&mut visit, life)? {}
        }
        Ok(())
    }

    fn roam(&mut self, life: &Life) -> Result<GoesOn, End> {
        let mut visit = self.connect(life)?;
        let until = Instant::now() + Duration::from_millis(self.random.u64(..ROAM_MS));
        while Instant::now() < until {
            if !self.step(&mut visit, life)? {
                return Ok(false);
            }
        }
        if self.random.bool() {
            leave(visit)?;
        }
        life.rest(Duration::from_millis(self.random.u64(..ROAM_MS)));
        Ok(!life.is_ending())
    }

    /// Takes what comes and acknowledges as is its habit.
    fn step(&mut self, visit: &mut Visit, life: &Life) -> Result<GoesOn, End> {
        let goes_on = self.receive(visit, life)?;
        if self.wish.habit == Habit::Dawdles {
            if goes_on.is_none() || visit.held.len() > 1 {
                life.rest(Duration::from_millis(self.random.u64(1..5)));
                self.acknowledge(visit, life)?;
            }
            return Ok(goes_on.unwrap_or(true));
        }
        while !visit.held.is_empty() {
            if !self.acknowledge(visit, life)? {
                return Ok(false);
            }
        }
        Ok(goes_on.unwrap_or(true))
    }

    fn connect(&mut self, life: &Life) -> Result<Visit, End> {
        let connect = Connect {
            receive_maximum: (self.wish.version == Version::V5).then_some(self.wish.receive_maximum),
            ..durable(self.wish.version, self.wish.name)
        };
        let mut client = life.connect(connect, self.has_session)?;
        client.leave_completing();
        self.has_session = true;
        self.connections += 1;
        if !self.is_subscribed {
            self.subscribe(&mut client)?;
        }
        Ok(Visit {
            client,
            open: HashSet::new(),
            held: VecDeque::new(),
        })
    }

    /// The filter as it is asked for: a selector has no other place in MQTT 3.1.1.
    fn prefixed(&self, text: &str) -> String {
        match self.wish.only_qos {
            Some(qos) if self.wish.version == Version::V3 => format!("$select/qos%20%3D%20{qos}/{text}"),
            _ => text.to_owned(),
        }
    }

    fn subscribe(&mut self, client: &mut Client) -> Result<(), End> {
        self.witness.subscribes(&self.ledger);
        let filters: Vec<_> = self
            .witness
            .filters()
            .iter()
            .map(|(text, qos)| filter(&self.prefixed(text), *qos))
            .collect();
        let selector = self.wish.only_qos.map(|qos| format!("qos = {qos}"));
        let selector = selector.as_deref().filter(|_| self.wish.version == Version::V5);
        let user: Vec<_> = selector.map(|text| ("selector", text)).into_iter().collect();
        let ack = client.try_subscribe(&filters, &user)?;
        self.witness.subscribed(&self.ledger);
        self.is_subscribed = true;
        let granted = ack
            .reasons
            .iter()
            .zip(&filters)
            .all(|(reason, filter)| reason.byte() == filter.qos.bits());
        granted
            .then_some(())
            .ok_or_else(|| End::Wrong(format!("was granted {:?}", ack.reasons)))
    }

    /// Takes the next packet; `None` if there is none for a while.
    fn receive(&mut self, visit: &mut Visit, life: &Life) -> Result<Option<GoesOn>, End> {
        let received = match visit.client.try_receive(Instant::now() + PATIENCE) {
            Err(fault) if fault.kind() == ErrorKind::TimedOut => return Ok(None),
            result => result?,
        };
        match received {
            Received::Message(message) => self.message(visit, message)?,
            Received::Packet(packet) => match *packet {
                Packet::PubRel(ack) => return self.release(visit, life, ack.packet_id).map(Some),
                other => return Err(End::Wrong(format!("gets {other:?}"))),
            },
        }
        Ok(Some(true))
    }

    fn message(&mut self, visit: &mut Visit, message: Message) -> Result<(), End> {
        let Some(packet_id) = message.packet_id else {
            return Err(End::Wrong(format!("gets {} with QoS 0", message.text())));
        };
        if !visit.open.insert(packet_id) {
            return Err(End::Wrong(format!(
                "gets {} under a used packet identifier",
                message.text()
            )));
        }
        if self.wish.version == Version::V5 && visit.open.len() > usize::from(self.wish.receive_maximum) {
            return Err(End::Wrong(format!("gets {} beyond Receive Maximum", message.text())));
        }
        if self.exchanges.begin(&message)? {
            self.witness.given(&message, self.connections, &self.ledger)?;
        }
        visit.held.push_back(message);
        Ok(())
    }

    /// Sends PUBACK or PUBREC for the message that waits longest; gives whether there is one and the life goes on.
    fn acknowledge(&mut self, visit: &mut Visit, life: &Life) -> Result<GoesOn, End> {
        let Some(message) = visit.held.pop_front() else {
            return Ok(false);
        };
        let packet_id = message.packet_id.expect("QoS 1 or 2");
        if message.qos == QoS::AtLeastOnce {
            visit.open.remove(&packet_id);
            visit.client.try_acknowledge(&message)?;
            return Ok(true);
        }
        self.exchanges.record(packet_id);
        visit.client.try_acknowledge(&message)?;
        Ok(!life.springs(self.wish.name, Moment::SentPubRec))
    }

    fn release(&mut self, visit: &mut Visit, life: &Life, packet_id: PacketId) -> Result<GoesOn, End> {
        if life.springs(self.wish.name, Moment::GotPubRel) {
            return Ok(false);
        }
        let known = self.exchanges.release(packet_id)?;
        visit.open.remove(&packet_id);
        let reason = match known {
            true => ReasonCode::Success,
            false => ReasonCode::PacketIdentifierNotFound,
        };
        let answer = Packet::PubComp(Ack::new(packet_id, reason));
        visit.client.try_send(&answer)?;
        Ok(true)
    }
}

impl Exchanges {
    /// A message came; gives whether the application is to have it. What comes again must say so.
    pub fn begin(&mut self, message: &Message) -> Result<bool, String> {
        let Some(packet_id) = message.packet_id.filter(|_| message.qos == QoS::ExactlyOnce) else {
            return Ok(true);
        };
        let Some(earlier) = self.0.get(&packet_id) else {
            let exchange = Exchange {
                payload: message.payload.clone(),
                recorded: false,
            };
            self.0.insert(packet_id, exchange);
            return Ok(true);
        };
        if earlier.payload != message.payload {
            let earlier = String::from_utf8_lossy(&earlier.payload);
            return Err(format!(
                "gets {} in place of {earlier}: same packet identifier, no PUBREL",
                message.text()
            ));
        }
        if !message.dup {
            return Err(format!("gets {} again without DUP", message.text()));
        }
        Ok(false)
    }

    /// PUBREC is about to be sent.
    pub fn record(&mut self, packet_id: PacketId) {
        if let Some(exchange) = self.0.get_mut(&packet_id) {
            exchange.recorded = true;
        }
    }

    /// PUBREL came; gives whether the message was known.
    pub fn release(&mut self, packet_id: PacketId) -> Result<bool, String> {
        let Some(exchange) = self.0.remove(&packet_id) else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(&exchange.payload);
        let unasked = || format!("gets PUBREL for {text} before it has sent PUBREC");
        exchange.recorded.then_some(true).ok_or_else(unasked)
    }
}

/// Says goodbye and waits for nothing.
fn leave(mut visit: Visit) -> Result<(), End> {
    let packet = Packet::Disconnect(Disconnect::new(ReasonCode::Success));
    Ok(visit.client.try_send(&packet)?)
}
