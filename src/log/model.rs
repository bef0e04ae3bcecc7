//! What a log must do, done naively: a list of records, the rows beside it and the words of the rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::testing::{Filter, payload};
use super::{
    ChannelKind, CursorRecord, Event, Keep, Origin, Publish, RecoveredSession, Retention, StartAt, TopicMatch,
};
use crate::types::{Message, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) held: bool,
    pub(crate) position: u64,
    pub(crate) topic: String,
    pub(crate) sequence: u64,
    pub(crate) time: u64,
    pub(crate) payload: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) records: Vec<Kept>,
    /// By kind, held or not, and topic.
    pub(crate) next: BTreeMap<(bool, String), u64>,
    pub(crate) last: u64,
    pub(crate) last_time: u64,
    pub(crate) cursors: BTreeMap<u64, (CursorRecord, Option<Origin>)>,
    /// The filters of their subscriptions are beginnings of topics here.
    pub(crate) sessions: BTreeMap<u64, RecoveredSession>,
    pub(crate) retained: BTreeMap<String, Arc<Message>>,
}

impl Model {
    /// Takes in a message; its place if a record is made of it.
    pub(crate) fn publish(&mut self, publish: &Publish, now: Timestamp) -> Option<(u64, u64, u64)> {
        let Publish { message, .. } = publish;
        if publish.retain {
            self.retained.remove(message.topic());
        }
        if publish.retain && !message.payload().is_empty() {
            self.retained.insert(message.topic().to_owned(), message.clone());
        }
        if let Some((session, packet_id)) = publish.received {
            let received = &mut self.sessions.get_mut(&session.0)?.received;
            received.push(packet_id);
            received.sort();
            received.dedup();
        }
        if let Some(session) = publish.will_of {
            self.sessions.get_mut(&session.0)?.will = None;
        }
        let payload = std::str::from_utf8(message.payload()).expect("a test's payload is text");
        match publish.keep {
            Keep::Nothing => None,
            keep => Some(self.append(keep == Keep::Held, message.topic(), payload, now)),
        }
    }

    fn append(&mut self, held: bool, topic: &str, payload: &str, now: Timestamp) -> (u64, u64, u64) {
        let next = self.next.entry((held, topic.to_owned())).or_insert(1);
        let kept = Kept {
            held,
            position: self.last + 1,
            topic: topic.to_owned(),
            sequence: *next,
            time: now.0.max(self.last_time),
            payload: payload.to_owned(),
        };
        *next += 1;
        self.last += 1;
        self.last_time = kept.time;
        let place = (kept.position, kept.sequence, kept.time);
        self.records.push(kept);
        place
    }

    pub(crate) fn trim(&mut self, topic: &str, through: u64) {
        self.records
            .retain(|kept| kept.held || kept.topic != topic || kept.sequence > through);
    }

    /// How far every session that wants a topic has come.
    pub(crate) fn passed(&self, topic: &str) -> u64 {
        let places = self.sessions.values().flat_map(|session| {
            let floor = session.place.as_ref().map_or(0, |place| place.floor.0);
            let wanting = session.subscriptions.iter();
            let wanting = wanting.filter(|subscription| topic.starts_with(&subscription.filter));
            wanting.map(move |subscription| floor.max(subscription.since.0))
        });
        places.min().unwrap_or(u64::MAX)
    }

    /// What no session needs goes.
    pub(crate) fn release(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        records.retain(|kept| !self.is_released(kept));
        self.records = records;
    }

    pub(crate) fn is_released(&self, kept: &Kept) -> bool {
        kept.held && kept.position <= self.passed(&kept.topic)
    }

    pub(crate) fn retain(&mut self, retention: Retention, now: Timestamp) {
        let cutoff = retention.max_age.map_or(0, |age| now.saturating_sub(age).0);
        let most = retention.max_count.unwrap_or(u64::MAX);
        let mut records = std::mem::take(&mut self.records);
        records.retain(|kept| {
            let next = self.next[&(kept.held, kept.topic.clone())];
            let wanted = kept.time >= cutoff && next - kept.sequence <= most;
            kept.held || wanted || kept.position > self.passed(&kept.topic)
        });
        self.records = records;
    }

    /// A channel of which nothing is held may go on with a higher sequence after a crash.
    pub(crate) fn skip_sequences(&mut self, found: &Self) {
        for ((held, topic), next) in &mut self.next {
            let keeps = |kept: &Kept| kept.held == *held && kept.topic == *topic;
            if *held && !self.records.iter().any(keeps) {
                let found = found.next.get(&(true, topic.clone()));
                *next = found.copied().unwrap_or(*next).max(*next);
            }
        }
    }

    /// Events and held records.
    pub(crate) fn kept<'a>(&'a self, filter: &'a Filter) -> impl DoubleEndedIterator<Item = &'a Kept> {
        self.records.iter().filter(|kept| filter.matches(&kept.topic))
    }

    /// Events alone.
    pub(crate) fn matching<'a>(&'a self, filter: &'a Filter) -> impl DoubleEndedIterator<Item = &'a Kept> {
        self.kept(filter).filter(|kept| !kept.held)
    }
}

pub(crate) fn seen(event: &Event) -> Kept {
    Kept {
        held: event.kind == ChannelKind::Held,
        position: event.position.0,
        topic: event.message.topic().to_owned(),
        sequence: event.sequence.0,
        time: event.time.0,
        payload: payload(event).to_owned(),
    }
}

/// What a replay delivers of what is there, by the words of the rule.
pub(crate) fn wanted(
    model: &Model,
    filter: &Filter,
    start: StartAt,
    now: Timestamp,
    deliverable: &dyn Fn(&Kept) -> bool,
) -> Vec<Kept> {
    let all = model.matching(filter).cloned();
    match start {
        StartAt::New => Vec::new(),
        StartAt::First => all.collect(),
        StartAt::Sequence(first) => all.filter(|kept| kept.sequence >= first.0).collect(),
        StartAt::Time(time) if time > now => Vec::new(),
        StartAt::Time(time) => all.filter(|kept| kept.time >= time.0).collect(),
        StartAt::Last(count) => {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            let mut newest: Vec<_> = all
                .rev()
                .filter(|kept| deliverable(kept))
                .filter(|kept| {
                    let seen = counts.entry(kept.topic.clone()).or_default();
                    *seen += 1;
                    *seen <= count
                })
                .collect();
            newest.reverse();
            newest
        }
    }
}
