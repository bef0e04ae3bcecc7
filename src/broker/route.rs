//! From a message and the router's targets to deliveries. Knows no socket and no disk.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use smallvec::SmallVec;

use super::Broker;
use super::access::LIVE;
use super::group::Group;
use super::lane::LaneItem;
use super::live_target::{Granted, LiveTarget};
use super::outbox::{Item, Outbox};
use super::select::{ANY, Passes, SelectorIndex, Subject};
use super::subscription::SubscriptionOptions;
use super::turn::Turn;
use crate::cursor::Candidate;
use crate::log::{ChannelKind, Stored};
use crate::metrics::Metrics;
use crate::router::{Admission, Likeness, Prepared, RouteCache, ShareGroup, SubscriberId, hash_topic};
use crate::selector::{Selector, SelectorSet, SetBuilder};
use crate::session::{Delivery, Source, SubscriptionKey};
use crate::types::{HasEmpty, Message, QoS, Rare};

/// What the router holds at a filter: 16 bytes, since there may be millions; what is rarer than a plain subscription
/// stands apart.
#[derive(Clone, Debug)]
pub enum Target {
    /// A plain subscription.
    Live(Arc<Outbox>, SubscriptionOptions),
    /// A plain subscription with a selector.
    Selected(Arc<Selected>),
    /// A live group.
    Share(Arc<ShareGroup<Member>>),
    /// A replay subscription.
    Replay(Arc<Replayed>),
    /// A group with a cursor.
    Group(Arc<Group>),
}

/// A plain subscription with a selector.
#[derive(Debug)]
pub struct Selected {
    outbox: Arc<Outbox>,
    options: SubscriptionOptions,
    selector: Arc<Selector>,
}

impl Selected {
    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }
}

/// A replay subscription.
#[derive(Debug)]
pub struct Replayed {
    outbox: Arc<Outbox>,
    key: SubscriptionKey,
    selector: Option<Arc<Selector>>,
}

impl Replayed {
    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }
}

impl Target {
    /// A plain subscription.
    pub fn live(outbox: &Arc<Outbox>, options: SubscriptionOptions, selector: Option<&Arc<Selector>>) -> Self {
        match selector {
            None => Self::Live(outbox.clone(), options),
            Some(selector) => Self::Selected(Arc::new(Selected {
                outbox: outbox.clone(),
                options,
                selector: selector.clone(),
            })),
        }
    }

    /// A replay subscription.
    pub fn replay(outbox: &Arc<Outbox>, key: SubscriptionKey, selector: Option<&Arc<Selector>>) -> Self {
        Self::Replay(Arc::new(Replayed {
            outbox: outbox.clone(),
            key,
            selector: selector.cloned(),
        }))
    }

    /// The mailbox and the options of a plain subscription.
    pub fn as_live(&self) -> Option<(&Arc<Outbox>, SubscriptionOptions)> {
        match self {
            Self::Live(outbox, options) => Some((outbox, *options)),
            Self::Selected(selected) => Some((&selected.outbox, selected.options)),
            _ => None,
        }
    }
}

/// The place of a message in the log, and why it is there.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Where it is.
    pub place: Stored,
    /// Whether it is an event, or held for durable sessions.
    pub kind: ChannelKind,
}

/// A route with the selectors of it that one message passes; good as long as no subscription changes.
#[derive(Clone, Debug)]
pub struct Routed {
    generation: u64,
    route: Arc<Route>,
    passes: Option<Passes>,
}

impl Routed {
    /// The route.
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// Which of its selectors the message passes; `None` if it has none.
    pub(super) fn passes(&self) -> Option<&Passes> {
        self.passes.as_ref()
    }
}

/// A member of a live group.
#[derive(Clone, Debug)]
pub struct Member {
    /// The member's mailbox.
    pub outbox: Arc<Outbox>,
    /// What its subscription asked for.
    pub options: SubscriptionOptions,
    /// The session's name for its subscription.
    pub key: SubscriptionKey,
}

impl Member {
    /// The delivery of a message that it gets.
    pub fn delivery(&self, message: &Arc<Message>) -> Delivery {
        self.options.delivery(message, Source::Shared(self.key))
    }
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
    /// The same, or one that only a selector may want: that is found out elsewhere, once.
    may_hold: bool,
    /// Whether any target has a selector.
    selects: bool,
    /// Whether members of groups have to be asked if they may read the topic.
    asks: bool,
    /// Whether more waits for such a session than may, so that publishers are refused.
    full: bool,
    /// Whether somebody who is away wants the topic.
    absent: bool,
    pass: Pass,
    /// One in place, as most topics have one.
    live: SmallVec<[LiveTarget; 1]>,
    others: Rare<Others>,
}

/// What most routes have none of.
#[derive(Debug, Default)]
struct Others {
    /// The kinds of packets that plain subscribers get; none if there are few subscribers or many kinds.
    kinds: Vec<Granted>,
    shares: Vec<(Arc<ShareGroup<Member>>, SelectorIndex)>,
    replays: Vec<(Arc<Outbox>, SubscriptionKey, SelectorIndex)>,
    groups: Vec<(Arc<Group>, SelectorIndex)>,
    /// Whose replay subscriptions match and may not have the topic: their cursors pass it.
    denied: Vec<Arc<Outbox>>,
    /// What there is only if a target has a selector.
    selection: Option<Box<Selection>>,
}

impl HasEmpty for Others {
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Others> = LazyLock::new(Others::default);
        &EMPTY
    }
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

/// The distinct selectors of a route: each is asked once about a message.
#[derive(Debug, Default)]
struct Selection {
    building: SetBuilder,
    set: SelectorSet,
    /// As [`Route::holds`], if the message passes one of these.
    holds: Vec<SelectorIndex>,
    /// As [`Route::full`], if the message passes one of these.
    full: Vec<SelectorIndex>,
}

impl Prepared<Target> for Route {
    fn add(&mut self, target: &Target, admission: Admission) {
        if admission == Admission::No {
            if let Target::Replay(replayed) = target
                && replayed.outbox.is_connected()
            {
                self.others.denied.push(replayed.outbox.clone());
            }
            return;
        }
        self.asks |= admission == Admission::Ask;
        match target {
            Target::Live(outbox, options) => self.add_live(outbox, *options, ANY),
            Target::Selected(selected) => {
                let selector = self.index(Some(&selected.selector));
                self.add_live(&selected.outbox, selected.options, selector);
            }
            Target::Share(group) => {
                let selector = self.index(group.selector().as_ref());
                self.others.shares.push((group.clone(), selector));
            }
            Target::Replay(replayed) if replayed.outbox.is_connected() => {
                let selector = self.index(replayed.selector.as_ref());
                let lane = (replayed.outbox.clone(), replayed.key, selector);
                self.others.replays.push(lane);
            }
            Target::Replay(..) => self.absent = true,
            Target::Group(group) => {
                let selector = self.index(group.selector().as_ref());
                if group.is_share() {
                    self.hold(selector);
                }
                self.others.groups.push((group.clone(), selector));
            }
        }
    }

    fn finish(&mut self) -> usize {
        self.merge_live();
        let kinds = kinds(&mut self.live);
        if !kinds.is_empty() {
            self.others.kinds = kinds;
        }
        self.pass = self.choose_pass();
        let mut selectors = 0;
        self.may_hold = self.holds;
        if let Some(selection) = self.selection() {
            selection.set = std::mem::take(&mut selection.building).build();
            selectors = selection.set.len();
            let may_hold = !selection.holds.is_empty();
            (self.selects, self.may_hold) = (true, self.holds || may_hold);
        }
        self.live.len() + self.others.shares.len() + self.others.replays.len() + self.others.groups.len() + selectors
    }

    fn likeness(&self) -> Option<Likeness> {
        let [only] = &self.live[..] else { return None };
        let options = only.only_options()?;
        let is_plain = !self.selects && !self.asks && !self.full && !self.absent && self.others.is_unused();
        is_plain.then(|| Likeness {
            subscriber: only.outbox.subscriber,
            how: options.number() << 2 | u64::from(self.holds) << 1 | u64::from(self.may_hold),
        })
    }
}

impl Route {
    fn add_live(&mut self, outbox: &Arc<Outbox>, options: SubscriptionOptions, selector: SelectorIndex) {
        if outbox.durable && options.qos > QoS::AtMostOnce {
            self.hold(selector);
            if outbox.is_over_limit() {
                match self.selection().filter(|_| selector != ANY) {
                    Some(selection) => selection.full.push(selector),
                    None => self.full = true,
                }
            }
        }
        if outbox.durable && !outbox.is_connected() {
            self.absent = true;
            return;
        }
        self.live.push(LiveTarget::new(outbox, options, selector));
    }

    /// The selectors, if there are any.
    fn selection(&mut self) -> Option<&mut Selection> {
        self.others.used()?.selection.as_deref_mut()
    }

    /// The index of a selector among those of this route.
    fn index(&mut self, selector: Option<&Arc<Selector>>) -> SelectorIndex {
        let Some(selector) = selector else { return ANY };
        let selection = self.others.selection.get_or_insert_default();
        selection.building.index(selector)
    }

    /// A durable session has to find what passes this selector in the log.
    fn hold(&mut self, selector: SelectorIndex) {
        match self.selection().filter(|_| selector != ANY) {
            Some(selection) => selection.holds.push(selector),
            None => self.holds = true,
        }
    }

    /// Which of the selectors a message passes; `None` if there is none.
    pub(super) fn select(&self, subject: &Subject<'_>, metrics: &Metrics) -> Option<Passes> {
        let selection = self.others.selection.as_ref()?;
        Some(Passes::new(&selection.set, subject, metrics))
    }

    fn any(&self, passes: Option<&Passes>, of: impl Fn(&Selection) -> &[SelectorIndex]) -> bool {
        let selection = self.others.selection.as_ref().zip(passes);
        selection.is_some_and(|(selection, passes)| of(selection).iter().any(|selector| passes.of(*selector)))
    }

    /// Whether a message of this QoS that passes these selectors must be in the log before it is acknowledged.
    pub(super) fn holds(&self, qos: QoS, passes: Option<&Passes>) -> bool {
        qos > QoS::AtMostOnce && (self.holds || self.any(passes, |selection| &selection.holds))
    }

    /// Whether a message of this QoS that passes these selectors is refused because too much waits for a session.
    pub(super) fn is_full(&self, qos: QoS, passes: Option<&Passes>) -> bool {
        qos > QoS::AtMostOnce && (self.full || self.any(passes, |selection| &selection.full))
    }

    /// What a lane item that passed a selector says of it.
    fn selector_id(&self, selector: SelectorIndex) -> u64 {
        let selection = self.others.selection.as_ref();
        let selector = selection.and_then(|selection| selection.set.get(selector as usize));
        selector.map_or(0, |selector| selector.id())
    }

    fn choose_pass(&self) -> Pass {
        let is_mixed = self.live.iter().any(|target| target.is_mixed);
        if is_mixed || !self.others.replays.is_empty() || !self.others.groups.is_empty() {
            return Pass::Not;
        }
        match (self.others.shares.len(), self.live.len()) {
            (0, 0..=FEW) => Pass::Each,
            (0, _) if !self.others.kinds.is_empty() => Pass::Shared,
            (1, 0) if !self.asks => Pass::Member,
            _ => Pass::Not,
        }
    }

    /// How a message of this QoS from a session goes to those who want it, if it is neither stored nor retained.
    #[inline]
    pub(super) fn pass(&self, qos: QoS, from: SubscriberId) -> Pass {
        let avoids = self.pass == Pass::Each && self.live.iter().any(|target| target.may_avoid(from));
        // What a member of a group gets at QoS 1 is kept until it is acknowledged: another may get it.
        let is_kept = qos > QoS::AtMostOnce && (self.may_hold || self.pass == Pass::Member);
        if avoids || is_kept { Pass::Not } else { self.pass }
    }

    /// Each session that gets a packet, and what it is granted.
    #[inline]
    pub(super) fn each(&self) -> impl Iterator<Item = (&Arc<Outbox>, &Granted)> {
        self.live.iter().map(|target| (&target.outbox, &target.granted))
    }

    /// The kinds of packets that many get.
    pub(super) fn kinds(&self) -> &[Granted] {
        &self.others.kinds
    }

    /// All of them, each with the number of its kind.
    pub(super) fn of_kinds(&self) -> impl Iterator<Item = (&Arc<Outbox>, usize)> {
        self.live
            .iter()
            .map(|target| (&target.outbox, usize::from(target.kind)))
    }

    /// Works with the member of the one group whose turn it is.
    #[inline]
    pub(super) fn with_member<R>(&self, topic: &str, work: impl FnOnce(&Member) -> R) -> Option<R> {
        let (group, _) = self.others.shares.first()?;
        group.with_chosen(|| hash_topic(topic.as_bytes()), || fastrand::u64(..), |_| true, work)
    }

    /// Whether the one group wants a message that passes these selectors.
    pub(super) fn group_wants(&self, passes: Option<&Passes>) -> bool {
        let selector = self.others.shares.first().map_or(ANY, |(_, selector)| *selector);
        passes.is_none_or(|passes| passes.of(selector))
    }

    /// Whether any target has a selector.
    #[inline]
    pub(super) fn selects(&self) -> bool {
        self.selects
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

    /// How many sessions and groups get a message that passes their selectors; those that are away do not count.
    pub(super) fn targets(&self) -> usize {
        let others = &self.others;
        self.live.len() + others.shares.len() + others.replays.len() + others.groups.len()
    }

    /// Whether nobody wants the topic.
    pub fn is_empty(&self) -> bool {
        !self.absent
            && self.live.is_empty()
            && self.others.shares.is_empty()
            && self.others.replays.is_empty()
            && self.others.groups.is_empty()
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
        target.kind = kind as u8;
    }
    kinds
}

impl Broker {
    /// Hands a message to everyone who wants it now, and who is here. `passes` is which selectors of the route it passes.
    pub(super) fn hand_out(
        &self,
        route: &Route,
        message: &Arc<Message>,
        kept: Option<Kept>,
        passes: Option<&Passes>,
        turn: &mut Turn,
    ) {
        // Held records are none of a replay's business: for it the message is live.
        let stored = kept
            .filter(|kept| kept.kind == ChannelKind::Event)
            .map(|kept| kept.place);
        for target in &route.live {
            if let Some(mut delivery) = target.delivery(message, passes) {
                if let Some(kept) = kept
                    && target.outbox.durable
                    && delivery.qos > QoS::AtMostOnce
                {
                    delivery.source = Source::Session(kept.place.position);
                }
                turn.push(&target.outbox, Item::Live(delivery));
            }
        }
        let wanted = |selector: SelectorIndex| passes.is_none_or(|passes| passes.of(selector));
        let may = |member: &Member| !route.asks || self.access.may(&member.outbox, LIVE, message.topic());
        for (group, _) in route.others.shares.iter().filter(|(_, selector)| wanted(*selector)) {
            let (topic_hash, random) = (hash_topic(message.topic_bytes()), fastrand::u64(..));
            let chosen = match kept {
                Some(kept) => group.choose_kept(kept.place.position, topic_hash, random, may),
                None => group.choose(topic_hash, random, may),
            };
            if chosen.is_none() && route.asks && group.members().iter().all(|member| !may(member)) {
                self.count_undelivered(1);
            }
            if let Some(member) = chosen {
                let delivery = member.delivery(message);
                turn.push(&member.outbox, Item::Live(delivery));
            }
        }
        if let Some(stored) = stored {
            for outbox in &route.others.denied {
                self.skipped.note_session(outbox, stored.position);
            }
        }
        for (outbox, key, selector) in &route.others.replays {
            if !wanted(*selector) {
                if let Some(stored) = stored {
                    self.skipped.note_session(outbox, stored.position);
                }
                continue;
            }
            let selected = route.selector_id(*selector);
            let message = message.clone();
            turn.push(
                outbox,
                Item::Lane(
                    *key,
                    LaneItem {
                        message,
                        stored,
                        selected,
                    },
                ),
            );
        }
        for (group, selector) in &route.others.groups {
            let stored = if group.is_share() {
                kept.map(|kept| kept.place)
            } else {
                stored
            };
            if !wanted(*selector) {
                if let Some(stored) = stored {
                    self.skipped.note_group(group, stored.position);
                }
                continue;
            }
            if let Some(outbox) = group.arrived(LaneItem {
                message: message.clone(),
                stored,
                selected: route.selector_id(*selector),
            }) {
                turn.push(&outbox, Item::Wake);
            }
        }
    }

    /// Who wants a message that has no place in the log yet, and which of their selectors it passes.
    pub(super) fn find_route(&self, message: &Message, is_event: bool) -> Routed {
        // Seen before the route is: a later change makes it old.
        let generation = self.router.generation();
        let route = self.look_up(message, None);
        let passes = route.select(&Subject::new(message, is_event), &self.metrics);
        Routed {
            generation,
            route,
            passes,
        }
    }

    /// Whether nothing has changed since a route was found.
    pub(super) fn still_holds(&self, routed: &Routed) -> bool {
        routed.generation == self.router.generation()
    }

    /// Who wants a message with its place in the log, if it has one, and which of their selectors it passes.
    pub(super) fn find_kept_route(&self, message: &Message, kept: Option<Kept>) -> Routed {
        let generation = self.router.generation();
        let route = self.look_up(message, kept);
        let passes = route.select(&Subject::kept(message, kept), &self.metrics);
        Routed {
            generation,
            route,
            passes,
        }
    }

    /// Who wants messages of a topic.
    pub(super) fn route_of(&self, topic: &str) -> Arc<Route> {
        self.with_routes(|cache| cache.route(&self.router, topic, |target, topic| self.access.admit(target, topic)))
    }

    /// Who wants a message; `kept` is its place in the log, if it has one.
    pub(super) fn look_up(&self, message: &Message, kept: Option<Kept>) -> Arc<Route> {
        let admit = |target: &Target, topic: &str| self.access.admit(target, topic);
        self.with_routes(|cache| match kept {
            // The channel's number spares a look at a topic that is cold here.
            Some(kept) => cache.route_numbered(&self.router, kept.place.channel.0, || message.topic(), admit),
            None => cache.route(&self.router, message.topic(), admit),
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
