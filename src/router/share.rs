//! Live groups: `$share/<group>/<filter>` without a start option. Each message goes to one member.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cursor::{Candidate, SharedCursor, Strategy, choose_live};
use crate::selector::Selector;
use crate::types::Position;

/// The members of one group at one filter.
#[derive(Debug)]
pub struct ShareGroup<M> {
    strategy: Strategy,
    inner: Mutex<Inner<M>>,
}

#[derive(Debug)]
struct Inner<M> {
    members: Vec<M>,
    /// Which messages the group wants; all without one.
    selector: Option<Arc<Selector>>,
    cursor: SharedCursor,
    /// Where the last message was that the log has.
    seen: Position,
    ended: bool,
}

impl<M: Candidate + Clone> ShareGroup<M> {
    /// A group without members; the log's messages up to `since` are from before it.
    pub fn new(strategy: Strategy, since: Position) -> Self {
        Self {
            strategy,
            inner: Mutex::new(Inner {
                members: Vec::new(),
                selector: None,
                cursor: SharedCursor::default(),
                seen: since,
                ended: false,
            }),
        }
    }

    /// The members.
    pub fn members(&self) -> Vec<M> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .members
            .clone()
    }

    /// Which messages the group wants; all without one.
    pub fn selector(&self) -> Option<Arc<Selector>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.selector.clone()
    }

    /// Says which messages the group wants; routes that are made already do not know.
    pub fn set_selector(&self, selector: Option<Arc<Selector>>) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).selector = selector;
    }

    /// Adds a member, or replaces it. Returns whether it is new.
    pub fn join(&self, member: M) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.members.iter_mut().find(|other| other.id() == member.id()) {
            Some(place) => {
                *place = member;
                false
            }
            None => {
                inner.members.push(member);
                true
            }
        }
    }

    /// Removes a member; returns whether it was one and how many are left.
    pub fn leave(&self, id: u64) -> (bool, usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.members.len();
        inner.members.retain(|member| member.id() != id);
        (inner.members.len() < before, inner.members.len())
    }

    /// The member that gets a message of this topic, of those that `may`: a connected one while there is one.
    pub fn choose(&self, topic_hash: u64, random: u64, may: impl Fn(&M) -> bool) -> Option<M> {
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.choose(self.strategy, topic_hash, random, may)
    }

    /// Works with that member in place. The hash and the random number are made only for a strategy that asks for them.
    pub fn with_chosen<R>(
        &self,
        topic_hash: impl FnOnce() -> u64,
        random: impl FnOnce() -> u64,
        may: impl Fn(&M) -> bool,
        work: impl FnOnce(&M) -> R,
    ) -> Option<R> {
        let topic_hash = if self.strategy == Strategy::HashTopic {
            topic_hash()
        } else {
            0
        };
        let random = if self.strategy == Strategy::Random { random() } else { 0 };
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let index = choose_live(
            self.strategy,
            &mut inner.cursor,
            &inner.members,
            topic_hash,
            random,
            may,
        )?;
        inner.members.get(index).map(work)
    }

    /// The same for a message that the log has at `position`; `None` as well when a cursor reads it there.
    pub fn choose_kept(&self, position: Position, topic_hash: u64, random: u64, may: impl Fn(&M) -> bool) -> Option<M> {
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.ended {
            return None;
        }
        inner.seen = inner.seen.max(position);
        inner.choose(self.strategy, topic_hash, random, may)
    }

    /// From now on a cursor reads what the log has for the group. Returns behind which position.
    pub fn end(&self) -> Position {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.ended = true;
        inner.seen
    }
}

impl<M: Candidate + Clone> Inner<M> {
    fn choose(&mut self, strategy: Strategy, topic_hash: u64, random: u64, may: impl Fn(&M) -> bool) -> Option<M> {
        let index = choose_live(strategy, &mut self.cursor, &self.members, topic_hash, random, may)?;
        self.members.get(index).cloned()
    }
}

/// A hash that is the same for a topic in the whole process.
pub fn hash_topic(topic: &[u8]) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher();
    hasher.write(topic);
    hasher.finish()
}
