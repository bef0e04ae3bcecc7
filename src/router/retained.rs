//! Retained messages: the last publish with RETAIN of each topic, within bounds.

use std::sync::{Arc, Mutex, PoisonError};

use crate::topic::{TopicFilter, TopicTree};
use crate::types::{Message, Timestamp};

/// The bounds of the retained messages; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetainedLimits {
    /// How many.
    pub max_messages: Option<u64>,
    /// How many bytes of topics, properties and payloads.
    pub max_bytes: Option<u64>,
}

/// What a publish did to the retained messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainedChange {
    /// It is the retained message of its topic now.
    Kept,
    /// It cleared the topic, or there was nothing to clear.
    Cleared,
    /// The bounds leave no room for it; what was retained stays.
    Full,
}

/// All retained messages.
#[derive(Debug)]
pub struct Retained {
    limits: RetainedLimits,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    tree: TopicTree<Arc<Message>>,
    bytes: u64,
}

impl Retained {
    /// None yet.
    pub fn new(limits: RetainedLimits) -> Self {
        Self {
            limits,
            inner: Mutex::new(Inner {
                tree: TopicTree::new(),
                bytes: 0,
            }),
        }
    }

    /// Takes a publish with RETAIN; an empty payload clears the topic [MQTT-3.3.1-6].
    pub fn publish(&self, message: &Arc<Message>) -> RetainedChange {
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if message.payload().is_empty() {
            if let Some(earlier) = inner.tree.remove(message.topic()) {
                inner.bytes -= earlier.size() as u64;
            }
            return RetainedChange::Cleared;
        }
        let earlier = inner.tree.get(message.topic()).map(|earlier| earlier.size() as u64);
        let bytes = inner.bytes - earlier.unwrap_or(0) + message.size() as u64;
        let count = inner.tree.len() as u64 + u64::from(earlier.is_none());
        if over(count, self.limits.max_messages) || over(bytes, self.limits.max_bytes) {
            return RetainedChange::Full;
        }
        inner.tree.insert(message.topic(), message.clone());
        inner.bytes = bytes;
        RetainedChange::Kept
    }

    /// The retained messages that match a filter and are alive; expired ones are forgotten on the way.
    pub fn matching(&self, filter: &TopicFilter, now: Timestamp) -> Vec<Arc<Message>> {
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        inner.tree.matching(filter, |_, message| found.push(message.clone()));
        let (alive, expired): (Vec<_>, Vec<_>) = found.into_iter().partition(|message| !message.is_expired(now));
        for message in expired {
            if inner.tree.remove(message.topic()).is_some() {
                inner.bytes -= message.size() as u64;
            }
        }
        alive
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).tree.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn over(value: u64, limit: Option<u64>) -> bool {
    limit.is_some_and(|limit| value > limit)
}
