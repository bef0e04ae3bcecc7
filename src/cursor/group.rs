//! Who of a replay group gets which event, and what comes again when a member goes. Knows no event and no connection.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use ahash::RandomState;

use super::strategy::{affinity, nth};
use super::{AckFloor, Strategy};
use crate::types::Position;

/// A member of a replay group, for as long as its connection lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// The shared reading place of a replay group.
///
/// The caller's loop: while [`has_credit`](Self::has_credit), take [`next_redelivery`](Self::next_redelivery) or else
/// the next event after [`read_to`](Self::read_to), [`choose`](Self::choose) a member, send, and tell
/// [`assigned`](Self::assigned).
#[derive(Debug)]
pub struct GroupState {
    strategy: Strategy,
    floor: AckFloor,
    /// Up to here something may have been sent before the group was restored.
    sent_before: Position,
    members: BTreeMap<MemberId, Member>,
    /// The members with credit.
    ready: BTreeSet<MemberId>,
    /// Who was assigned an event last.
    last: Option<MemberId>,
    /// What a member took with it when it left, until it is acknowledged.
    lost: HashSet<Position, RandomState>,
    /// Under `HashTopic`: the member at which a topic has events in flight, and how many.
    pins: HashMap<u64, (MemberId, usize), RandomState>,
}

#[derive(Debug, Default)]
struct Member {
    credit: u32,
    /// What it was assigned and did not acknowledge, with the hash of the topic.
    in_flight: BTreeMap<Position, u64>,
}

impl GroupState {
    /// A group that reads on after `floor`.
    pub fn new(strategy: Strategy, floor: Position) -> Self {
        Self::restore(strategy, floor, &[], floor)
    }

    /// A group as it was saved; see [`AckFloor::restore`].
    pub fn restore(strategy: Strategy, floor: Position, acked_above: &[Position], sent: Position) -> Self {
        Self {
            strategy,
            floor: AckFloor::restore(floor, acked_above, sent),
            sent_before: sent,
            members: BTreeMap::new(),
            ready: BTreeSet::new(),
            last: None,
            lost: HashSet::default(),
            pins: HashMap::default(),
        }
    }

    /// A member comes, without credit. Nothing changes where it is one already.
    pub fn join(&mut self, member: MemberId) {
        self.members.entry(member).or_default();
    }

    /// A member goes; what it did not acknowledge must be delivered again. Gives how many that are.
    pub fn leave(&mut self, member: MemberId) -> usize {
        let Some(gone) = self.members.remove(&member) else {
            return 0;
        };
        self.ready.remove(&member);
        for (&position, &topic_hash) in &gone.in_flight {
            self.unpin(topic_hash);
            self.lost.insert(position);
            let outstanding = self.floor.released(position);
            assert!(outstanding, "what a member has in flight is outstanding");
        }
        gone.in_flight.len()
    }

    /// Says how many more events a member can take now.
    pub fn set_credit(&mut self, member: MemberId, credit: u32) {
        let Some(state) = self.members.get_mut(&member) else {
            return;
        };
        state.credit = credit;
        if credit > 0 {
            self.ready.insert(member);
        } else {
            self.ready.remove(&member);
        }
    }

    /// How many more events a member can take; 0 for one that is none.
    pub fn credit(&self, member: MemberId) -> u32 {
        self.members.get(&member).map_or(0, |state| state.credit)
    }

    /// Whether any member can take an event.
    pub fn has_credit(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The lowest event that must be delivered again; it goes before anything newer.
    pub fn next_redelivery(&self) -> Option<Position> {
        self.floor.next_released()
    }

    /// The member that should get the next event; `None` where the event must wait.
    ///
    /// `random` is any number, a new one each time.
    pub fn choose(&self, topic_hash: u64, random: u64) -> Option<MemberId> {
        self.choose_of(topic_hash, random, |_| true)
    }

    /// The same of those members that may have it.
    pub fn choose_of(&self, topic_hash: u64, random: u64, may: impl Fn(MemberId) -> bool) -> Option<MemberId> {
        let mut turns = self.turns().filter(|member| may(*member));
        match self.strategy {
            Strategy::RoundRobin => turns.next(),
            Strategy::LeastInflight => turns.min_by_key(|member| self.in_flight(*member)),
            Strategy::Sticky => self
                .last
                .filter(|last| self.ready.contains(last) && may(*last))
                .or_else(|| turns.next()),
            Strategy::HashTopic => match self.pins.get(&topic_hash) {
                // Another member must not overtake the one that has the topic's earlier events.
                Some((member, _)) => self.ready.get(member).copied().filter(|member| may(*member)),
                // Of all members, not just of those with credit: a topic stays where it is, and waits.
                None => {
                    let home = self
                        .members
                        .keys()
                        .copied()
                        .filter(|member| may(*member))
                        .max_by_key(|member| affinity(member.0, topic_hash));
                    home.filter(|member| self.ready.contains(member))
                }
            },
            Strategy::Random => {
                let count = self.ready.iter().filter(|member| may(**member)).count();
                turns.nth(nth(random, count))
            }
        }
    }

    /// An event went to a member: it costs one credit, and only this member can acknowledge it.
    pub fn assigned(&mut self, position: Position, topic_hash: u64, member: MemberId) {
        debug_assert!(
            self.ready.contains(&member),
            "only a member with credit is assigned an event"
        );
        let Some(state) = self.members.get_mut(&member) else {
            return;
        };
        state.credit = state.credit.saturating_sub(1);
        if state.credit == 0 {
            self.ready.remove(&member);
        }
        let previous = state.in_flight.insert(position, topic_hash);
        debug_assert!(previous.is_none(), "an event in flight is not assigned again");
        self.floor.sent(position);
        self.last = Some(member);
        if self.strategy == Strategy::HashTopic {
            let pin = self.pins.entry(topic_hash).or_insert((member, 0));
            debug_assert!(pin.0 == member, "a topic has one member at a time");
            pin.1 += 1;
        }
    }

    /// An assignment was not sent after all: the event goes before anything newer, and is no redelivery for that. The
    /// credit stays spent until the next [`set_credit`](Self::set_credit). Gives whether the member had the event.
    pub fn unassign(&mut self, member: MemberId, position: Position) -> bool {
        self.take(member, position) && self.floor.released(position)
    }

    /// A member acknowledged an event, or gave it up for good. Gives whether it had the event.
    pub fn acked(&mut self, member: MemberId, position: Position) -> bool {
        if !self.take(member, position) {
            return false;
        }
        self.lost.remove(&position);
        self.floor.acked(position)
    }

    /// An event that must be delivered again cannot be: it expired or was trimmed. Gives whether it was waiting.
    pub fn skip(&mut self, position: Position) -> bool {
        let waiting = self.floor.is_released(position);
        if waiting {
            self.lost.remove(&position);
            self.floor.acked(position);
        }
        waiting
    }

    /// Everything up to here was looked at: what was not assigned is skipped.
    pub fn skip_to(&mut self, position: Position) {
        self.floor.skip_to(position);
    }

    /// Whether an assignment of this event is a redelivery: a member took it along, or it may have been sent before a
    /// restart.
    pub fn redelivered(&self, position: Position) -> bool {
        position <= self.sent_before || self.lost.contains(&position)
    }

    /// See [`AckFloor::floor`].
    pub fn floor(&self) -> Position {
        self.floor.floor()
    }

    /// See [`AckFloor::acked_above`].
    pub fn acked_above(&self) -> Vec<Position> {
        self.floor.acked_above()
    }

    /// See [`AckFloor::is_acked`].
    pub fn is_acked(&self, position: Position) -> bool {
        self.floor.is_acked(position)
    }

    /// See [`AckFloor::highest_sent`].
    pub fn highest_sent(&self) -> Position {
        self.floor.highest_sent()
    }

    /// See [`AckFloor::read_to`].
    pub fn read_to(&self) -> Position {
        self.floor.read_to()
    }

    /// See [`AckFloor::tracked`].
    pub fn tracked(&self) -> usize {
        self.floor.tracked()
    }

    /// The members, ascending.
    pub fn members(&self) -> impl ExactSizeIterator<Item = MemberId> + '_ {
        self.members.keys().copied()
    }

    /// How many events a member has not acknowledged.
    pub fn in_flight(&self, member: MemberId) -> usize {
        self.members.get(&member).map_or(0, |state| state.in_flight.len())
    }

    /// The members with credit, beginning after the one that was assigned an event last.
    fn turns(&self) -> impl Iterator<Item = MemberId> + '_ {
        let split = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.ready.range((split, Bound::Unbounded));
        let before = self.last.into_iter().flat_map(|last| self.ready.range(..=last));
        after.chain(before).copied()
    }

    fn take(&mut self, member: MemberId, position: Position) -> bool {
        let state = self.members.get_mut(&member);
        let Some(topic_hash) = state.and_then(|state| state.in_flight.remove(&position)) else {
            return false;
        };
        self.unpin(topic_hash);
        true
    }

    fn unpin(&mut self, topic_hash: u64) {
        if let Some(pin) = self.pins.get_mut(&topic_hash) {
            pin.1 -= 1;
            if pin.1 == 0 {
                self.pins.remove(&topic_hash);
            }
        }
    }
}

#[cfg(test)]
mod tests;
