//! What the log's tests share: a log that can be waited for, messages, filters.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex};

use super::{
    Command, Committed, Event, Log, LogError, LogOptions, LogReader, Outcome, Publish, Recovered, Scan, Stored,
    Submission,
};
use super::{Holds, TopicMatch, options::Retention};
use crate::store::{ChannelKind, Store};
use crate::types::{ChannelId, Clock, Message, MessageParts, Position, QoS, Timestamp};

/// A log whose commands are waited for.
pub(crate) struct Bench {
    pub(crate) log: Log<u64>,
    pub(crate) reader: LogReader,
    pub(crate) recovered: Recovered,
    outcomes: Arc<Outcomes>,
    pub(crate) batches: Receiver<Vec<u64>>,
    next_tag: u64,
}

type Outcomes = (Mutex<HashMap<u64, Committed<u64>>>, Condvar);

pub(crate) fn options(clock: &Clock) -> LogOptions {
    LogOptions {
        clock: clock.clone(),
        ..LogOptions::default()
    }
}

pub(crate) fn keeping(retention: Retention) -> super::RetentionRule {
    Arc::new(move |_| retention)
}

impl Bench {
    pub(crate) fn open(store: Arc<dyn Store>, options: LogOptions) -> Result<Self, LogError> {
        let outcomes: Arc<Outcomes> = Arc::default();
        let (sender, batches) = mpsc::channel();
        let sink = {
            let outcomes = outcomes.clone();
            move |batch: Vec<Committed<u64>>| {
                let _ = sender.send(batch.iter().map(|entry| entry.tag).collect());
                let mut known = outcomes.0.lock().unwrap();
                known.extend(batch.into_iter().map(|entry| (entry.tag, entry)));
                outcomes.1.notify_all();
            }
        };
        let (log, recovered) = Log::open(store, options, Arc::new(()), Box::new(sink))?;
        Ok(Self {
            reader: log.reader(),
            log,
            recovered,
            outcomes,
            batches,
            next_tag: 0,
        })
    }

    /// Submits commands and returns their tags.
    pub(crate) fn submit(&mut self, commands: Vec<Command>) -> Vec<u64> {
        let first = self.next_tag;
        self.next_tag += commands.len() as u64;
        let submissions = commands.into_iter().zip(first..);
        self.log
            .submit(submissions.map(|(command, tag)| Submission { command, tag }).collect());
        (first..self.next_tag).collect()
    }

    pub(crate) fn wait(&self, tag: u64) -> Result<Outcome, LogError> {
        let mut known = self.outcomes.0.lock().unwrap();
        loop {
            if let Some(entry) = known.remove(&tag) {
                return entry.outcome;
            }
            known = self.outcomes.1.wait(known).unwrap();
        }
    }

    pub(crate) fn has_come(&self, tag: u64) -> bool {
        self.outcomes.0.lock().unwrap().contains_key(&tag)
    }

    /// Carries out commands and waits for them all.
    pub(crate) fn run(&mut self, commands: Vec<Command>) -> Vec<Result<Outcome, LogError>> {
        let tags = self.submit(commands);
        tags.into_iter().map(|tag| self.wait(tag)).collect()
    }

    pub(crate) fn run_one(&mut self, command: Command) -> Result<Outcome, LogError> {
        self.run(vec![command]).remove(0)
    }

    pub(crate) fn append(&mut self, topic: &str, payload: &str) -> Result<Stored, LogError> {
        match self.run_one(append(topic, payload))? {
            Outcome::Stored(stored) => Ok(stored),
            other => panic!("an append is stored, not {other:?}"),
        }
    }

    pub(crate) fn hold(&mut self, topic: &str, payload: &str) -> Result<Stored, LogError> {
        match self.run_one(hold(topic, payload))? {
            Outcome::Stored(stored) => Ok(stored),
            other => panic!("what is held is stored, not {other:?}"),
        }
    }

    /// The payloads of all that is kept, events and held records.
    pub(crate) fn kept(&self) -> Vec<String> {
        let events = read_scan(
            &self.reader,
            self.reader.scan_kept(Arc::new(Filter::all()), Position(0)),
        );
        events.iter().map(|event| payload(event).to_owned()).collect()
    }

    pub(crate) fn read(&self, filter: &Filter, after: Position) -> Vec<Event> {
        read(&self.reader, filter, after)
    }
}

/// Every event that matches, read to the watermark.
pub(crate) fn read(reader: &LogReader, filter: &Filter, after: Position) -> Vec<Event> {
    read_scan(reader, reader.scan(Arc::new(filter.clone()), after))
}

/// Everything that a scan finds, read to the watermark.
pub(crate) fn read_scan(reader: &LogReader, mut scan: Scan) -> Vec<Event> {
    let mut out = Vec::new();
    while scan
        .next_batch(reader, &mut |_, _, _| true, 1_000, 1 << 20, &mut out)
        .unwrap()
        < reader.watermark()
    {}
    out
}

pub(crate) fn message(topic: &str, payload: &str) -> Arc<Message> {
    let parts = MessageParts {
        topic,
        properties: &[],
        payload: payload.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: false,
        expiry_secs: None,
        received: Timestamp(1),
    };
    Arc::new(Message::new(parts, None))
}

pub(crate) fn append(topic: &str, payload: &str) -> Command {
    Command::Publish(Publish::event(message(topic, payload)))
}

pub(crate) fn hold(topic: &str, payload: &str) -> Command {
    Command::Publish(Publish::held(message(topic, payload)))
}

pub(crate) fn pass(topic: &str, payload: &str) -> Command {
    Command::Publish(Publish::passing(message(topic, payload)))
}

pub(crate) fn payload(event: &Event) -> &str {
    std::str::from_utf8(event.message.payload()).unwrap()
}

/// A filter of tests: one topic, or all that begin alike.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    Exact(String),
    Prefix(String),
}

impl Filter {
    pub(crate) fn all() -> Self {
        Self::Prefix(String::new())
    }

    pub(crate) fn exact(topic: &str) -> Self {
        Self::Exact(topic.to_owned())
    }
}

impl TopicMatch for Filter {
    fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Exact(exact) => topic == exact,
            Self::Prefix(prefix) => topic.starts_with(prefix.as_str()),
        }
    }

    fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(exact) => Some(exact),
            Self::Prefix(_) => None,
        }
    }
}

/// Answers what a test has said last; `None` for topics it has said nothing about, or nothing new.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    topics: Mutex<HashMap<String, Position>>,
    asked: Mutex<Vec<String>>,
}

impl Passed {
    /// Everything up to `position` was passed. What is held is answered once only, as the rule has it.
    pub(crate) fn tell(&self, topic: &str, position: Position) {
        self.topics.lock().unwrap().insert(topic.to_owned(), position);
    }

    /// The topics that were asked about since this was called last.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Holds for Passed {
    fn passed(&self, _: ChannelId, topic: &str, asked_for: ChannelKind) -> Option<Position> {
        self.asked.lock().unwrap().push(topic.to_owned());
        let mut topics = self.topics.lock().unwrap();
        match asked_for {
            ChannelKind::Event => topics.get(topic).copied(),
            ChannelKind::Held => topics.remove(topic),
        }
    }
}
