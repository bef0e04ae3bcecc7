//! What a log must do, done naively: a list of events and the words of the rules.

use std::collections::BTreeMap;

use super::testing::{Filter, payload};
use super::{CursorRecord, Event, Origin, Retention, StartAt, TopicMatch};
use crate::types::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) position: u64,
    pub(crate) topic: String,
    pub(crate) sequence: u64,
    pub(crate) time: u64,
    pub(crate) payload: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) events: Vec<Kept>,
    pub(crate) next: BTreeMap<String, u64>,
    pub(crate) last: u64,
    pub(crate) last_time: u64,
    pub(crate) cursors: BTreeMap<u64, (CursorRecord, Option<Origin>)>,
}

impl Model {
    pub(crate) fn append(&mut self, topic: &str, payload: &str, now: Timestamp) -> (u64, u64, u64) {
        let next = self.next.entry(topic.to_owned()).or_insert(1);
        let kept = Kept {
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
        self.events.push(kept);
        place
    }

    pub(crate) fn trim(&mut self, topic: &str, through: u64) {
        self.events
            .retain(|kept| kept.topic != topic || kept.sequence > through);
    }

    pub(crate) fn retain(&mut self, retention: Retention, now: Timestamp) {
        for topic in self.next.keys().cloned().collect::<Vec<_>>() {
            if let Some(age) = retention.max_age {
                let cutoff = now.saturating_sub(age).0;
                self.events.retain(|kept| kept.topic != topic || kept.time >= cutoff);
            }
            if let Some(count) = retention.max_count {
                self.trim(&topic, (self.next[&topic] - 1).saturating_sub(count));
            }
        }
    }

    pub(crate) fn matching<'a>(&'a self, filter: &'a Filter) -> impl DoubleEndedIterator<Item = &'a Kept> {
        self.events.iter().filter(|kept| filter.matches(&kept.topic))
    }
}

pub(crate) fn seen(event: &Event) -> Kept {
    Kept {
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
