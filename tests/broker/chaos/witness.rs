//! What the application behind one durable session has been given, held against the ledger at once. Knows no socket.

use super::ledger::{Ledger, Stream, StreamId};
use crate::client::Message;

/// Filters with their QoS, and what came through them.
pub struct Witness {
    filters: Vec<(&'static str, u8)>,
    /// Only what was published with this QoS is wanted.
    only_qos: Option<u8>,
    /// By stream.
    seen: Vec<Seen>,
}

/// What came of one stream.
#[derive(Clone)]
struct Seen {
    /// What was acknowledged when the first SUBSCRIBE went out: it must never come.
    before: Option<u64>,
    /// What was sent when SUBACK came: all after it must come.
    by: Option<u64>,
    /// The number that came first, 0 if none did.
    first: u64,
    newest: u64,
    /// The connection over which each number came last, from number 1; 0 for none.
    connections: Vec<u32>,
}

impl Witness {
    pub fn new(filters: &[(&'static str, u8)], only_qos: Option<u8>, ledger: &Ledger) -> Self {
        let seen = Seen {
            before: None,
            by: None,
            first: 0,
            newest: 0,
            connections: Vec::new(),
        };
        Self {
            filters: filters.to_vec(),
            only_qos,
            seen: vec![seen; ledger.ids().count()],
        }
    }

    pub fn filters(&self) -> &[(&'static str, u8)] {
        &self.filters
    }

    /// SUBSCRIBE is about to be sent; only the first one counts.
    pub fn subscribes(&mut self, ledger: &Ledger) {
        for (seen, id) in self.seen.iter_mut().zip(ledger.ids()) {
            seen.before.get_or_insert(ledger.stream(id).acknowledged());
        }
    }

    /// SUBACK came.
    pub fn subscribed(&mut self, ledger: &Ledger) {
        for (seen, id) in self.seen.iter_mut().zip(ledger.ids()) {
            seen.by = Some(ledger.stream(id).sent());
        }
    }

    /// The QoS that the subscriptions give to a stream: the highest of those that match [MQTT-3.3.4-2].
    fn granted(&self, stream: &Stream) -> Option<u8> {
        if self.only_qos.is_some_and(|qos| qos != stream.qos) {
            return None;
        }
        let matching = self.filters.iter().filter(|(filter, _)| matches(filter, stream.topic));
        matching.map(|(_, qos)| *qos).max()
    }

    /// The application is given a message over the connection of this number, counted from 1.
    pub fn given(&mut self, message: &Message, connection: u32, ledger: &Ledger) -> Result<(), String> {
        let (id, number) = ledger.find(&message.topic, &message.payload)?;
        let stream = ledger.stream(id);
        let text = stream.text(number);
        let granted = self
            .granted(stream)
            .ok_or_else(|| format!("{text} matches no filter, or not the selector"))?;
        let (qos, wanted) = (message.qos.bits(), stream.qos.min(granted));
        if qos != wanted || message.retain {
            return Err(format!("{text} came with QoS {qos}, RETAIN {}", message.retain));
        }
        let fault = self.seen[id.0].given(number, connection, stream.qos, granted);
        fault.map_err(|fault| format!("{text} {fault}"))
    }

    /// What still has to come, if anything does.
    pub fn missing(&self, ledger: &Ledger) -> Option<String> {
        ledger.ids().find_map(|id| self.missing_of(id, ledger.stream(id)))
    }

    fn missing_of(&self, id: StreamId, stream: &Stream) -> Option<String> {
        self.granted(stream)?;
        let seen = &self.seen[id.0];
        let owed = seen.newest.max(seen.by.unwrap_or(0));
        (owed < stream.sent()).then(|| format!("{} has not come", stream.text(owed + 1)))
    }
}

impl Seen {
    fn given(&mut self, number: u64, connection: u32, published: u8, granted: u8) -> Result<(), String> {
        match self.before {
            None => return Err("came before SUBSCRIBE".to_owned()),
            Some(before) if number <= before => {
                return Err(format!("came though number {before} was acknowledged before SUBSCRIBE"));
            }
            Some(_) => {}
        }
        if number > self.newest {
            self.follows(number)?;
            self.newest = number;
            if self.first == 0 {
                self.first = number;
            }
        } else if published == 2 {
            self.repeats(number, connection, granted)?;
        }
        let index = number as usize - 1;
        if self.connections.len() <= index {
            self.connections.resize(index + 1, 0);
        }
        self.connections[index] = connection;
        Ok(())
    }

    /// A number that is new must be the next one.
    fn follows(&self, number: u64) -> Result<(), String> {
        let last = match (self.first, self.by) {
            // Before SUBACK nobody knows where it begins.
            (0, None) => return Ok(()),
            (0, Some(by)) => by,
            _ => self.newest,
        };
        let is_next = number == last + 1 || (self.first == 0 && number <= last);
        is_next
            .then_some(())
            .ok_or_else(|| format!("came before number {}: that one is lost or late", last + 1))
    }

    /// A number again, from a publisher of QoS 2: never to QoS 2, and to QoS 1 only over another connection.
    fn repeats(&self, number: u64, connection: u32, granted: u8) -> Result<(), String> {
        let earlier = self.connections.get(number as usize - 1).copied().unwrap_or(0);
        if earlier == 0 {
            return Err(format!("came after number {}", self.newest));
        }
        if granted == 2 {
            return Err(format!("came twice: over connections {earlier} and {connection}"));
        }
        if earlier == connection {
            return Err(format!("came twice over connection {connection}"));
        }
        Ok(())
    }
}

/// Whether a filter matches a topic (section 4.7); the broker's own code is not asked.
pub fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}
