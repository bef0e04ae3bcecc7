//! Subscriptions -> targets, live groups, retained messages. Knows no session and does no I/O: a target is any type.

mod cache;
mod retained;
mod share;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

pub use cache::{Admission, Likeness, Prepared, RouteCache};
pub use retained::{Retained, RetainedLimits};
pub use share::{ShareGroup, hash_topic};

use crate::topic::{TopicFilter, Trie};

/// Names one subscriber at one filter: a session, or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriberId(pub u64);

/// The table of all subscriptions. Look-ups go through a `RouteCache`, which holds until the table changes.
#[derive(Debug)]
pub struct Router<T> {
    trie: RwLock<Trie<SubscriberId, T>>,
    generation: AtomicU64,
    next_id: AtomicU64,
}

impl<T: Clone> Default for Router<T> {
    fn default() -> Self {
        Self {
            trie: RwLock::new(Trie::new()),
            generation: AtomicU64::new(1),
            next_id: AtomicU64::new(1),
        }
    }
}

impl<T: Clone> Router<T> {
    /// A subscriber identifier that no other has.
    pub fn new_subscriber_id(&self) -> SubscriberId {
        SubscriberId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a subscription, or replaces the target of the one that is there; returns that one.
    pub fn insert(&self, filter: &TopicFilter, subscriber: SubscriberId, target: T) -> Option<T> {
        let mut trie = self.trie.write().unwrap_or_else(PoisonError::into_inner);
        let earlier = trie.insert(filter, subscriber, target);
        self.generation.fetch_add(1, Ordering::SeqCst);
        earlier
    }

    /// Removes a subscription.
    pub fn remove(&self, filter: &TopicFilter, subscriber: SubscriberId) -> Option<T> {
        let mut trie = self.trie.write().unwrap_or_else(PoisonError::into_inner);
        let earlier = trie.remove(filter, &subscriber);
        self.generation.fetch_add(1, Ordering::SeqCst);
        earlier
    }

    /// Makes every cached route be made anew: something that it was made of has changed.
    pub fn touch(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Visits all targets whose filter matches the topic.
    pub fn visit(&self, topic: &str, mut visit: impl FnMut(&T)) {
        let trie = self.trie.read().unwrap_or_else(PoisonError::into_inner);
        trie.visit(topic, |_, target| visit(target));
    }

    /// Changes whenever a subscription does.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// How many subscriptions there are; a group counts once per filter.
    pub fn len(&self) -> usize {
        self.trie.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
