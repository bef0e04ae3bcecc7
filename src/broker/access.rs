//! What each session may do under the rules in force, found out once per session and set of rules.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::Broker;
use super::client::Client;
use super::outbox::Outbox;
use super::route::Target;
use super::subscribe::{Refusal, Request};
use crate::acl::{Acl, Action, Coverage, Principal, Rights};
use crate::auth::Identity;
use crate::log::SubscriptionKind;
use crate::metrics::{DropReason, Unauthorized};
use crate::router::Admission;
use crate::topic::TopicFilter;
use crate::types::{ClientId, ReasonCode};

/// The rules in force.
#[derive(Debug, Default)]
pub(super) struct AccessControl {
    /// 0: there never were rules, and nobody asks further.
    generation: AtomicU64,
    acl: RwLock<Option<Arc<Acl>>>,
}

/// What is known of one session.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Option<Box<Known>>>);

#[derive(Debug, Default)]
struct Known {
    identity: Option<Identity>,
    /// Whether a connection has proved it: of a session that was on disk only the name is known.
    is_proved: bool,
    /// Whether no rules hold for it.
    unrestricted: bool,
    generation: u64,
    rights: Option<Arc<Rights>>,
}

/// Whether a client's messages have to be looked at one by one, as long as its subscriptions and the rules stay.
#[derive(Debug)]
pub(super) struct Guard {
    generation: u64,
    /// It was made while messages waited: once they are gone it may be lifted.
    is_queued: bool,
    rights: Option<Arc<Rights>>,
}

/// What a subscription needs to be allowed: a replay brings what comes from now on as well.
pub(super) const LIVE: &[Action] = &[Action::Subscribe];
/// The same for one with a start option.
pub(super) const REPLAY: &[Action] = &[Action::Subscribe, Action::Replay];

impl Known {
    /// A session that proves nothing; there is nothing more to know of it.
    fn nobody() -> Self {
        Self {
            is_proved: true,
            ..Self::default()
        }
    }
}

impl Held {
    /// Who the session's connection has proved to be; `is_proved` is false where only its name is known.
    pub fn set_identity(&self, identity: Option<Identity>, is_proved: bool) {
        let known = Known {
            identity,
            is_proved,
            ..Known::default()
        };
        // Nobody, surely, is what nothing stands for.
        let is_someone = known.identity.is_some() || !is_proved;
        *self.lock() = is_someone.then(|| Box::new(known));
    }

    /// No rules hold for the session's connection.
    pub fn lift(&self) {
        let mut held = self.lock();
        let known = held.get_or_insert_with(|| Box::new(Known::nobody()));
        (known.unrestricted, known.generation) = (true, 0);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessControl {
    fn set(&self, acl: Option<Acl>) {
        let mut held = self.acl.write().unwrap_or_else(PoisonError::into_inner);
        *held = acl.map(Arc::new);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether there are, or were, rules.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.generation.load(Ordering::Acquire) != 0
    }

    /// What a session may do; `None`: everything.
    pub fn rights(&self, outbox: &Outbox) -> Option<Arc<Rights>> {
        let generation = self.generation.load(Ordering::Acquire);
        if generation == 0 {
            return None;
        }
        {
            let held = outbox.access.lock();
            if let Some(known) = held.as_ref().filter(|known| known.generation == generation) {
                return known.rights.clone();
            }
        }
        let acl = self.acl.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut held = outbox.access.lock();
        let known = held.get_or_insert_with(|| Box::new(Known::nobody()));
        let acl = acl.filter(|_| !known.unrestricted);
        known.rights = acl.map(|acl| Arc::new(rights_of(&acl, known.identity.as_ref(), outbox)));
        known.generation = generation;
        known.rights.clone()
    }

    /// Whether a session may do all of this with a topic.
    pub fn may(&self, outbox: &Outbox, actions: &[Action], topic: &str) -> bool {
        may(self.rights(outbox).as_deref(), actions, topic)
    }

    /// Whether messages of a topic go to a target.
    pub fn admit(&self, target: &Target, topic: &str) -> Admission {
        if !self.is_on() {
            return Admission::Yes;
        }
        let (outbox, actions) = match target {
            Target::Share(_) | Target::Group(_) => return Admission::Ask,
            Target::Live(outbox, _) => (outbox, LIVE),
            Target::Selected(selected) => (selected.outbox(), LIVE),
            Target::Replay(replayed) => (replayed.outbox(), REPLAY),
        };
        if self.may(outbox, actions, topic) || self.is_unknown(outbox) {
            Admission::Yes
        } else {
            Admission::No
        }
    }

    /// Of a session that nobody has come back to since the start, groups and claims are not known: what may be for it is
    /// kept, and looked at when it is delivered.
    fn is_unknown(&self, outbox: &Outbox) -> bool {
        !outbox.is_connected() && outbox.access.lock().as_ref().is_some_and(|known| !known.is_proved)
    }
}

fn rights_of(acl: &Arc<Acl>, identity: Option<&Identity>, outbox: &Outbox) -> Rights {
    let claim = |name: &str| identity.and_then(|identity| identity.claim(name));
    let who = Principal {
        user: identity.map(Identity::as_str),
        groups: identity.map_or(&[], Identity::groups),
        client: outbox.client_id.as_str(),
        claim: &claim,
    };
    Rights::new(acl, &who)
}

/// Whether rights, if there are any to ask, allow all of this.
pub(super) fn may(rights: Option<&Rights>, actions: &[Action], topic: &str) -> bool {
    rights.is_none_or(|rights| actions.iter().all(|action| rights.may(*action, topic)))
}

fn actions_of(kind: SubscriptionKind) -> &'static [Action] {
    match kind {
        SubscriptionKind::Live | SubscriptionKind::Share => LIVE,
        SubscriptionKind::Replay | SubscriptionKind::Group => REPLAY,
    }
}

/// Of how much of a filter's topics all of this is allowed; where two are allowed in part, that may be of no topic both.
fn coverage(rights: &Rights, actions: &[Action], filter: &TopicFilter) -> Coverage {
    let all = actions.iter().map(|action| rights.coverage(*action, filter));
    all.fold(Coverage::Whole, |least, coverage| match (least, coverage) {
        (Coverage::None, _) | (_, Coverage::None) => Coverage::None,
        (Coverage::Whole, other) => other,
        (Coverage::Part, _) => Coverage::Part,
    })
}

impl Broker {
    /// Puts other rules in force, for whoever is here, for what is queued and for what is kept; `None`: everything is allowed.
    pub fn set_acl(&self, acl: Option<Acl>) {
        if acl.is_none() && !self.access.is_on() {
            return;
        }
        self.access.set(acl);
        // Routes are made by the rules.
        self.router.touch();
    }

    /// What a client's messages have to be looked at with, one by one; `None`: all that it subscribes to is allowed.
    pub(super) fn guard(&self, client: &mut Client) -> Option<Arc<Rights>> {
        if !self.access.is_on() {
            return None;
        }
        let generation = self.access.generation.load(Ordering::Acquire);
        // What waits may be for a subscription that is not there any more.
        let is_queued = !client.waiting.is_empty() || !client.blocked.is_empty();
        if let Some(guard) = &client.guard
            && guard.generation == generation
            && (is_queued || !guard.is_queued)
        {
            return guard.rights.clone();
        }
        let rights = self.access.rights(&client.outbox);
        let rights = rights.filter(|rights| {
            let mut subscriptions = client.subscriptions.iter();
            is_queued
                || subscriptions.any(|(path, subscription)| {
                    coverage(rights, actions_of(subscription.kind), &path.filter) != Coverage::Whole
                })
        });
        client.guard = Some(Box::new(Guard {
            generation,
            is_queued,
            rights: rights.clone(),
        }));
        rights
    }

    /// Whether a subscription may be made: not if the client may read no topic of it. Returns what each message has to be
    /// looked at with, if only a part is allowed.
    pub(super) fn check_subscription(
        &self,
        client: &mut Client,
        request: &Request,
    ) -> Result<Option<Arc<Rights>>, Refusal> {
        let Some(rights) = self.access.rights(&client.outbox) else {
            return Ok(None);
        };
        client.guard = None;
        let actions = if request.start.is_some() { REPLAY } else { LIVE };
        match coverage(&rights, actions, &request.path.filter) {
            Coverage::Whole => Ok(None),
            Coverage::Part => Ok(Some(rights)),
            Coverage::None => {
                let subscribes = rights.coverage(Action::Subscribe, &request.path.filter) != Coverage::None;
                let action = if subscribes { Action::Replay } else { Action::Subscribe };
                self.count_unauthorized(if subscribes {
                    Unauthorized::Replay
                } else {
                    Unauthorized::Subscribe
                });
                let filter = request.path.filter.as_str();
                tracing::debug!(client = client.client_id(), %action, filter, "not authorised");
                Err(Refusal {
                    reason: ReasonCode::NotAuthorized,
                    why: format!("no topic of {filter} may be read: {action} is not allowed"),
                })
            }
        }
    }

    /// Whether a session may publish to a topic, and have it stored if it asks for that. Otherwise what is missing.
    pub(super) fn check_publish(&self, outbox: &Outbox, topic: &str, asks_store: bool) -> Result<(), Action> {
        let Some(rights) = self.access.rights(outbox) else {
            return Ok(());
        };
        let denied = |action| !rights.may(action, topic);
        let action = match () {
            () if denied(Action::Publish) => Action::Publish,
            () if asks_store && denied(Action::Store) => Action::Store,
            () => return Ok(()),
        };
        tracing::debug!(client = outbox.client_id.as_str(), %action, topic, "not authorised");
        Err(action)
    }

    /// A message was not delivered because its reader may not have it.
    pub(super) fn count_undelivered(&self, messages: u64) {
        self.metrics.dropped.of(DropReason::Unauthorized).increment(messages);
        self.metrics.unauthorized.of(Unauthorized::Delivery).increment(messages);
    }

    /// A message was not delivered to a client because it may not have it.
    pub(super) fn count_denied(&self, client_id: &ClientId, topic: &str) {
        self.drops.count(client_id, DropReason::Unauthorized, topic, 1);
        self.metrics.unauthorized.of(Unauthorized::Delivery).increment(1);
    }

    pub(super) fn count_unauthorized(&self, what: Unauthorized) {
        self.metrics.unauthorized.of(what).increment(1);
    }
}
