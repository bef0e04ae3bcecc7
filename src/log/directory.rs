//! What every channel has in the store, as of the last commit. Written by the writer, read by all.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

use super::walk::Gone;
use crate::store::{ChannelKind, ChannelRow};
use crate::types::{ChannelId, Position, Sequence, Timestamp};

/// A channel as of the last commit.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) kind: ChannelKind,
    pub(crate) topic: Arc<str>,
    pub(crate) next: Sequence,
    pub(crate) first_kept: Sequence,
    pub(crate) bytes: u64,
    pub(crate) first_time: Timestamp,
    /// The sequence of the first position in `tail`; those before it are in the index.
    pub(crate) tail_base: Sequence,
    pub(crate) tail: VecDeque<Position>,
    /// Whether the channel's row says the same.
    pub(crate) row_is_current: bool,
    /// Where its first kept record is, or a position before that.
    pub(crate) first: Position,
    /// Where its last record is, or a position behind that.
    pub(crate) last: Position,
}

impl Channel {
    pub(crate) fn new(kind: ChannelKind, topic: Arc<str>) -> Self {
        Self {
            kind,
            topic,
            next: Sequence(1),
            first_kept: Sequence(1),
            bytes: 0,
            first_time: Timestamp(0),
            tail_base: Sequence(1),
            tail: VecDeque::new(),
            row_is_current: true,
            first: Position(0),
            last: Position(0),
        }
    }

    /// How many events are kept.
    pub(crate) fn count(&self) -> u64 {
        self.next.0 - self.first_kept.0
    }

    /// Counts an event that was stored.
    pub(crate) fn push(&mut self, position: Position, bytes: u64, time: Timestamp) {
        if self.count() == 0 {
            self.first_time = time;
            self.first = position;
        }
        self.next = self.next.next();
        self.bytes += bytes;
        self.last = position;
        self.row_is_current = false;
        self.tail.push_back(position);
        debug_assert_eq!(self.tail_base.0 + self.tail.len() as u64, self.next.0);
    }

    /// Forgets positions that are in the index now.
    pub(crate) fn flushed(&mut self, positions: usize) {
        self.tail.drain(..positions);
        self.tail_base = Sequence(self.tail_base.0 + positions as u64);
        if self.tail.is_empty() {
            self.tail = VecDeque::new();
        }
    }

    /// Forgets events that were removed, up to and including `through`.
    pub(crate) fn trimmed(&mut self, through: Sequence, bytes: u64, first_time: Timestamp) {
        debug_assert!(through < self.next && through >= self.first_kept);
        self.first_kept = through.next();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.first_time = first_time;
        self.row_is_current = true;
        self.forget_removed();
    }

    /// Forgets its first record, which was let go and leaves the row as it is.
    pub(crate) fn let_go(&mut self, gone: &Gone) {
        assert_eq!(gone.sequence, self.first_kept, "records go in their order");
        self.first_kept = self.first_kept.next();
        // After a crash the bytes may be a guess.
        let least = u64::from(self.count() > 0);
        self.bytes = self.bytes.saturating_sub(gone.bytes).max(least) * least;
        self.row_is_current = false;
        self.forget_removed();
        let first = self.tail.front().filter(|_| self.tail_base == self.first_kept);
        self.first = first.copied().unwrap_or(gone.position.next());
    }

    /// Everything before a record is gone, also what was never seen.
    pub(crate) fn skip_to(&mut self, sequence: Sequence) {
        debug_assert!(sequence >= self.first_kept);
        let (gone, count) = (sequence.0 - self.first_kept.0, self.count());
        self.first_kept = sequence;
        self.next = self.next.max(sequence);
        let kept = u128::from(count.saturating_sub(gone));
        // What each of them took is not known any more.
        self.bytes = (u128::from(self.bytes) * kept).div_ceil(u128::from(count.max(1))) as u64;
        self.row_is_current = false;
        self.forget_removed();
    }

    fn forget_removed(&mut self) {
        if self.first_kept > self.tail_base {
            let removed = (self.first_kept.0 - self.tail_base.0) as usize;
            self.flushed(removed.min(self.tail.len()));
            self.tail_base = self.first_kept;
        }
    }

    /// Whether a checkpoint must write its row or its tail.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.row_is_current || !self.tail.is_empty()
    }

    pub(crate) fn row(&self) -> ChannelRow {
        ChannelRow {
            kind: self.kind,
            next: self.next,
            first_kept: self.first_kept,
            bytes: self.bytes,
            first_time: self.first_time,
            topic: self.topic.to_string(),
        }
    }
}

/// All channels.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    channels: Vec<Channel>,
    /// Those of held records, ascending.
    held: Vec<ChannelId>,
    by_topic: HashMap<ChannelName, ChannelId, ahash::RandomState>,
}

impl Directory {
    pub(crate) fn len(&self) -> u32 {
        self.channels.len() as u32
    }

    /// The channels of held records.
    pub(crate) fn held(&self) -> &[ChannelId] {
        &self.held
    }

    /// How many channels of events there are.
    pub(crate) fn event_channels(&self) -> usize {
        self.channels.len() - self.held.len()
    }

    pub(crate) fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get((id.0 as usize).checked_sub(1)?)
    }

    pub(crate) fn channel_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels.get_mut((id.0 as usize).checked_sub(1)?)
    }

    pub(crate) fn find(&self, kind: ChannelKind, topic: &[u8]) -> Option<ChannelId> {
        self.by_topic.get(&(kind, topic) as &dyn Named).copied()
    }

    /// The identifier of the channel that is born next.
    pub(crate) fn next_id(&self) -> ChannelId {
        ChannelId(self.len() + 1)
    }

    /// Adds a channel; its identifier is the next one.
    pub(crate) fn insert(&mut self, channel: Channel) -> ChannelId {
        let id = self.next_id();
        let name = ChannelName {
            kind: channel.kind,
            topic: SmallVec::from_slice(channel.topic.as_bytes()),
        };
        let old = self.by_topic.insert(name, id);
        debug_assert!(old.is_none(), "a channel is born once");
        if channel.kind == ChannelKind::Held {
            self.held.push(id);
        }
        self.channels.push(channel);
        id
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ChannelId, &Channel)> {
        (1..).map(ChannelId).zip(&self.channels)
    }
}

/// What a channel is found by, owned.
#[derive(Debug)]
struct ChannelName {
    kind: ChannelKind,
    /// Compared where it is found: most topics are so short.
    topic: SmallVec<[u8; 24]>,
}

/// What a channel is found by, owned or borrowed.
trait Named {
    fn name(&self) -> (ChannelKind, &[u8]);
}

impl Named for ChannelName {
    fn name(&self) -> (ChannelKind, &[u8]) {
        (self.kind, &self.topic)
    }
}

impl Named for (ChannelKind, &[u8]) {
    fn name(&self) -> (ChannelKind, &[u8]) {
        *self
    }
}

impl<'a> Borrow<dyn Named + 'a> for ChannelName {
    fn borrow(&self) -> &(dyn Named + 'a) {
        self
    }
}

impl Hash for dyn Named + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Named + '_ {}

impl Hash for ChannelName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialEq for ChannelName {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ChannelName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_a_topic_are_two_channels() {
        let mut directory = Directory::default();
        let event = directory.insert(Channel::new(ChannelKind::Event, "t".into()));
        let held = directory.insert(Channel::new(ChannelKind::Held, "t".into()));
        assert_ne!(event, held);
        assert_eq!(directory.find(ChannelKind::Event, b"t"), Some(event));
        assert_eq!(directory.find(ChannelKind::Held, b"t"), Some(held));
        assert_eq!(directory.find(ChannelKind::Held, b"u"), None);
    }

    #[test]
    fn letting_go_takes_the_first_and_leaves_the_row_behind() {
        let mut channel = Channel::new(ChannelKind::Held, "t".into());
        (1..=3).for_each(|n| channel.push(Position(n * 10), 5, Timestamp(n)));
        assert_eq!(channel.first, Position(10));
        channel.flushed(1);
        channel.row_is_current = true;
        let gone = |n| Gone {
            channel: ChannelId(1),
            sequence: Sequence(n),
            position: Position(n * 10),
            bytes: 5,
        };
        channel.let_go(&gone(1));
        channel.let_go(&gone(2));
        assert_eq!((channel.first, channel.tail_base), (Position(30), Sequence(3)));
        assert_eq!((channel.count(), channel.bytes, channel.is_dirty()), (1, 5, true));
        channel.let_go(&gone(3));
        assert_eq!((channel.count(), channel.bytes, channel.tail.len()), (0, 0, 0));
    }

    #[test]
    fn what_was_skipped_takes_its_share_of_the_bytes_along() {
        let mut channel = Channel::new(ChannelKind::Held, "t".into());
        (1..=4).for_each(|n| channel.push(Position(n * 10), 5, Timestamp(n)));
        channel.skip_to(Sequence(4));
        assert_eq!((channel.count(), channel.bytes, channel.tail.len()), (1, 5, 1));
        channel.skip_to(Sequence(9));
        assert_eq!((channel.count(), channel.bytes, channel.tail_base), (0, 0, Sequence(9)));
    }

    #[test]
    fn trimming_reaches_into_the_tail() {
        let mut channel = Channel::new(ChannelKind::Event, "t".into());
        (1..=5).for_each(|n| channel.push(Position(n * 10), 1, Timestamp(n)));
        channel.flushed(2);
        channel.trimmed(Sequence(3), 3, Timestamp(4));
        assert_eq!((channel.tail_base, channel.count(), channel.bytes), (Sequence(4), 2, 2));
        assert_eq!(channel.tail, [Position(40), Position(50)]);
    }
}
