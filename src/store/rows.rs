//! The rows of channels and of the store as a whole.

use super::bytes::Input;
use super::{Changes, Snapshot, StoreError, Table, channel_key};
use crate::types::{ChannelId, Position, Sequence, Timestamp};

/// The format this version writes; any other is refused.
pub const FORMAT: u32 = 1;

/// What a channel keeps. Each kind counts its sequences apart, also for the same topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChannelKind {
    /// Stored events, which replay subscriptions read.
    Event = 1,
    /// Messages held for durable sessions.
    Held = 2,
}

/// A channel as its row says. Records with `next` or a higher sequence may follow in the log: a row is written when the
/// channel is born or trimmed and at checkpoints, not for each record. Held records may have gone from its head since it was
/// written: the first that is in the log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRow {
    /// What it keeps.
    pub kind: ChannelKind,
    /// The sequence of the record after those the row counts.
    pub next: Sequence,
    /// The first sequence that is still kept; equal to `next` if none is.
    pub first_kept: Sequence,
    /// The bytes of the kept records that the row counts.
    pub bytes: u64,
    /// When the first kept record was committed; without meaning if none is kept.
    pub first_time: Timestamp,
    /// The topic.
    pub topic: String,
}

impl ChannelRow {
    /// Writes the row.
    pub fn put(&self, id: ChannelId, changes: &mut Changes) {
        changes.put(Table::Channels, &channel_key(id), |out| {
            out.push(self.kind as u8);
            for number in [self.next.0, self.first_kept.0, self.bytes, self.first_time.0] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            out.extend_from_slice(self.topic.as_bytes());
        });
    }

    /// Reads a row.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<(ChannelId, Self), StoreError> {
        let mut input = Input::new(Table::Channels, key, value);
        let id = match key.try_into() {
            Ok(id) => ChannelId(u32::from_be_bytes(id)),
            Err(_) => return Err(input.corrupt("not a channel's key")),
        };
        let kind = match input.u8()? {
            1 => ChannelKind::Event,
            2 => ChannelKind::Held,
            _ => return Err(input.corrupt("unknown kind of channel")),
        };
        let next = Sequence(input.u64()?);
        let first_kept = Sequence(input.u64()?);
        let bytes = input.u64()?;
        let first_time = Timestamp(input.u64()?);
        if first_kept > next || first_kept.0 == 0 || next.0 == u64::MAX {
            return Err(input.corrupt("impossible counters"));
        }
        let topic = std::str::from_utf8(input.rest()).map_err(|_| input.corrupt("the topic is not UTF-8"))?;
        let topic = topic.to_owned();
        Ok((
            id,
            Self {
                kind,
                next,
                first_kept,
                bytes,
                first_time,
                topic,
            },
        ))
    }
}

/// How far the store as a whole has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Every record up to here is in the index and counted by its channel's row.
    pub checkpoint: Position,
    /// The last position given out when this was written; later records may be in the log.
    pub last: Position,
    /// The last commit time when this was written.
    pub last_time: Timestamp,
}

impl Marks {
    /// Writes the marks.
    pub fn put(&self, changes: &mut Changes) {
        changes.put(Table::Meta, MARKS_KEY, |out| {
            for number in [self.checkpoint.0, self.last.0, self.last_time.0] {
                out.extend_from_slice(&number.to_be_bytes());
            }
        });
    }

    /// Reads the marks; zero where there are none yet.
    pub fn load(snapshot: &dyn Snapshot) -> Result<Self, StoreError> {
        let Some(value) = snapshot.value(Table::Meta, MARKS_KEY)? else {
            return Ok(Self::default());
        };
        let mut input = Input::new(Table::Meta, MARKS_KEY, value);
        let marks = Self {
            checkpoint: Position(input.u64()?),
            last: Position(input.u64()?),
            last_time: Timestamp(input.u64()?),
        };
        input.end()?;
        Ok(marks)
    }
}

const MARKS_KEY: &[u8] = b"marks";
/// The key of the format in the meta table, in every format.
pub(crate) const FORMAT_KEY: &[u8] = b"format";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, MemoryStore, Store};

    #[test]
    fn a_channel_comes_back_unchanged() {
        let row = ChannelRow {
            kind: ChannelKind::Held,
            next: Sequence(12),
            first_kept: Sequence(3),
            bytes: 999,
            first_time: Timestamp(77),
            topic: "a/\u{e9}/".into(),
        };
        let mut changes = Changes::new();
        row.put(ChannelId(300), &mut changes);
        let (_, change) = changes.iter().next().unwrap();
        let Change::Put(key, value) = change else {
            panic!("{change:?}")
        };
        assert_eq!(ChannelRow::decode(key, value).unwrap(), (ChannelId(300), row));
        for length in 0..33 {
            assert!(ChannelRow::decode(key, &value[..length]).is_err());
        }
    }

    #[test]
    fn marks_come_back_and_are_zero_in_a_new_store() {
        let store = MemoryStore::new();
        let marks = Marks {
            checkpoint: Position(1),
            last: Position(2),
            last_time: Timestamp(3),
        };
        let load = || {
            let mut found = None;
            store
                .read(&mut |snapshot| {
                    found = Some(Marks::load(snapshot)?);
                    Ok(())
                })
                .unwrap();
            found.unwrap()
        };
        assert_eq!(load(), Marks::default());
        let mut changes = Changes::new();
        marks.put(&mut changes);
        store.write(&changes).unwrap();
        assert_eq!(load(), marks);
    }
}
