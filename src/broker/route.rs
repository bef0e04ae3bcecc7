//! From a message and the router's targets to deliveries. Knows no socket and no disk.

use std::cell::RefCell;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Broker;
use super::group::Group;
use super::lane::LaneItem;
use super::outbox::{Item, Outbox};
use super::subscription::{SubscriptionOptions, merged};
use super::turn::Turn;
use crate::cursor::Candidate;
use crate::log::{ChannelKind, Stored};
use crate::router::{Prepared, RouteCache, ShareGroup, hash_topic};
use crate::session::{Delivery, Source, SubscriptionKey};
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
    shares: Vec<Arc<ShareGroup<Member>>>,
    replays: Vec<(Arc<Outbox>, SubscriptionKey)>,
    groups: Vec<Arc<Group>>,
}

#[derive(Debug)]
struct LiveTarget {
    outbox: Arc<Outbox>,
    subscriptions: SmallVec<[SubscriptionOptions; 1]>,
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
        self.live.push(LiveTarget {
            outbox: outbox.clone(),
            subscriptions: SmallVec::from_buf([options]),
        });
    }

    /// Whether a message of this QoS must be in the log before it is acknowledged.
    pub fn holds(&self, qos: QoS) -> bool {
        self.holds && qos > QoS::AtMostOnce
    }

    /// Whether a message of this QoS is refused because too much waits for a session.
    pub fn is_full(&self, qos: QoS) -> bool {
        self.full && qos > QoS::AtMostOnce
    }

    /// Overlapping plain subscriptions of a session give one copy (section 3.3.4).
    fn merge_live(&mut self) {
        self.live.sort_by_key(|target| target.outbox.subscriber);
        self.live.dedup_by(|later, kept| {
            let same = Arc::ptr_eq(&later.outbox, &kept.outbox);
            if same {
                kept.subscriptions.append(&mut later.subscriptions);
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

impl LiveTarget {
    /// The delivery for this session.
    fn delivery(&self, message: &Arc<Message>) -> Option<Delivery> {
        let own = message.publisher() == Some(&self.outbox.client_id);
        merged(self.subscriptions.iter(), message, own)
    }
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

    /// Who wants a message; `kept` is its place in the log, if it has one.
    pub(super) fn look_up(&self, message: &Message, kept: Option<Kept>) -> Arc<Route> {
        ROUTES.with_borrow_mut(|(broker, cache)| {
            if *broker != self.instance {
                // Another broker in this process used the thread before.
                cache.clear();
                *broker = self.instance;
            }
            match kept {
                // The channel's number spares a look at a topic that is cold here.
                Some(kept) => cache.route_numbered(&self.router, kept.place.channel.0, || message.topic()),
                None => cache.route(&self.router, message.topic()),
            }
        })
    }
}

thread_local! {
    static ROUTES: RefCell<(u64, RouteCache<Route>)> = RefCell::new((0, RouteCache::default()));
}

#[cfg(test)]
mod tests;
