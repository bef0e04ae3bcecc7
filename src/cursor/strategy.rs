//! How the members of a group share what comes. Knows candidates by number only.

/// How a group chooses the member for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one with the fewest unacknowledged messages.
    LeastInflight,
    /// The same as last time, for as long as it can.
    Sticky,
    /// The same for all messages of a topic.
    HashTopic,
    /// Any.
    Random,
}

impl Strategy {
    /// Every strategy with its name in the configuration.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("round_robin", Self::RoundRobin),
        ("least_inflight", Self::LeastInflight),
        ("sticky", Self::Sticky),
        ("hash_topic", Self::HashTopic),
        ("random", Self::Random),
    ];

    /// The strategy of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::NAMES.iter().find(|(known, _)| *known == name);
        named.map(|&(_, strategy)| strategy)
    }
}

/// A member of a live shared subscription, as far as choosing goes.
pub trait Candidate {
    /// A number that stays the member's own for as long as it is one.
    fn id(&self) -> u64;

    /// Whether its client is connected; those who are not are chosen only when nobody is.
    fn is_connected(&self) -> bool;

    /// How many messages it has not acknowledged.
    fn in_flight(&self) -> usize;
}

/// Where a live shared subscription stands between two messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedCursor {
    /// Where the next turn begins, as an index of the candidates.
    pub next: usize,
    /// The member that sticks.
    pub sticky: Option<u64>,
}

/// Chooses who gets a message of a live shared subscription, as an index of `candidates`; `None` where there are none.
pub fn choose_live<C: Candidate>(
    strategy: Strategy,
    cursor: &mut SharedCursor,
    candidates: &[C],
    topic_hash: u64,
    random: u64,
    may: impl Fn(&C) -> bool,
) -> Option<usize> {
    let connected = candidates
        .iter()
        .any(|candidate| candidate.is_connected() && may(candidate));
    let eligible = |candidate: &C| (candidate.is_connected() || !connected) && may(candidate);
    // Everyone eligible, the one whose turn it is first.
    let split = cursor.next.min(candidates.len());
    let turns = (split..candidates.len()).chain(0..split);
    let mut turns = turns.filter(|&index| eligible(&candidates[index]));
    let chosen = match strategy {
        Strategy::RoundRobin => turns.next(),
        Strategy::LeastInflight => turns.min_by_key(|&index| candidates[index].in_flight()),
        Strategy::Sticky => {
            let sticking = turns
                .clone()
                .find(|&index| Some(candidates[index].id()) == cursor.sticky);
            sticking.or_else(|| turns.next())
        }
        Strategy::HashTopic => turns.max_by_key(|&index| affinity(candidates[index].id(), topic_hash)),
        Strategy::Random => {
            let count = turns.clone().count();
            turns.nth(nth(random, count))
        }
    }?;
    cursor.next = chosen + 1;
    cursor.sticky = Some(candidates[chosen].id());
    Some(chosen)
}

/// How much a member and a topic belong together: the member with the most gets the topic, and when members come or go
/// only the topics of these move (rendezvous hashing).
pub(super) fn affinity(member: u64, topic_hash: u64) -> u64 {
    mix(topic_hash ^ mix(member))
}

/// An index below `count` (0 where that is 0), each as likely as the others.
pub(super) fn nth(random: u64, count: usize) -> usize {
    let index = random.checked_rem(count as u64).unwrap_or(0);
    usize::try_from(index).expect("it is below a usize")
}

/// A bijection that spreads every bit (the finaliser of splitmix64).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Member {
        id: u64,
        connected: bool,
        in_flight: usize,
    }

    impl Candidate for Member {
        fn id(&self) -> u64 {
            self.id
        }

        fn is_connected(&self) -> bool {
            self.connected
        }

        fn in_flight(&self) -> usize {
            self.in_flight
        }
    }

    fn members(connected: &[bool]) -> Vec<Member> {
        let ids = (10..).zip(connected);
        ids.map(|(id, &connected)| Member {
            id,
            connected,
            in_flight: 0,
        })
        .collect()
    }

    fn chosen(strategy: Strategy, cursor: &mut SharedCursor, members: &[Member], hash: u64, random: u64) -> usize {
        choose_live(strategy, cursor, members, hash, random, |_| true).expect("someone is there")
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        assert_eq!(Strategy::from_name("hash_topic"), Some(Strategy::HashTopic));
        assert_eq!(Strategy::from_name("hash"), None);
    }

    #[test]
    fn nobody_is_chosen_from_nobody() {
        for (_, strategy) in Strategy::NAMES {
            let mut cursor = SharedCursor {
                next: 7,
                sticky: Some(1),
            };
            assert_eq!(choose_live::<Member>(strategy, &mut cursor, &[], 1, 1, |_| true), None);
        }
    }

    #[test]
    fn only_those_are_chosen_that_may_have_it() {
        for (name, strategy) in Strategy::NAMES {
            let mut cursor = SharedCursor {
                next: 1,
                sticky: Some(10),
            };
            let all = members(&[true, true, true, false]);
            for random in 0..50 {
                let of = |ids: &'static [u64]| move |member: &Member| ids.contains(&member.id);
                let mut choose = |ids| choose_live(strategy, &mut cursor, &all, random, random, of(ids));
                assert_eq!(choose(&[11]), Some(1), "{name}");
                assert_eq!(choose(&[13]), Some(3), "{name}: an absent one, where no other may");
                assert!(matches!(choose(&[12, 10]), Some(0 | 2)), "{name}");
                assert_eq!(choose(&[]), None, "{name}");
            }
        }
    }

    #[test]
    fn the_connected_come_before_the_absent() {
        for (name, strategy) in Strategy::NAMES {
            let mut cursor = SharedCursor {
                next: 0,
                sticky: Some(10),
            };
            let some = members(&[false, true, false]);
            let none = members(&[false, false]);
            for random in 0..50 {
                assert_eq!(chosen(strategy, &mut cursor, &some, random, random), 1, "{name}");
                assert!(choose_live(strategy, &mut cursor.clone(), &none, random, random, |_| true).is_some());
            }
        }
    }

    #[test]
    fn round_robin_takes_turns() {
        let mut cursor = SharedCursor::default();
        let all = members(&[true, true, false, true]);
        let turns: Vec<_> = (0..6)
            .map(|_| chosen(Strategy::RoundRobin, &mut cursor, &all, 0, 0))
            .collect();
        assert_eq!(turns, [0, 1, 3, 0, 1, 3]);
    }

    #[test]
    fn the_least_busy_is_chosen_and_equals_take_turns() {
        let mut cursor = SharedCursor::default();
        let mut all = members(&[true, true, true]);
        all[0].in_flight = 5;
        let turns: Vec<_> = (0..4)
            .map(|_| chosen(Strategy::LeastInflight, &mut cursor, &all, 0, 0))
            .collect();
        assert_eq!(turns, [1, 2, 1, 2]);
    }

    #[test]
    fn sticky_stays_until_its_member_is_gone() {
        let mut cursor = SharedCursor { next: 1, sticky: None };
        let mut all = members(&[true, true, true]);
        for _ in 0..3 {
            assert_eq!(chosen(Strategy::Sticky, &mut cursor, &all, 0, 0), 1);
        }
        all.remove(0);
        assert_eq!(chosen(Strategy::Sticky, &mut cursor, &all, 0, 0), 0);
        all[0].connected = false;
        assert_eq!(chosen(Strategy::Sticky, &mut cursor, &all, 0, 0), 1);
    }

    #[test]
    fn a_topic_moves_only_when_its_member_goes() {
        let mut all = members(&[true; 5]);
        let owner =
            |all: &[Member], hash| all[chosen(Strategy::HashTopic, &mut SharedCursor::default(), all, hash, 0)].id;
        let before: Vec<_> = (0..1000).map(|hash| owner(&all, hash)).collect();
        for id in 10..15 {
            let share = before.iter().filter(|&&owner| owner == id).count();
            assert!((120..280).contains(&share), "{id} has {share} of 1000");
        }
        all.remove(2);
        for (hash, &before) in (0..).zip(&before) {
            let after = owner(&all, hash);
            assert!(after == before || before == 12);
        }
    }

    #[test]
    fn random_reaches_everyone() {
        let all = members(&[true; 4]);
        let mut cursor = SharedCursor::default();
        let mut seen: Vec<_> = (0..16)
            .map(|random| chosen(Strategy::Random, &mut cursor, &all, 0, mix(random)))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [0, 1, 2, 3]);
    }
}
