//! From a message and the router's targets to deliveries. Knows no socket and no disk.

use std::cell::RefCell;
use std::sync::Arc;

use super::Broker;
use super::group::Group;
use super::lane::LaneItem;
use super::live_target::{Granted, LiveTarget};
use super::outbox::{Item, Outbox};
use super::subscription::SubscriptionOptions;
use super::turn::Turn;
use crate::cursor::Candidate;
use crate::log::{ChannelKind, Stored};
use crate::router::{Prepared, RouteCache, ShareGroup, SubscriberId, hash_topic};
use crate::session::{Source, SubscriptionKey};
use crate::types::{Message, QoS};

/// What the router holds at a filter.
#[derive(Clone, Debug)]
pub enum Target {
    /// A plain subscription.
    Live(Arc<Outbox>, SubscriptionOptions),
    /// A live group.
    Share(Arc<ShareGroup<Member>>),
    /// A replay subscription.
    Replay(Arc<Outbox>, SubscriptionKey),
    /// A group with a cursor.
    Group(Arc<Group>),
}

/// The place of a message in the log, and why it is there.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Where it is.
    pub place: Stored,
    /// Whether it is an event, or held for durable sessions.
    pub kind: ChannelKind,
}

/// A member of a live group.
#[derive(Clone, Debug)]
pub struct Member {
    /// The member's mailbox.
    pub outbox: Arc<Outbox>,
    /// What its subscription asked for.
    pub options: SubscriptionOptions,
}

impl Candidate for Member {
    fn id(&self) -> u64 {
        self.outbox.subscriber.0
    }

    fn is_connected(&self) -> bool {
        self.outbox.is_connected()
    }

    fn in_flight(&self) -> usize {
        self.outbox.load()
    }
}

/// The targets of one topic, plain subscriptions merged by session. Sessions that are away are not among them: they read
/// the log when they are back.
#[derive(Debug, Default)]
pub struct Route {
    /// Whether a durable session, here or away, has to find messages of QoS 1 and 2 in the log.
    holds: bool,
    /// Whether more waits for such a session than may, so that publishers are refused.
    full: bool,
    /// Whether somebody who is away wants the topic.
    absent: bool,
    live: Vec<LiveTarget>,
    /// The kinds of packets that plain subscribers get; none if there are few subscribers or many kinds.
    kinds: Vec<Granted>,
    pass: Pass,
    shares: Vec<Arc<ShareGroup<Member>>>,
    replays: Vec<(Arc<Outbox>, SubscriptionKey)>,
    groups: Vec<Arc<Group>>,
}

/// How a message that nobody keeps goes to those who want it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pass {
    /// Not from packet to packet.
    #[default]
    Not,
    /// As a packet for each of a few.
    Each,
    /// As a packet for one member of a group, and nobody else.
    Member,
    /// As one packet for all of a kind.
    Shared,
}

impl Prepared<Target> for Route {
    fn add(&mut self, target: &Target) {
        match target {
            Target::Live(outbox, options) => self.add_live(outbox, *options),
            Target::Share(group) => self.shares.push(group.clone()),
            Target::Replay(outbox, key) if outbox.is_connected() => self.replays.push((outbox.clone(), *key)),
            Target::Replay(..) => self.absent = true,
            Target::Group(group) => {
                self.holds |= group.is_share();
                self.groups.push(group.clone());
            }
        }
    }

    fn finish(&mut self) -> usize {
        self.merge_live();
        self.kinds = kinds(&mut self.live);
        self.pass = self.choose_pass();
        self.live.len() + self.shares.len() + self.replays.len() + self.groups.len()
    }
}

impl Route {
    fn add_live(&mut self, outbox: &Arc<Outbox>, options: SubscriptionOptions) {
        if outbox.durable && options.qos > QoS::AtMostOnce {
            self.holds = true;
            self.full |= outbox.is_over_limit();
        }
        if outbox.durable && !outbox.is_connected() {
            self.absent = true;
            return;
        }
        self.live.push(LiveTarget::new(outbox, options));
    }

    /// Whether a message of this QoS must be in the log before it is acknowledged.
    pub fn holds(&self, qos: QoS) -> bool {
        self.holds && qos > QoS::AtMostOnce
    }

    /// Whether a message of this QoS is refused because too much waits for a session.
    pub fn is_full(&self, qos: QoS) -> bool {
        self.full && qos > QoS::AtMostOnce
    }

    fn choose_pass(&self) -> Pass {
        if !self.replays.is_empty() || !self.groups.is_empty() {
            return Pass::Not;
        }
        match (self.shares.len(), self.live.len()) {
            (0, 0..=FEW) => Pass::Each,
            (0, _) if !self.kinds.is_empty() => Pass::Shared,
            (1, 0) => Pass::Member,
            _ => Pass::Not,
        }
    }

    /// How a message of this QoS from a session goes to those who want it, if it is neither stored nor retained.
    #[inline]
    pub(super) fn pass(&self, qos: QoS, from: SubscriberId) -> Pass {
        let avoids = self.pass == Pass::Each && self.live.iter().any(|target| target.may_avoid(from));
        if avoids || self.holds(qos) {
            Pass::Not
        } else {
            self.pass
        }
    }

    /// Each session that gets a packet, and what it is granted.
    #[inline]
    pub(super) fn each(&self) -> impl Iterator<Item = (&Arc<Outbox>, &Granted)> {
        self.live.iter().map(|target| (&target.outbox, &target.granted))
    }

    /// The kinds of packets that many get.
    pub(super) fn kinds(&self) -> &[Granted] {
        &self.kinds
    }

    /// All of them, each with the number of its kind.
    pub(super) fn of_kinds(&self) -> impl Iterator<Item = (&Arc<Outbox>, usize)> {
        self.live.iter().map(|target| (&target.outbox, target.kind))
    }

    /// The member of the one group whose turn it is.
    #[inline]
    pub(super) fn member(&self, topic: &str) -> Option<Member> {
        self.shares
            .first()?
            .choose(hash_topic(topic.as_bytes()), fastrand::u64(..))
    }

    /// Overlapping plain subscriptions of a session give one copy (section 3.3.4).
    fn merge_live(&mut self) {
        self.live.sort_by_key(|target| target.outbox.subscriber);
        self.live.dedup_by(|later, kept| {
            let same = Arc::ptr_eq(&later.outbox, &kept.outbox);
            if same {
                kept.merge(later);
            }
            same
        });
    }

    /// Whether nobody wants the topic.
    pub fn is_empty(&self) -> bool {
        !self.absent
            && self.live.is_empty()
            && self.shares.is_empty()
            && self.replays.is_empty()
            && self.groups.is_empty()
    }
}

/// Sorts many targets by the kind of packets they get. None: they are few, or too different.
fn kinds(live: &mut [LiveTarget]) -> Vec<Granted> {
    let mut kinds = Vec::new();
    if live.len() <= FEW || live.iter().any(|target| target.no_local) {
        return kinds;
    }
    for target in live {
        let known = kinds.iter().position(|kind| *kind == target.granted);
        let kind = known.unwrap_or_else(|| {
            kinds.push(target.granted.clone());
            kinds.len() - 1
        });
        if kinds.len() > MOST_KINDS {
            return Vec::new();
        }
        target.kind = kind;
    }
    kinds
}

impl Broker {
    /// Hands a message to everyone who wants it now, and who is here.
    pub(super) fn hand_out(&self, route: &Route, message: &Arc<Message>, kept: Option<Kept>, turn: &mut Turn) {
        // Held records are none of a replay's business: for it the message is live.
        let stored = kept
            .filter(|kept| kept.kind == ChannelKind::Event)
            .map(|kept| kept.place);
        for target in &route.live {
            if let Some(mut delivery) = target.delivery(message) {
                if let Some(kept) = kept
                    && target.outbox.durable
                    && delivery.qos > QoS::AtMostOnce
                {
                    delivery.source = Source::Session(kept.place.position);
                }
                turn.push(&target.outbox, Item::Live(delivery));
            }
        }
        for group in &route.shares {
            let (topic_hash, random) = (hash_topic(message.topic_bytes()), fastrand::u64(..));
            let chosen = match kept {
                Some(kept) => group.choose_kept(kept.place.position, topic_hash, random),
                None => group.choose(topic_hash, random),
            };
            if let Some(member) = chosen {
                let delivery = member.options.delivery(message, Source::Live);
                turn.push(&member.outbox, Item::Live(delivery));
            }
        }
        for (outbox, key) in &route.replays {
            turn.push(
                outbox,
                Item::Lane(
                    *key,
                    LaneItem {
                        message: message.clone(),
                        stored,
                    },
                ),
            );
        }
        for group in &route.groups {
            let stored = if group.is_share() {
                kept.map(|kept| kept.place)
            } else {
                stored
            };
            if let Some(outbox) = group.arrived(LaneItem {
                message: message.clone(),
                stored,
            }) {
                turn.push(&outbox, Item::Wake);
            }
        }
    }

    /// Who wants messages of a topic.
    pub(super) fn route_of(&self, topic: &str) -> Arc<Route> {
        self.with_routes(|cache| cache.route(&self.router, topic))
    }

    /// Who wants a message; `kept` is its place in the log, if it has one.
    pub(super) fn look_up(&self, message: &Message, kept: Option<Kept>) -> Arc<Route> {
        self.with_routes(|cache| match kept {
            // The channel's number spares a look at a topic that is cold here.
            Some(kept) => cache.route_numbered(&self.router, kept.place.channel.0, || message.topic()),
            None => cache.route(&self.router, message.topic()),
        })
    }

    fn with_routes<R>(&self, work: impl FnOnce(&mut RouteCache<Route>) -> R) -> R {
        ROUTES.with_borrow_mut(|(broker, cache)| {
            if *broker != self.instance {
                // Another broker in this process used the thread before.
                cache.clear();
                *broker = self.instance;
            }
            work(cache)
        })
    }
}

/// So many plain subscribers get a packet each; more share them by kind.
const FEW: usize = 4;
/// More kinds of packets are not told apart.
const MOST_KINDS: usize = 16;

thread_local! {
    static ROUTES: RefCell<(u64, RouteCache<Route>)> = RefCell::new((0, RouteCache::default()));
}

#[cfg(test)]
mod tests;
