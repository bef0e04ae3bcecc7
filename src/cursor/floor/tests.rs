//! The ack floor against a plain table of what happened to each position.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(position: u64) -> Position {
    Position(position)
}

#[test]
fn the_floor_waits_for_the_lowest() {
    let mut floor = AckFloor::new(at(10));
    for position in [11, 13, 14] {
        floor.sent(at(position));
    }
    assert!(floor.acked(at(13)));
    assert_eq!((floor.floor(), floor.acked_above()), (at(10), vec![at(13)]));
    assert!(floor.acked(at(11)));
    assert_eq!((floor.floor(), floor.acked_above()), (at(13), vec![]));
    assert!(!floor.acked(at(11)) && !floor.acked(at(12)) && !floor.acked(at(99)));
    floor.skip_to(at(20));
    assert_eq!((floor.floor(), floor.read_to()), (at(13), at(20)));
    assert!(floor.acked(at(14)));
    assert_eq!((floor.floor(), floor.highest_sent()), (at(20), at(14)));
}

#[test]
fn a_restored_place_does_not_send_what_was_acknowledged() {
    let mut floor = AckFloor::restore(at(5), &[at(9), at(7), at(4)], at(12));
    assert_eq!(floor.acked_above(), [at(7), at(9)]);
    assert!(floor.is_acked(at(7)) && floor.is_acked(at(5)) && !floor.is_acked(at(8)));
    floor.sent(at(6));
    floor.skip_to(at(7));
    floor.sent(at(8));
    assert_eq!(floor.acked_above(), [at(7), at(9)]);
    assert!(floor.acked(at(6)));
    assert_eq!((floor.floor(), floor.acked_above()), (at(7), vec![at(9)]));
    floor.skip_to(at(10));
    assert!(floor.acked(at(8)));
    assert_eq!(
        (floor.floor(), floor.acked_above(), floor.highest_sent()),
        (at(10), vec![], at(12))
    );
}

#[test]
fn what_is_released_comes_again_lowest_first() {
    let mut floor = AckFloor::new(at(0));
    (1..=4).for_each(|position| floor.sent(at(position)));
    floor.acked(at(2));
    floor.release_all();
    assert_eq!(floor.next_released(), Some(at(1)));
    floor.sent(at(1));
    assert_eq!(floor.next_released(), Some(at(3)));
    floor.acked(at(3));
    assert_eq!(floor.next_released(), Some(at(4)));
    assert!(!floor.released(at(2)) && !floor.released(at(4)) && floor.released(at(1)));
    assert_eq!(floor.next_released(), Some(at(1)));
    assert_eq!(floor.outstanding().collect::<Vec<_>>(), [at(1), at(4)]);
}

#[test]
fn a_full_window_acknowledged_backwards_is_quick() {
    let mut floor = AckFloor::new(at(0));
    (1..=65_535).for_each(|position| floor.sent(at(position)));
    (2..=65_535)
        .rev()
        .for_each(|position| assert!(floor.acked(at(position))));
    assert_eq!((floor.floor(), floor.tracked()), (at(0), 65_535));
    floor.acked(at(1));
    assert_eq!((floor.floor(), floor.tracked()), (at(65_535), 0));
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Skipped,
    Sent,
    Released,
    Acked,
}

/// Everything that was read, and what became of it.
struct Model {
    begin: u64,
    read_to: u64,
    fates: BTreeMap<u64, Fate>,
    ahead: Vec<u64>,
}

impl Model {
    fn read(&mut self, to: u64) {
        for position in self.read_to + 1..=to {
            let acked = self.ahead.contains(&position);
            self.fates
                .insert(position, if acked { Fate::Acked } else { Fate::Skipped });
        }
        self.ahead.retain(|&position| position > to);
        self.read_to = to.max(self.read_to);
    }

    fn of(&self, wanted: &[Fate]) -> Vec<Position> {
        let matching = self.fates.iter().filter(|(_, fate)| wanted.contains(fate));
        matching.map(|(&position, _)| at(position)).collect()
    }

    fn floor(&self) -> u64 {
        let open = self.of(&[Fate::Sent, Fate::Released]);
        open.first().map_or(self.read_to, |lowest| lowest.0 - 1)
    }

    fn check(&self, real: &AckFloor) {
        let floor = at(self.floor());
        assert!(floor.0 >= self.begin);
        assert_eq!((real.floor(), real.read_to()), (floor, at(self.read_to)));
        let mut acked = self.of(&[Fate::Acked]);
        acked.retain(|&position| position > floor);
        acked.extend(self.ahead.iter().map(|&position| at(position)));
        assert_eq!(real.acked_above(), acked);
        assert_eq!(
            real.outstanding().collect::<Vec<_>>(),
            self.of(&[Fate::Sent, Fate::Released])
        );
        assert_eq!(real.next_released(), self.of(&[Fate::Released]).first().copied());
        for position in 0..self.read_to + 8 {
            let expected = position <= floor.0 || acked.contains(&at(position));
            assert_eq!(real.is_acked(at(position)), expected, "{position}");
        }
    }
}

proptest! {
    #[test]
    fn the_floor_agrees_with_a_plain_table(
        begin in 0u64..5,
        ahead in prop::collection::btree_set(6u64..30, 0..6),
        steps in prop::collection::vec((0u8..8, 0u64..60), 0..150),
    ) {
        let restored: Vec<_> = ahead.iter().map(|&position| at(position)).collect();
        let mut real = AckFloor::restore(at(begin), &restored, at(begin));
        let mut model = Model { begin, read_to: begin, fates: BTreeMap::new(), ahead: ahead.into_iter().collect() };
        for (step, number) in steps {
            let open = model.of(&[Fate::Sent, Fate::Released]);
            let chosen = open.get(number as usize % open.len().max(1)).copied();
            match step {
                0..=2 => {
                    let fresh = model.read_to + 1 + number % 3;
                    model.read(fresh - 1);
                    if model.ahead.contains(&fresh) {
                        model.read(fresh);
                        real.skip_to(at(fresh));
                    } else {
                        model.read(fresh);
                        model.fates.insert(fresh, Fate::Sent);
                        real.sent(at(fresh));
                    }
                }
                3 => {
                    let to = (model.read_to + number % 5).saturating_sub(1).max(begin);
                    model.read(to);
                    real.skip_to(at(to));
                }
                4 => {
                    let expected = open.contains(&at(number));
                    prop_assert_eq!(real.acked(at(number)), expected);
                    if expected {
                        model.fates.insert(number, Fate::Acked);
                    }
                }
                _ => {
                    let Some(chosen) = chosen else { continue };
                    let fate = [Fate::Acked, Fate::Released, Fate::Sent][usize::from(step - 5)];
                    match fate {
                        Fate::Acked => prop_assert!(real.acked(chosen)),
                        Fate::Released => {
                            let fresh = model.fates[&chosen.0] == Fate::Sent;
                            prop_assert_eq!(real.released(chosen), fresh);
                        }
                        _ => real.sent(chosen),
                    }
                    model.fates.insert(chosen.0, fate);
                }
            }
            model.check(&real);
        }
    }
}
