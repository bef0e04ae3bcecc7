//! Which groups there are, live ones and those with a cursor. A group exists while a session is subscribed to it.

use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;

use super::cursors::CursorKey;
use super::group::Group;
use super::outbox::{Item, Outbox, Reply};
use super::route::{Member, Target};
use super::subscribe::Refusal;
use super::subscription::SubscriptionPath;
use crate::router::{Router, ShareGroup, SubscriberId};
use crate::selector::Selector;
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

/// Who joins a group, and which messages it thinks the group wants.
pub(super) struct Joining<'a> {
    pub outbox: &'a Arc<Outbox>,
    pub selector: Option<&'a Arc<Selector>>,
    pub router: &'a Router<Target>,
}

impl Groups {
    /// Joins a shared subscription without a start option. While no member is durable it is a live group. The first
    /// durable member makes it one with a cursor: `keep` makes that, and takes the live group's place in the router; the
    /// members of the live group are told. Returns the group with the cursor, if it is one.
    pub fn join_share(
        &self,
        name: &Arc<str>,
        filter: &TopicFilter,
        member: Member,
        joining: Joining<'_>,
        live: impl FnOnce(SubscriberId) -> Arc<ShareGroup<Member>>,
        keep: impl FnOnce(SubscriberId, Option<&ShareGroup<Member>>) -> Result<Arc<Group>, Refusal>,
    ) -> Result<Option<Arc<Group>>, Refusal> {
        let router = joining.router;
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.clone(), filter.clone());
        match shares.get(&key) {
            Some(Share::Kept(group)) => joining.choose(group)?,
            Some(Share::Live(_, group)) => joining.choose_live(group)?,
            None => {}
        }
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

    /// The names and filters of all live groups.
    pub fn live_shares(&self) -> Vec<(String, String)> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let live = shares.iter().filter(|(_, share)| matches!(share, Share::Live(..)));
        live.map(|((name, filter), _)| (name.to_string(), filter.as_str().to_owned()))
            .collect()
    }

    /// How many sessions are subscribed to a group, and its connected members with what each has in flight.
    pub fn members_of(&self, name: &str, filter: &str, kind: &str) -> (usize, Vec<(String, Option<usize>)>) {
        let Ok(parsed) = TopicFilter::parse(filter) else {
            return (0, Vec::new());
        };
        if kind == "group" {
            let replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
            let group = replays.get(&CursorKey::group(name, &parsed)).cloned();
            drop(replays);
            return group.map_or((0, Vec::new()), |group| (group.subscriptions(), group.members()));
        }
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        match shares.get(&(name.into(), parsed)) {
            Some(Share::Kept(group)) => (group.subscriptions(), group.members()),
            Some(Share::Live(_, group)) => {
                let members = group.members();
                let connected = members.iter().filter(|member| member.outbox.is_connected());
                let connected = connected.map(|member| (member.outbox.client_id.to_string(), None));
                (members.len(), connected.collect())
            }
            None => (0, Vec::new()),
        }
    }

    /// Calls `work` with the group that a cursor belongs to, if sessions are subscribed to it; nobody joins or leaves
    /// meanwhile.
    pub fn with_replay<R>(&self, key: &CursorKey, work: impl FnOnce(Option<&Arc<Group>>) -> R) -> R {
        let replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        work(replays.get(key))
    }

    /// A live group, if there is one of this name.
    pub fn live_share(&self, name: &Arc<str>, filter: &TopicFilter) -> Option<Arc<ShareGroup<Member>>> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        match shares.get(&(name.clone(), filter.clone())) {
            Some(Share::Live(_, group)) => Some(group.clone()),
            _ => None,
        }
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
    pub fn join_replay(
        &self,
        key: &CursorKey,
        joining: Joining<'_>,
        reset: bool,
        make: impl FnOnce(SubscriberId) -> Result<Arc<Group>, Refusal>,
    ) -> Result<Option<Arc<Group>>, Refusal> {
        let mut replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        let group = match replays.get(key) {
            Some(_) if reset => return Ok(None),
            Some(group) => {
                joining.choose(group)?;
                group.clone()
            }
            None => {
                let group = make(joining.router.new_subscriber_id())?;
                replays.insert(key.clone(), group.clone());
                group
            }
        };
        group.subscribe(joining.outbox);
        Ok(Some(group))
    }

    /// Whether a session may join a shared subscription without a start option with this selector.
    pub fn check_share(&self, name: &Arc<str>, filter: &TopicFilter, joining: &Joining<'_>) -> Result<(), Refusal> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = match shares.get(&(name.clone(), filter.clone())) {
            Some(Share::Kept(group)) => joining.differs(group),
            Some(Share::Live(_, group)) => joining.differs_live(group),
            None => Ok(false),
        };
        differs.map(|_| ())
    }

    /// The same of a group with a cursor.
    pub fn check_replay(&self, key: &CursorKey, joining: &Joining<'_>) -> Result<(), Refusal> {
        let replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        match replays.get(key) {
            Some(group) => joining.differs(group).map(|_| ()),
            None => Ok(()),
        }
    }

    /// A member says anew which messages the group wants.
    pub fn choose_selector(
        &self,
        group: &Arc<Group>,
        member: &Arc<Outbox>,
        selector: Option<&Arc<Selector>>,
        router: &Router<Target>,
    ) -> Result<(), Refusal> {
        // Nobody joins meanwhile.
        let _replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        let joining = Joining {
            outbox: member,
            selector,
            router,
        };
        joining.choose(group)
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
                    shares.remove(&(Arc::clone(name), path.filter.clone()));
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

impl Joining<'_> {
    /// Whether a group with a cursor has another selector; that is refused while others are subscribed.
    fn differs(&self, group: &Group) -> Result<bool, Refusal> {
        let differs = group.selector().as_ref() != self.selector;
        if differs && group.has_others(self.outbox.subscriber) {
            return Err(other_selector());
        }
        Ok(differs)
    }

    /// The same of a live group.
    fn differs_live(&self, group: &ShareGroup<Member>) -> Result<bool, Refusal> {
        let differs = group.selector().as_ref() != self.selector;
        let own = self.outbox.subscriber;
        if differs && group.members().iter().any(|member| member.outbox.subscriber != own) {
            return Err(other_selector());
        }
        Ok(differs)
    }

    /// Gives a group with a cursor this selector, unless it has it already.
    fn choose(&self, group: &Group) -> Result<(), Refusal> {
        if self.differs(group)? {
            group.set_selector(self.selector.cloned());
            self.router.touch();
        }
        Ok(())
    }

    /// The same for a live group.
    fn choose_live(&self, group: &ShareGroup<Member>) -> Result<(), Refusal> {
        if self.differs_live(group)? {
            group.set_selector(self.selector.cloned());
            self.router.touch();
        }
        Ok(())
    }
}

fn other_selector() -> Refusal {
    Refusal::other("selector: the group has another one, and other members are subscribed")
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
