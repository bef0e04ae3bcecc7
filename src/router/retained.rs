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

/// All retained messages.
#[derive(Debug)]
pub struct Retained {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    limits: RetainedLimits,
    tree: TopicTree<Arc<Message>>,
    bytes: u64,
}

impl Retained {
    /// None yet.
    pub fn new(limits: RetainedLimits) -> Self {
        Self {
            inner: Mutex::new(Inner {
                limits,
                tree: TopicTree::new(),
                bytes: 0,
            }),
        }
    }

    /// Replaces the bounds. What is beyond them stays until its topic is cleared.
    pub fn set_limits(&self, limits: RetainedLimits) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).limits = limits;
    }

    /// Whether there is room for a message; clearing a topic always has.
    pub fn has_room(&self, message: &Message) -> bool {
        if message.payload().is_empty() {
            return true;
        }
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = inner.tree.get(message.topic()).map(|earlier| earlier.size() as u64);
        let bytes = inner.bytes - earlier.unwrap_or(0) + message.size() as u64;
        let count = inner.tree.len() as u64 + u64::from(earlier.is_none());
        !over(count, inner.limits.max_messages) && !over(bytes, inner.limits.max_bytes)
    }

    /// Takes a publish with RETAIN for which there is room; an empty payload clears the topic [MQTT-3.3.1-6].
    pub fn publish(&self, message: &Arc<Message>) {
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = if message.payload().is_empty() {
            inner.tree.remove(message.topic())
        } else {
            inner.bytes += message.size() as u64;
            inner.tree.insert(message.topic(), message.clone())
        };
        inner.bytes -= earlier.map_or(0, |earlier| earlier.size() as u64);
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
