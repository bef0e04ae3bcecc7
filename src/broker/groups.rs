//! Which groups there are, live ones and those with a cursor. A group exists while a session is subscribed to it.

use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;

use super::cursors::CursorKey;
use super::group::Group;
use super::outbox::{Item, Outbox, Reply};
use super::route::{Member, Target};
use super::subscription::SubscriptionPath;
use crate::router::{Router, ShareGroup, SubscriberId};
use crate::topic::TopicFilter;

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    shares: Mutex<AHashMap<(Arc<str>, TopicFilter), Share>>,
    replays: Mutex<AHashMap<CursorKey, Arc<Group>>>,
}

/// A shared subscription without a start option.
#[derive(Debug)]
enum Share {
    /// No member is durable: each message goes to the mailbox of one.
    Live(SubscriberId, Arc<ShareGroup<Member>>),
    /// A durable session is or was a member: messages are in the log, and the members share a cursor.
    Kept(Arc<Group>),
}

impl Share {
    fn subscriptions(&self) -> usize {
        match self {
            Self::Live(_, group) => group.members().len(),
            Self::Kept(group) => group.subscriptions(),
        }
    }
}

impl Groups {
    /// Joins a shared subscription without a start option. While no member is durable it is a live group. The first
    /// durable member makes it one with a cursor: `keep` makes that, and takes the live group's place in the router; the
    /// members of the live group are told. Returns the group with the cursor, if it is one.
    pub fn join_share<E>(
        &self,
        name: &Arc<str>,
        filter: &TopicFilter,
        member: Member,
        live: impl FnOnce(SubscriberId) -> Arc<ShareGroup<Member>>,
        keep: impl FnOnce(SubscriberId, Option<&ShareGroup<Member>>) -> Result<Arc<Group>, E>,
        router: &Router<Target>,
    ) -> Result<Option<Arc<Group>>, E> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.clone(), filter.clone());
        let group = match shares.get(&key) {
            Some(Share::Kept(group)) => group.clone(),
            Some(Share::Live(_, group)) if !member.outbox.durable => {
                group.join(member);
                return Ok(None);
            }
            None if !member.outbox.durable => {
                let subscriber = router.new_subscriber_id();
                let group = live(subscriber);
                group.join(member);
                shares.insert(key, Share::Live(subscriber, group));
                return Ok(None);
            }
            Some(Share::Live(subscriber, live)) => {
                let group = keep(*subscriber, Some(live))?;
                for other in live.members() {
                    let reply = Reply::JoinGroup(name.clone(), filter.clone());
                    other.outbox.push(&mut vec![Item::Reply(reply)]);
                }
                shares.insert(key, Share::Kept(group.clone()));
                group
            }
            None => {
                let group = keep(router.new_subscriber_id(), None)?;
                shares.insert(key, Share::Kept(group.clone()));
                group
            }
        };
        group.subscribe(&member.outbox);
        Ok(Some(group))
    }

    /// How many groups there are, and how many subscriptions they are made of.
    pub fn count(&self) -> (usize, usize) {
        let shares: Vec<usize> = {
            let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            shares.values().map(Share::subscriptions).collect()
        };
        let replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = shares.len() + replays.len();
        let members = replays.values().map(|group| group.subscriptions());
        (groups, shares.into_iter().chain(members).sum())
    }

    /// Leaves a live group; the last member takes it away.
    pub fn leave_share(&self, name: &Arc<str>, filter: &TopicFilter, member: SubscriberId, router: &Router<Target>) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.clone(), filter.clone());
        if let Some(Share::Live(subscriber, group)) = shares.get(&key)
            && group.leave(member.0).1 == 0
        {
            router.remove(filter, *subscriber);
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
    pub fn leave(
        &self,
        group: &Arc<Group>,
        path: &SubscriptionPath,
        member: SubscriberId,
        router: &Router<Target>,
        last: impl FnOnce(&Arc<Group>),
    ) -> Option<Arc<Outbox>> {
        if group.is_share() {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            return leave(group, path, member, router, |group| {
                if let Some(name) = &path.group {
                    shares.remove(&(name.clone(), path.filter.clone()));
                }
                last(group);
            });
        }
        let mut replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        leave(group, path, member, router, |group| {
            replays.remove(group.key());
            last(group);
        })
    }
}

fn leave(
    group: &Arc<Group>,
    path: &SubscriptionPath,
    member: SubscriberId,
    router: &Router<Target>,
    last: impl FnOnce(&Arc<Group>),
) -> Option<Arc<Outbox>> {
    let (wake, left) = group.unsubscribe(member);
    if left == 0 {
        router.remove(&path.filter, group.subscriber);
        last(group);
    }
    wake
}
