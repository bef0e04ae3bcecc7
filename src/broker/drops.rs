//! Counts what is dropped, and notes the last of it for each client. Bounded, and touched only when something is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use ahash::RandomState;
use serde_json::json;

use super::tracer::Tracer;
use crate::metrics::{DropReason, Label, Metrics};
use crate::types::{ClientId, Clock, Timestamp};

/// What was dropped last, for the clients for which that is not long ago.
pub struct Drops {
    metrics: Metrics,
    clock: Clock,
    tracer: Arc<Tracer>,
    hasher: RandomState,
    buckets: Box<[Mutex<Vec<LastDrop>>]>,
}

/// The last message that was dropped on its way to a client, or from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastDrop {
    client_id: ClientId,
    /// Why.
    pub reason: DropReason,
    /// Its topic, or the beginning of it.
    pub topic: String,
    /// When.
    pub at: Timestamp,
    /// How many were dropped since the note was begun, for whatever reason.
    pub count: u64,
}

impl Drops {
    /// Nothing yet.
    pub fn new(metrics: Metrics, clock: Clock, tracer: Arc<Tracer>) -> Self {
        Self {
            metrics,
            clock,
            tracer,
            hasher: RandomState::new(),
            buckets: (0..BUCKETS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Counts messages of one topic, the last of which is noted.
    #[cold]
    pub fn count(&self, client_id: &ClientId, reason: DropReason, topic: &str, messages: u64) {
        self.metrics.dropped.of(reason).increment(messages);
        self.note(client_id, reason, topic, messages);
    }

    /// Notes what is counted elsewhere.
    pub fn note(&self, client_id: &ClientId, reason: DropReason, topic: &str, messages: u64) {
        self.tracer.tell(client_id.as_str(), "dropped", &[topic], || {
            let reason = DropReason::VALUES[reason.index()].1;
            json!({"topic": beginning(topic), "reason": reason, "messages": messages})
        });
        let at = self.clock.now();
        let mut bucket = self.bucket(client_id).lock().unwrap_or_else(PoisonError::into_inner);
        let known = bucket.iter().position(|drop| drop.client_id == *client_id);
        let place = known.unwrap_or_else(|| place_for(&mut bucket, client_id));
        let drop = &mut bucket[place];
        (drop.reason, drop.at) = (reason, at);
        drop.count += messages;
        drop.topic.clear();
        drop.topic.push_str(beginning(topic));
    }

    /// What was dropped last of a client's.
    pub fn of(&self, client_id: &ClientId) -> Option<LastDrop> {
        let bucket = self.bucket(client_id).lock().unwrap_or_else(PoisonError::into_inner);
        bucket.iter().find(|drop| drop.client_id == *client_id).cloned()
    }

    fn bucket(&self, client_id: &ClientId) -> &Mutex<Vec<LastDrop>> {
        let hash = self.hasher.hash_one(client_id.as_str());
        &self.buckets[hash as usize % BUCKETS]
    }
}

/// A place for another client: a free one, or that of the oldest note.
fn place_for(bucket: &mut Vec<LastDrop>, client_id: &ClientId) -> usize {
    let new = LastDrop {
        client_id: client_id.clone(),
        reason: DropReason::Expired,
        topic: String::new(),
        at: Timestamp(0),
        count: 0,
    };
    if bucket.len() < PER_BUCKET {
        bucket.push(new);
        return bucket.len() - 1;
    }
    let oldest = (0..bucket.len()).min_by_key(|&at| bucket[at].at).unwrap_or(0);
    bucket[oldest] = new;
    oldest
}

/// As much of a topic, or of another text, as is noted.
pub(super) fn beginning(topic: &str) -> &str {
    let mut end = topic.len().min(MOST_TOPIC_BYTES);
    while !topic.is_char_boundary(end) {
        end -= 1;
    }
    &topic[..end]
}

const BUCKETS: usize = 1_024;
const PER_BUCKET: usize = 4;
const MOST_TOPIC_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn drops() -> Drops {
        let (metrics, _) = Metrics::new(Timestamp(0));
        Drops::new(metrics, Clock::default(), Tracer::new(Clock::default()))
    }

    #[test]
    fn the_last_of_a_client_is_known() {
        let drops = drops();
        let client = ClientId::from("c");
        drops.count(&client, DropReason::Expired, "a", 1);
        drops.count(&client, DropReason::TooLarge, "b", 2);
        let last = drops.of(&client).expect("noted");
        assert_eq!(
            (last.reason, last.topic.as_str(), last.count),
            (DropReason::TooLarge, "b", 3)
        );
        assert_eq!(drops.of(&ClientId::from("other")), None);
    }

    #[test]
    fn notes_are_bounded_however_many_clients_and_how_long_the_topics() {
        let drops = drops();
        let topic = "ü".repeat(30_000);
        for number in 0..20_000 {
            let client = ClientId::from(format!("c{number}").as_str());
            drops.note(&client, DropReason::Expired, &topic, 1);
            assert_eq!(drops.of(&client).expect("the newest").topic.len(), MOST_TOPIC_BYTES);
        }
        let noted: usize = drops
            .buckets
            .iter()
            .map(|bucket| bucket.lock().expect("whole").len())
            .sum();
        assert!(noted <= BUCKETS * PER_BUCKET);
    }
}
