//! From a message and the router's targets to deliveries. Knows no socket and no disk.

use std::cell::RefCell;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Broker;
use super::group::Group;
use super::lane::LaneItem;
use super::outbox::{Item, Outbox};
use super::subscription::SubscriptionOptions;
use super::turn::Turn;
use crate::cursor::Candidate;
use crate::log::Stored;
use crate::router::{RouteCache, ShareGroup, hash_topic};
use crate::session::{Delivery, Source, SubscriptionIds, SubscriptionKey};
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

/// The targets of one topic, plain subscriptions merged by session.
#[derive(Debug, Default)]
pub struct Route {
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

impl Route {
    fn new(targets: Vec<Target>) -> Self {
        let mut route = Self::default();
        for target in targets {
            match target {
                Target::Live(outbox, options) => route.live.push(LiveTarget {
                    outbox,
                    subscriptions: SmallVec::from_buf([options]),
                }),
                Target::Share(group) => route.shares.push(group),
                Target::Replay(outbox, key) => route.replays.push((outbox, key)),
                Target::Group(group) => route.groups.push(group),
            }
        }
        route.merge_live();
        route
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
        self.live.is_empty() && self.shares.is_empty() && self.replays.is_empty() && self.groups.is_empty()
    }
}

impl LiveTarget {
    /// The delivery for this session; `None` if No Local holds for all its subscriptions [MQTT-3.8.3-3].
    fn delivery(&self, message: &Arc<Message>) -> Option<Delivery> {
        let own = message.publisher() == Some(&self.outbox.client_id);
        let mut wanted = self
            .subscriptions
            .iter()
            .filter(|options| !(own && options.no_local))
            .peekable();
        wanted.peek()?;
        let (mut qos, mut retain, mut subscription_ids) = (QoS::AtMostOnce, false, SubscriptionIds::new());
        for options in wanted {
            qos = qos.max(options.qos);
            retain |= options.retain_as_published && message.retain();
            subscription_ids.extend(options.id);
        }
        Some(Delivery {
            message: message.clone(),
            qos: qos.min(message.qos()),
            retain,
            subscription_ids,
            source: Source::Live,
            event: None,
        })
    }
}

impl Broker {
    /// Hands a message to everyone who wants it now. Returns whether there was anyone.
    pub(super) fn route(&self, message: &Arc<Message>, stored: Option<Stored>, turn: &mut Turn) -> bool {
        let route = self.look_up(message, stored);
        for target in &route.live {
            if let Some(delivery) = target.delivery(message) {
                turn.push(&target.outbox, Item::Live(delivery));
            }
        }
        for group in &route.shares {
            if let Some(member) = group.choose(hash_topic(message.topic_bytes()), fastrand::u64(..)) {
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
            if let Some(outbox) = group.arrived(LaneItem {
                message: message.clone(),
                stored,
            }) {
                turn.push(&outbox, Item::Wake);
            }
        }
        !route.is_empty()
    }

    fn look_up(&self, message: &Message, stored: Option<Stored>) -> Arc<Route> {
        ROUTES.with_borrow_mut(|(broker, cache)| {
            if *broker != self.instance {
                // Another broker in this process used the thread before.
                cache.clear();
                *broker = self.instance;
            }
            let prepare = |targets: Vec<Target>| {
                let count = targets.len();
                (Route::new(targets), count)
            };
            match stored {
                // The channel's number spares a look at a topic that is cold here.
                Some(stored) => cache.route_numbered(&self.router, stored.channel.0, || message.topic(), prepare),
                None => cache.route(&self.router, message.topic(), prepare),
            }
        })
    }
}

thread_local! {
    static ROUTES: RefCell<(u64, RouteCache<Route>)> = RefCell::new((0, RouteCache::default()));
}
