//! A run of the index: the positions of up to 128 events of a channel that follow each other.

use super::bytes::{Input, put_positions};
use super::{StoreError, Table, parse_index_key};
use crate::types::{ChannelId, Position, Sequence};

/// The most positions of a run. A position takes at most ten bytes, so a run stays well below the 2 KB from which
/// LMDB gives a value pages of its own.
pub const RUN_POSITIONS: usize = 128;

/// A run as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its channel.
    pub channel: ChannelId,
    /// The sequence of its first position; the others follow without a gap.
    pub first: Sequence,
    /// The positions, ascending.
    pub positions: Vec<Position>,
}

impl Run {
    /// Appends a row's value.
    pub fn encode(positions: &[Position], out: &mut Vec<u8>) {
        assert!(
            (1..=RUN_POSITIONS).contains(&positions.len()),
            "a run holds 1 to {RUN_POSITIONS} positions"
        );
        put_positions(out, positions);
    }

    /// Reads a row.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let (channel, first) = parse_index_key(key)?;
        let mut input = Input::new(Table::Index, key, value);
        let positions = input.positions()?;
        input.end()?;
        if positions.is_empty() || positions.len() > RUN_POSITIONS || first.0.checked_add(128).is_none() {
            return Err(input.corrupt("a run of an impossible length"));
        }
        Ok(Self {
            channel,
            first,
            positions,
        })
    }

    /// The sequence after its last.
    pub fn end(&self) -> Sequence {
        Sequence(self.first.0 + self.positions.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::index_key;

    #[test]
    fn a_full_run_comes_back_and_stays_below_an_overflow_page() {
        let positions: Vec<_> = (0..RUN_POSITIONS as u64).map(|i| Position(i << 56 | i)).collect();
        let mut value = Vec::new();
        Run::encode(&positions, &mut value);
        assert!(value.len() < 1900, "{}", value.len());
        let run = Run::decode(&index_key(ChannelId(3), Sequence(5)), &value).unwrap();
        assert_eq!(
            (run.channel, run.first, run.end()),
            (ChannelId(3), Sequence(5), Sequence(133))
        );
        assert_eq!(run.positions, positions);
    }

    #[test]
    fn junk_is_damage_and_no_panic() {
        fastrand::seed(7);
        for _ in 0..2_000 {
            let junk: Vec<u8> = (0..fastrand::usize(..40)).map(|_| fastrand::u8(..)).collect();
            let split = fastrand::usize(..=junk.len());
            let _ = Run::decode(&junk[..split], &junk[split..]);
        }
        assert!(Run::decode(&index_key(ChannelId(1), Sequence(1)), &[0]).is_err());
    }
}
