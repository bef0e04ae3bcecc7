//! Which groups there are, live ones and those with a cursor. A group exists while a session is subscribed to it.

use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;

use super::cursors::CursorKey;
use super::group::Group;
use super::outbox::Outbox;
use super::route::{Member, Target};
use crate::router::{Router, ShareGroup, SubscriberId};
use crate::topic::TopicFilter;

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    shares: Mutex<AHashMap<(Box<str>, TopicFilter), Share>>,
    replays: Mutex<AHashMap<CursorKey, Arc<Group>>>,
}

#[derive(Debug)]
struct Share {
    subscriber: SubscriberId,
    group: Arc<ShareGroup<Member>>,
}

impl Groups {
    /// Joins a live group; `make` makes and routes it if it is new.
    pub fn join_share(
        &self,
        name: &str,
        filter: &TopicFilter,
        member: Member,
        make: impl FnOnce(SubscriberId) -> Arc<ShareGroup<Member>>,
        router: &Router<Target>,
    ) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.entry((name.into(), filter.clone())).or_insert_with(|| {
            let subscriber = router.new_subscriber_id();
            Share {
                subscriber,
                group: make(subscriber),
            }
        });
        share.group.join(member);
    }

    /// Leaves a live group; the last member takes it away.
    pub fn leave_share(&self, name: &str, filter: &TopicFilter, member: SubscriberId, router: &Router<Target>) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.into(), filter.clone());
        let Some(share) = shares.get(&key) else { return };
        if share.group.leave(member.0).1 == 0 {
            router.remove(filter, share.subscriber);
            shares.remove(&key);
        }
    }

    /// Joins a group with a cursor; `make` makes and routes it if it is new. `reset` makes it anew, which is possible
    /// only while nobody is subscribed: `Ok(None)` otherwise.
    pub fn join_replay<E>(
        &self,
        key: &CursorKey,
        outbox: &Arc<Outbox>,
        reset: bool,
        make: impl FnOnce(SubscriberId) -> Result<Arc<Group>, E>,
        router: &Router<Target>,
    ) -> Result<Option<Arc<Group>>, E> {
        let mut replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        let group = match replays.get(key) {
            Some(_) if reset => return Ok(None),
            Some(group) => group.clone(),
            None => {
                let group = make(router.new_subscriber_id())?;
                replays.insert(key.clone(), group.clone());
                group
            }
        };
        group.subscribe(outbox);
        Ok(Some(group))
    }

    /// Whether anybody but this session is subscribed to a group with a cursor.
    pub fn has_others(&self, key: &CursorKey, member: SubscriberId) -> bool {
        let replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        replays.get(key).is_some_and(|group| group.has_others(member))
    }

    /// Leaves a group with a cursor. `last` is called, while nobody can join, if nobody is left.
    pub fn leave_replay(
        &self,
        group: &Arc<Group>,
        filter: &TopicFilter,
        member: SubscriberId,
        router: &Router<Target>,
        last: impl FnOnce(&Arc<Group>),
    ) -> Option<Arc<Outbox>> {
        let mut replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        let (wake, left) = group.unsubscribe(member);
        if left == 0 {
            router.remove(filter, group.subscriber);
            replays.remove(group.key());
            last(group);
        }
        wake
    }
}
