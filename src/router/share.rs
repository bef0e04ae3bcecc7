//! Live groups: `$share/<group>/<filter>` without a start option. Each message goes to one member.

use std::sync::{Mutex, PoisonError};

use crate::cursor::{Candidate, SharedCursor, Strategy, choose_live};

/// The members of one group at one filter.
#[derive(Debug)]
pub struct ShareGroup<M> {
    strategy: Strategy,
    inner: Mutex<Inner<M>>,
}

#[derive(Debug)]
struct Inner<M> {
    members: Vec<M>,
    cursor: SharedCursor,
}

impl<M: Candidate + Clone> ShareGroup<M> {
    /// A group without members.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            inner: Mutex::new(Inner {
                members: Vec::new(),
                cursor: SharedCursor::default(),
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

    /// The member that gets a message of this topic: a connected one while there is one.
    pub fn choose(&self, topic_hash: u64, random: u64) -> Option<M> {
        let inner = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let members = &inner.members;
        let index = choose_live(self.strategy, &mut inner.cursor, members, topic_hash, random)?;
        members.get(index).cloned()
    }
}

/// A hash that is the same for a topic in the whole process.
pub fn hash_topic(topic: &[u8]) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher();
    hasher.write(topic);
    hasher.finish()
}
