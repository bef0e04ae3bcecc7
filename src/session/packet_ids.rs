//! A set of packet identifiers that are mostly given out and taken back in order: bits in a window that moves with them.

use std::collections::VecDeque;

use crate::types::PacketId;

/// Packet identifiers. Takes as much memory as they lie apart: a bit for each identifier between the first and the last.
#[derive(Debug, Default)]
pub(super) struct PacketIds {
    words: VecDeque<u64>,
    /// Which word of all 1,024 is the first.
    first: usize,
    len: usize,
}

impl PacketIds {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn contains(&self, id: PacketId) -> bool {
        let (word, bit) = self.place(id);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds an identifier that is not there.
    #[inline]
    pub fn insert(&mut self, id: PacketId) {
        if self.words.is_empty() {
            self.first = usize::from(id.get()) / WORD_BITS;
        }
        let (word, bit) = self.place(id);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        debug_assert!(
            self.words[word] & bit == 0,
            "a packet identifier is used once at a time"
        );
        self.words[word] |= bit;
        self.len += 1;
    }

    /// Takes an identifier out. Returns whether it was there.
    #[inline]
    pub fn remove(&mut self, id: PacketId) -> bool {
        let (word, bit) = self.place(id);
        match self.words.get_mut(word) {
            Some(word) if *word & bit != 0 => *word &= !bit,
            _ => return false,
        }
        self.len -= 1;
        while self.words.front() == Some(&0) {
            self.words.pop_front();
            self.first = (self.first + 1) % WORDS;
        }
        true
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Counted from the first word, and the bit in it; identifiers before the first lie behind the highest.
    fn place(&self, id: PacketId) -> (usize, u64) {
        let id = usize::from(id.get());
        ((id / WORD_BITS + WORDS - self.first) % WORDS, 1 << (id % WORD_BITS))
    }
}

const WORD_BITS: usize = 64;
/// Of all packet identifiers.
const WORDS: usize = (1 << 16) / WORD_BITS;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_holds_what_a_plain_set_holds() {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut ids, mut model) = (PacketIds::default(), BTreeSet::new());
            let mut last = random.u16(1..);
            for _ in 0..20_000 {
                if random.u8(..10) < 6 {
                    last = if random.u8(..200) == 0 {
                        random.u16(1..)
                    } else {
                        last.wrapping_add(1).max(1)
                    };
                    let id = PacketId::new(last).expect("not zero");
                    assert_eq!(ids.contains(id), model.contains(&last));
                    if model.insert(last) {
                        ids.insert(id);
                    }
                } else {
                    let first = if random.bool() { model.first() } else { model.last() };
                    let gone = first.copied().unwrap_or(random.u16(1..));
                    let id = PacketId::new(gone).expect("not zero");
                    assert_eq!(ids.remove(id), model.remove(&gone));
                }
                assert_eq!(ids.len(), model.len());
            }
        }
    }

    #[test]
    fn what_goes_in_order_takes_little_memory() {
        let mut ids = PacketIds::default();
        let each = (1..=u16::MAX).cycle().take(200_000).filter_map(PacketId::new);
        for (done, id) in each.clone().zip(each.clone().skip(100)) {
            ids.insert(id);
            if ids.len() > 100 {
                ids.remove(done);
            }
            assert!(ids.words.len() <= 1026, "{}", ids.words.len());
        }
        assert!(ids.len() <= 101);
    }
}
