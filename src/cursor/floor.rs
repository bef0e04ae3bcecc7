//! How far one reading place is acknowledged. Knows neither events nor who reads them.

use std::collections::{BTreeSet, VecDeque};

use crate::types::Position;

/// What was sent from a reading place and what of it is acknowledged.
///
/// The floor is the highest position at or below which everything is acknowledged or skipped; it never falls. Fresh
/// positions are sent in ascending order, so all work is at the ends of a queue or a binary search in it.
/// [`tracked`](Self::tracked) tells its length, for the reader to bound.
#[derive(Clone, Debug, Default)]
pub struct AckFloor {
    floor: Position,
    read_to: Position,
    highest_sent: Position,
    /// What was sent above the floor, ascending; the first is not acknowledged.
    slots: VecDeque<Slot>,
    /// What must be sent again; each has a slot.
    released: BTreeSet<Position>,
    /// What was acknowledged before a restart and is not yet read again, ascending.
    ahead: VecDeque<Position>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    position: Position,
    acked: bool,
}

impl AckFloor {
    /// A place that reads on after `floor`.
    pub fn new(floor: Position) -> Self {
        Self::restore(floor, &[], floor)
    }

    /// A place as it was saved: it reads on after `floor`, and what is in `acked_above` is not to be sent again. `sent`
    /// is the highest that was sent before.
    pub fn restore(floor: Position, acked_above: &[Position], sent: Position) -> Self {
        let above: BTreeSet<Position> = acked_above.iter().copied().filter(|&acked| acked > floor).collect();
        Self {
            floor,
            read_to: floor,
            highest_sent: sent.max(floor),
            slots: VecDeque::new(),
            released: BTreeSet::new(),
            ahead: above.into_iter().collect(),
        }
    }

    /// A delivery went out: a fresh one above all that was read, or one that was sent before and is not acknowledged.
    pub fn sent(&mut self, position: Position) {
        debug_assert!(!self.is_acked(position), "what is acknowledged is not sent again");
        if position > self.read_to {
            self.read(Position(position.0 - 1));
            self.read_to = position;
            self.slots.push_back(Slot { position, acked: false });
        } else {
            debug_assert!(self.slot(position).is_some(), "what was skipped is not sent");
            self.released.remove(&position);
        }
        self.highest_sent = self.highest_sent.max(position);
        self.check();
    }

    /// Everything up to here was looked at: what was not sent is skipped.
    pub fn skip_to(&mut self, position: Position) {
        if position > self.read_to {
            self.read(position);
            self.check();
        }
    }

    /// A delivery is acknowledged, or given up for good. Gives whether it was outstanding.
    pub fn acked(&mut self, position: Position) -> bool {
        let Some(at) = self.slot(position).filter(|&at| !self.slots[at].acked) else {
            return false;
        };
        self.slots[at].acked = true;
        self.released.remove(&position);
        self.rise();
        self.check();
        true
    }

    /// A delivery was sent but its connection is gone: it must be sent again. Gives whether it was outstanding.
    pub fn released(&mut self, position: Position) -> bool {
        let outstanding = self.slot(position).is_some_and(|at| !self.slots[at].acked);
        outstanding && self.released.insert(position)
    }

    /// All that is outstanding must be sent again.
    pub fn release_all(&mut self) {
        self.released = self.outstanding().collect();
    }

    /// The lowest position that must be sent again.
    pub fn next_released(&self) -> Option<Position> {
        self.released.first().copied()
    }

    /// Whether a position must be sent again.
    pub fn is_released(&self, position: Position) -> bool {
        self.released.contains(&position)
    }

    /// The highest position at or below which all is acknowledged or skipped.
    pub fn floor(&self) -> Position {
        self.floor
    }

    /// What is acknowledged above the floor, ascending.
    pub fn acked_above(&self) -> Vec<Position> {
        let acked = self.slots.iter().filter(|slot| slot.acked).map(|slot| slot.position);
        acked.chain(self.ahead.iter().copied()).collect()
    }

    /// Whether a position is at or below the floor, or acknowledged above it.
    pub fn is_acked(&self, position: Position) -> bool {
        if position > self.read_to {
            return self.ahead.binary_search(&position).is_ok();
        }
        position <= self.floor || self.slot(position).is_some_and(|at| self.slots[at].acked)
    }

    /// The highest position ever sent.
    pub fn highest_sent(&self) -> Position {
        self.highest_sent
    }

    /// The highest position that was looked at; reading goes on after it.
    pub fn read_to(&self) -> Position {
        self.read_to
    }

    /// What was sent and is not acknowledged, ascending; also what must be sent again.
    pub fn outstanding(&self) -> impl Iterator<Item = Position> + '_ {
        self.slots.iter().filter(|slot| !slot.acked).map(|slot| slot.position)
    }

    /// How many positions are remembered above the floor. It grows while the lowest stays unacknowledged and others
    /// come and go, so a reader stops at a bound.
    pub fn tracked(&self) -> usize {
        self.slots.len() + self.ahead.len()
    }

    fn read(&mut self, to: Position) {
        while let Some(&acked) = self.ahead.front().filter(|&&acked| acked <= to) {
            self.ahead.pop_front();
            if !self.slots.is_empty() {
                self.slots.push_back(Slot {
                    position: acked,
                    acked: true,
                });
            }
        }
        self.read_to = to;
        self.rise();
    }

    fn rise(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.acked) {
            self.slots.pop_front();
        }
        let floor = self
            .slots
            .front()
            .map_or(self.read_to, |slot| Position(slot.position.0 - 1));
        assert!(floor >= self.floor, "the floor never falls");
        self.floor = floor;
    }

    fn slot(&self, position: Position) -> Option<usize> {
        // Acknowledgements mostly come in order.
        if self.slots.front().is_some_and(|slot| slot.position == position) {
            return Some(0);
        }
        self.slots.binary_search_by_key(&position, |slot| slot.position).ok()
    }

    fn check(&self) {
        assert!(self.floor <= self.read_to, "nothing is acknowledged that was not read");
        debug_assert!(
            self.slots
                .front()
                .is_none_or(|slot| !slot.acked && slot.position > self.floor)
        );
        debug_assert!(self.slots.back().is_none_or(|slot| slot.position <= self.read_to));
        debug_assert!(self.ahead.front().is_none_or(|&acked| acked > self.read_to));
        debug_assert!(self.released.len() <= self.slots.len());
    }
}

#[cfg(test)]
mod tests;
