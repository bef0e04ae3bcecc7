//! What the event store holds, read from its beginning by a client that was never there.

use std::collections::HashMap;
use std::time::Instant;

use rewindmq::codec::{RetainHandling, SubscribeFilter};

use super::ledger::{Ledger, StreamId};
use super::life::{End, Life};
use super::publisher::Publisher;
use super::witness::matches;
use crate::client::{DEADLINE, Message, filter, v5};

/// The filter of the store's only rule.
pub const STORED: &str = "events/#";

/// The texts of all events.
#[derive(Default)]
pub struct Store {
    /// By topic, in the order of their sequences.
    pub channels: HashMap<String, Vec<String>>,
    /// The newest number of each stream.
    pub newest: HashMap<StreamId, u64>,
}

impl Store {
    /// Reads everything. Nobody publishes meanwhile.
    pub fn read(life: &Life, ledger: &Ledger) -> Result<Self, End> {
        let mut client = life.connect(v5(&format!("store-{}", life.number)), false)?;
        let everything = SubscribeFilter {
            retain_handling: RetainHandling::DoNotSend,
            ..filter("#", 0)
        };
        client.try_subscribe(&[everything], &[("replay", "first")])?;
        let mut store = Self::default();
        while let Some(missing) = store.missing(ledger) {
            match client.try_next(Instant::now() + DEADLINE) {
                Ok(message) => store.event(&message, ledger)?,
                Err(_) => return Err(End::Wrong(missing)),
            }
        }
        Ok(store)
    }

    fn event(&mut self, message: &Message, ledger: &Ledger) -> Result<(), String> {
        self.add(&message.topic, message.sequence(), &message.payload, ledger)
    }

    /// An event comes next.
    pub fn add(&mut self, topic: &str, sequence: u64, payload: &[u8], ledger: &Ledger) -> Result<(), String> {
        let (id, number) = ledger.find(topic, payload)?;
        let stream = ledger.stream(id);
        let text = stream.text(number);
        if !matches(STORED, topic) {
            return Err(format!("{text} is an event"));
        }
        let texts = self.channels.entry(topic.to_owned()).or_default();
        let wanted = texts.len() as u64 + 1;
        if sequence != wanted {
            return Err(format!("{text} has sequence {sequence}, not {wanted}"));
        }
        let newest = self.newest.entry(id).or_default();
        if number > *newest + 1 {
            return Err(format!("{text} is stored after number {newest}"));
        }
        if stream.qos == 2 && number <= *newest {
            return Err(format!(
                "{text} is stored twice or late: as event {sequence} after number {newest}"
            ));
        }
        *newest = number.max(*newest);
        texts.push(text);
        Ok(())
    }

    /// What is not there but was sent, if anything; at the end all was acknowledged.
    pub fn missing(&self, ledger: &Ledger) -> Option<String> {
        let stored = ledger.ids().filter(|id| matches(STORED, ledger.stream(*id).topic));
        stored.into_iter().find_map(|id| {
            let (stream, newest) = (ledger.stream(id), self.newest.get(&id).copied().unwrap_or(0));
            (newest < stream.sent()).then(|| format!("{} is not stored", stream.text(newest + 1)))
        })
    }

    /// Each event has the sequence that its publisher was told.
    pub fn compare(&self, publisher: &Publisher, ledger: &Ledger) -> Result<(), End> {
        for ((id, number), sequence) in &publisher.sequences {
            let stream = ledger.stream(*id);
            let texts = self.channels.get(stream.topic);
            let text = texts.and_then(|texts| texts.get(*sequence as usize - 1));
            if text != Some(&stream.text(*number)) {
                let wanted = stream.text(*number);
                return Err(End::Wrong(format!(
                    "{wanted} was acknowledged as event {sequence}, which is {text:?}"
                )));
            }
        }
        Ok(())
    }
}
