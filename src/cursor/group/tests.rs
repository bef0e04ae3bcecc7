//! Replay groups by rule, and against a plain table under random coming and going.

use proptest::prelude::*;

use super::*;
use crate::cursor::Strategy;

const A: MemberId = MemberId(1);
const B: MemberId = MemberId(2);
const C: MemberId = MemberId(3);

fn at(position: u64) -> Position {
    Position(position)
}

fn group(strategy: Strategy, members: &[(MemberId, u32)]) -> GroupState {
    let mut group = GroupState::new(strategy, at(0));
    for &(member, credit) in members {
        group.join(member);
        group.set_credit(member, credit);
    }
    group
}

/// Chooses and assigns; every topic is its own hash.
fn deal(group: &mut GroupState, position: u64, topic: u64) -> Option<MemberId> {
    let member = group.choose(topic, position)?;
    group.assigned(at(position), topic, member);
    Some(member)
}

#[test]
fn nobody_with_credit_means_waiting() {
    for (_, strategy) in Strategy::NAMES {
        let mut group = group(strategy, &[(A, 0), (B, 1)]);
        assert!(group.has_credit());
        // Under HashTopic a topic waits for its own member, so one of B's is taken.
        let topic = (0..99)
            .find(|topic| group.choose(*topic, 0).is_some())
            .expect("B has credit");
        assert_eq!(deal(&mut group, 1, topic), Some(B));
        assert!(!group.has_credit());
        assert_eq!(deal(&mut group, 2, 7), None);
        group.set_credit(C, 5);
        assert!(!group.has_credit(), "credit is for members only");
    }
}

#[test]
fn only_members_that_may_have_it_get_an_event() {
    for (name, strategy) in Strategy::NAMES {
        let group = group(strategy, &[(A, 9), (B, 9), (C, 0)]);
        for topic in 0..50 {
            let choose = |members: &[MemberId]| group.choose_of(topic, topic, |member| members.contains(&member));
            assert_eq!(choose(&[A]), Some(A), "{name}");
            assert_eq!(choose(&[B]), Some(B), "{name}");
            assert_eq!(choose(&[C]), None, "{name}: it waits for the one that may");
            assert_eq!(choose(&[]), None, "{name}");
        }
    }
}

#[test]
fn round_robin_takes_turns_among_those_with_credit() {
    let mut group = group(Strategy::RoundRobin, &[(A, 9), (B, 2), (C, 9)]);
    let dealt: Vec<_> = (1..=7).filter_map(|position| deal(&mut group, position, 0)).collect();
    assert_eq!(dealt, [A, B, C, A, B, C, A]);
    assert_eq!(deal(&mut group, 8, 0), Some(C));
    group.leave(A);
    assert_eq!(deal(&mut group, 9, 0), Some(C));
}

#[test]
fn the_least_busy_gets_the_next() {
    let mut group = group(Strategy::LeastInflight, &[(A, 9), (B, 9)]);
    let dealt: Vec<_> = (1..=4).filter_map(|position| deal(&mut group, position, 0)).collect();
    assert_eq!(dealt, [A, B, A, B]);
    assert!(group.acked(B, at(2)) && group.acked(B, at(4)));
    assert_eq!((group.in_flight(A), group.in_flight(B)), (2, 0));
    assert_eq!((deal(&mut group, 5, 0), deal(&mut group, 6, 0)), (Some(B), Some(B)));
}

#[test]
fn sticky_stays_while_its_member_has_credit() {
    let mut group = group(Strategy::Sticky, &[(A, 2), (B, 9)]);
    let dealt: Vec<_> = (1..=4).filter_map(|position| deal(&mut group, position, 0)).collect();
    assert_eq!(dealt, [A, A, B, B]);
    group.set_credit(A, 9);
    assert_eq!(deal(&mut group, 5, 0), Some(B));
    group.leave(B);
    assert_eq!(deal(&mut group, 6, 0), Some(A));
}

#[test]
fn a_topic_in_flight_keeps_its_member() {
    let mut group = group(Strategy::HashTopic, &[(A, 1), (B, 1), (C, 1)]);
    let first = deal(&mut group, 1, 42).expect("all have credit");
    assert_eq!(deal(&mut group, 2, 42), None, "no other member may overtake it");
    assert!(
        (0..99).any(|topic| group.choose(topic, 0).is_some()),
        "topics of other members go on"
    );
    group.set_credit(first, 2);
    assert_eq!(deal(&mut group, 2, 42), Some(first));
    assert!(group.acked(first, at(1)));
    group.set_credit(first, 0);
    assert_eq!(deal(&mut group, 3, 42), None);
    assert!(group.acked(first, at(2)));
    assert_eq!(deal(&mut group, 3, 42), None, "a topic waits for its member");
    group.leave(first);
    assert!(deal(&mut group, 3, 42).is_some_and(|member| member != first));
}

#[test]
fn a_leaving_member_frees_its_topics() {
    let mut group = group(Strategy::HashTopic, &[(A, 9), (B, 9)]);
    let first = deal(&mut group, 1, 42).expect("all have credit");
    deal(&mut group, 2, 42);
    let other = if first == A { B } else { A };
    assert_eq!(group.leave(first), 2);
    for position in [1, 2] {
        assert_eq!(group.next_redelivery(), Some(at(position)));
        assert_eq!(deal(&mut group, position, 42), Some(other));
    }
    assert!(group.pins.len() == 1 && group.pins[&42] == (other, 2));
}

#[test]
fn what_a_member_leaves_behind_comes_again_lowest_first() {
    let mut group = group(Strategy::RoundRobin, &[(A, 9), (B, 9)]);
    for position in 1..=6 {
        deal(&mut group, position, 0);
    }
    assert!(group.acked(A, at(3)) && !group.acked(A, at(3)));
    assert!(!group.acked(A, at(2)), "only its owner acknowledges an event");
    assert_eq!((group.leave(A), group.leave(A)), (2, 0));
    assert!(!group.acked(A, at(1)), "who left acknowledges nothing");
    assert_eq!((group.floor(), group.acked_above()), (at(0), vec![at(3)]));
    for position in [1, 5] {
        assert_eq!(group.next_redelivery(), Some(at(position)));
        assert!(group.redelivered(at(position)));
        assert_eq!(deal(&mut group, position, 0), Some(B));
    }
    assert_eq!(group.next_redelivery(), None);
    assert!(!group.redelivered(at(2)) && !group.redelivered(at(7)));
    for position in [1, 2, 4, 5, 6] {
        assert!(group.acked(B, at(position)));
    }
    assert_eq!((group.floor(), group.tracked()), (at(6), 0));
    assert!(!group.redelivered(at(1)), "it was acknowledged");
}

#[test]
fn what_was_not_sent_after_all_is_no_redelivery() {
    let mut group = group(Strategy::RoundRobin, &[(A, 3)]);
    deal(&mut group, 1, 0);
    assert!(group.unassign(A, at(1)) && !group.unassign(A, at(1)) && !group.acked(A, at(1)));
    assert_eq!(
        (group.next_redelivery(), group.redelivered(at(1))),
        (Some(at(1)), false)
    );
    deal(&mut group, 1, 0);
    group.leave(A);
    assert!(group.redelivered(at(1)));
}

#[test]
fn a_redelivery_that_cannot_be_is_skipped() {
    let mut group = group(Strategy::RoundRobin, &[(A, 3), (B, 0)]);
    deal(&mut group, 1, 0);
    deal(&mut group, 2, 0);
    assert!(!group.skip(at(1)), "it is with a member");
    group.leave(A);
    assert!(group.skip(at(1)) && !group.skip(at(1)));
    assert_eq!((group.floor(), group.next_redelivery()), (at(1), Some(at(2))));
}

#[test]
fn a_restored_group_knows_what_may_have_been_sent() {
    let mut group = GroupState::restore(Strategy::RoundRobin, at(10), &[at(12)], at(14));
    assert!(group.is_acked(at(12)) && !group.is_acked(at(11)));
    assert!(group.redelivered(at(14)) && !group.redelivered(at(15)));
    group.join(A);
    group.set_credit(A, 9);
    for position in [11, 13, 14, 15] {
        deal(&mut group, position, 0);
    }
    assert_eq!((group.floor(), group.acked_above()), (at(10), vec![at(12)]));
    assert!(group.acked(A, at(11)));
    assert_eq!((group.floor(), group.highest_sent()), (at(12), at(15)));
    assert_eq!(group.members().collect::<Vec<_>>(), [A]);
}

/// What happened to each event that was read.
#[derive(Default)]
struct Model {
    read_to: u64,
    owner: BTreeMap<u64, MemberId>,
    waiting: BTreeSet<u64>,
    lost: BTreeSet<u64>,
    acked: BTreeSet<u64>,
    skipped: BTreeSet<u64>,
    joined: BTreeSet<MemberId>,
}

fn topic(position: u64) -> u64 {
    position % 4
}

impl Model {
    /// The caller's loop: one event, redeliveries first. False where it has to wait.
    fn deliver(&mut self, group: &mut GroupState, strategy: Strategy, random: u64) -> bool {
        assert_eq!(
            group.next_redelivery(),
            self.waiting.first().map(|&position| at(position))
        );
        let position = self.waiting.first().copied().unwrap_or(self.read_to + 1);
        let Some(member) = group.choose(topic(position), random) else {
            assert!(!group.has_credit() || strategy == Strategy::HashTopic);
            return false;
        };
        if strategy == Strategy::HashTopic {
            let mut of_topic = self.owner.iter().filter(|(other, _)| topic(**other) == topic(position));
            assert!(
                of_topic.all(|(_, &owner)| owner == member),
                "a topic has one member at a time"
            );
        }
        assert!(self.joined.contains(&member));
        assert_eq!(group.redelivered(at(position)), self.lost.contains(&position));
        group.assigned(at(position), topic(position), member);
        self.waiting.remove(&position);
        self.read_to = self.read_to.max(position);
        assert_eq!(
            self.owner.insert(position, member),
            None,
            "one member at a time has an event"
        );
        true
    }

    fn skip(&mut self, group: &mut GroupState, count: u64) {
        self.skipped.extend(self.read_to + 1..=self.read_to + count);
        self.read_to += count;
        group.skip_to(at(self.read_to));
    }

    fn leave(&mut self, group: &mut GroupState, member: MemberId) {
        let gone: Vec<_> = self.owned_by(member);
        assert_eq!(group.leave(member), gone.len());
        self.joined.remove(&member);
        for position in gone {
            self.owner.remove(&position);
            self.lost.insert(position);
            self.waiting.insert(position);
        }
    }

    fn ack(&mut self, group: &mut GroupState, member: MemberId, position: u64) {
        let owns = self.owner.get(&position) == Some(&member);
        assert_eq!(group.acked(member, at(position)), owns);
        if owns {
            self.owner.remove(&position);
            self.lost.remove(&position);
            assert!(self.acked.insert(position), "an event counts once");
        }
    }

    fn owned_by(&self, member: MemberId) -> Vec<u64> {
        let owned = self.owner.iter().filter(|&(_, &owner)| owner == member);
        owned.map(|(&position, _)| position).collect()
    }

    fn check(&self, group: &GroupState) {
        let open = self.owner.keys().chain(&self.waiting).min();
        let floor = open.map_or(self.read_to, |lowest| lowest - 1);
        assert_eq!((group.floor(), group.read_to()), (at(floor), at(self.read_to)));
        let above: Vec<_> = self.acked.range(floor + 1..).map(|&position| at(position)).collect();
        assert_eq!(group.acked_above(), above);
        let read = self.owner.len() + self.waiting.len() + self.acked.len() + self.skipped.len();
        assert_eq!(read as u64, self.read_to, "no event is lost and none counts twice");
        let in_flight: usize = group.members().map(|member| group.in_flight(member)).sum();
        assert_eq!(in_flight, self.owner.len());
        let pinned: usize = group.pins.values().map(|pin| pin.1).sum();
        assert!(group.strategy != Strategy::HashTopic || pinned == in_flight);
    }
}

proptest! {
    #[test]
    fn no_event_is_lost_or_counted_twice(
        strategy in prop::sample::select(Strategy::NAMES.map(|(_, strategy)| strategy).to_vec()),
        steps in prop::collection::vec((0u8..12, 0u64..5, any::<u64>()), 0..200),
    ) {
        let mut group = GroupState::new(strategy, at(0));
        let mut model = Model::default();
        for (step, number, random) in steps {
            let member = MemberId(number);
            let owned = model.owned_by(member);
            let chosen = owned.get(nth(random, owned.len())).copied();
            match step {
                0 => {
                    group.join(member);
                    model.joined.insert(member);
                }
                1 => model.leave(&mut group, member),
                2 | 3 => group.set_credit(member, u32::try_from(random % 6).expect("below 6")),
                4..=7 => {
                    model.deliver(&mut group, strategy, random);
                }
                8 if model.waiting.is_empty() => model.skip(&mut group, number),
                8 | 9 => model.ack(&mut group, member, random % (model.read_to + 2)),
                10 => {
                    if let Some(position) = chosen {
                        prop_assert!(group.unassign(member, at(position)));
                        model.owner.remove(&position);
                        model.waiting.insert(position);
                    }
                }
                _ => {
                    if let Some(position) = chosen {
                        model.ack(&mut group, member, position);
                    }
                }
            }
            model.check(&group);
        }
        // Everyone goes; one comes who can take all: then nothing is left.
        for member in model.joined.clone() {
            model.leave(&mut group, member);
        }
        group.join(C);
        group.set_credit(C, u32::MAX);
        model.joined.insert(C);
        while !model.waiting.is_empty() {
            prop_assert!(model.deliver(&mut group, strategy, 0));
        }
        for position in model.owned_by(C) {
            model.ack(&mut group, C, position);
        }
        model.check(&group);
        prop_assert_eq!((group.floor(), group.tracked()), (at(model.read_to), 0));
        prop_assert!(group.lost.is_empty() && group.pins.is_empty());
    }
}
