//! Reads the log: what there is, where a replay starts, and the events from there on. Writes nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::directory::{Channel, Directory};
use super::merge::Place;
use super::scan::{BYTES_PER_SNAPSHOT, RECORDS_PER_SNAPSHOT};
use super::selection::Kinds;
use super::topics::Topics;
use super::{LogError, Scan, TopicMatch};
use crate::store::{ChannelKind, Disk, Record, Store, StoreError, Table, log_key};
use crate::types::{ChannelId, Message, Position, Sequence, Timestamp};

/// A stored event, or a record held for durable sessions, read.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which of the two.
    pub kind: ChannelKind,
    /// Its place in the store.
    pub position: Position,
    /// Its number in the channel.
    pub sequence: Sequence,
    /// Its channel.
    pub channel: ChannelId,
    /// When it was committed.
    pub time: Timestamp,
    /// The message.
    pub message: Arc<Message>,
}

/// What a channel keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStats {
    /// The channel.
    pub channel: ChannelId,
    /// Its topic.
    pub topic: Arc<str>,
    /// How many events are kept.
    pub count: u64,
    /// How many bytes their records take.
    pub bytes: u64,
    /// The sequence of the first event kept; if none is, of the next one.
    pub first: Sequence,
    /// The sequence the next event gets.
    pub next: Sequence,
}

/// What the writer and the readers of a log share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) topics: Topics,
    directory: RwLock<Directory>,
    watermark: AtomicU64,
}

impl Shared {
    pub(crate) fn new(store: Arc<dyn Store>, directory: Directory, last: Position) -> Self {
        let topics = Topics::default();
        for (id, channel) in directory.iter() {
            topics.insert(id, channel.kind, channel.topic.clone());
        }
        Self {
            store,
            topics,
            directory: RwLock::new(directory),
            watermark: AtomicU64::new(last.0),
        }
    }

    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn watermark(&self) -> Position {
        Position(self.watermark.load(Ordering::Acquire))
    }

    /// Call with the directory locked for writing, so that both are seen together.
    pub(crate) fn set_watermark(&self, last: Position) {
        self.watermark.store(last.0, Ordering::Release);
    }
}

/// Reads the log. Cheap to clone; outlives the log.
#[derive(Clone)]
pub struct LogReader {
    pub(crate) shared: Arc<Shared>,
}

impl LogReader {
    /// The last durable position.
    pub fn watermark(&self) -> Position {
        self.shared.watermark()
    }

    /// How many records are kept, of events and held ones. Walks through all channels: not while the broker is busy.
    pub fn record_count(&self) -> u64 {
        self.shared.directory().iter().map(|(_, channel)| channel.count()).sum()
    }

    /// The file of the store and what room its disk has; `None` if it has no file.
    pub fn disk(&self) -> Result<Option<Disk>, StoreError> {
        self.shared.store.disk()
    }

    /// How many channels of events there are.
    pub fn channel_count(&self) -> usize {
        self.shared.directory().event_channels()
    }

    /// What each channel of events keeps. Copies all of them: for administration.
    pub fn channels(&self) -> Vec<ChannelStats> {
        let directory = self.shared.directory();
        let events = directory.iter().filter(|(_, c)| c.kind == ChannelKind::Event);
        events.map(|(id, channel)| stats(id, channel)).collect()
    }

    /// What the channels of events keep whose identifiers are among the next `most` from `first` on, and the identifier
    /// behind those, if there are more.
    pub fn channels_from(&self, first: ChannelId, most: usize) -> (Vec<ChannelStats>, Option<ChannelId>) {
        let directory = self.shared.directory();
        let end = first.0.saturating_add(most as u32).min(directory.next_id().0);
        let ids = (first.0.max(1)..end).map(ChannelId);
        let channels = ids.filter_map(|id| Some((id, directory.channel(id)?)));
        let events = channels.filter(|(_, channel)| channel.kind == ChannelKind::Event);
        let found = events.map(|(id, channel)| stats(id, channel)).collect();
        (found, (end < directory.next_id().0).then_some(ChannelId(end)))
    }

    /// The channel of a topic's events.
    pub fn find_channel(&self, topic: &str) -> Option<ChannelId> {
        self.shared.directory().find(ChannelKind::Event, topic.as_bytes())
    }

    /// What a channel keeps.
    pub fn channel_stats(&self, channel: ChannelId) -> Option<ChannelStats> {
        let directory = self.shared.directory();
        directory.channel(channel).map(|found| stats(channel, found))
    }

    /// The topic of a channel.
    pub fn channel_topic(&self, channel: ChannelId) -> Option<Arc<str>> {
        self.shared.topics.topic(channel).cloned()
    }

    /// A scan of the events that match, after `after`: the first it looks at is the one behind that position.
    pub fn scan(&self, filter: Arc<dyn TopicMatch + Send + Sync>, after: Position) -> Scan {
        Scan::new(filter, Kinds::Events, after)
    }

    /// As [`Self::scan`], but of the records held for durable sessions too.
    pub fn scan_kept(&self, filter: Arc<dyn TopicMatch + Send + Sync>, after: Position) -> Scan {
        Scan::new(filter, Kinds::All, after)
    }

    /// Reads the records at these positions, of either kind; `None` for those that are gone.
    pub fn events_at(&self, positions: &[Position]) -> Result<Vec<Option<Event>>, LogError> {
        let mut events = Vec::with_capacity(positions.len());
        while events.len() < positions.len() {
            self.shared.store.read(&mut |snapshot| {
                let mut bytes = 0;
                for position in positions[events.len()..].iter().take(RECORDS_PER_SNAPSHOT) {
                    let key = log_key(*position);
                    let value = snapshot.value(Table::Log, &key)?;
                    bytes += value.map_or(0, <[u8]>::len);
                    events.push(
                        value
                            .map(|value| record(&self.shared, *position, &key, value))
                            .transpose()?,
                    );
                    if bytes >= BYTES_PER_SNAPSHOT {
                        break;
                    }
                }
                Ok(())
            })?;
        }
        Ok(events)
    }
}

/// Reads a record that must be the one of this place.
pub(crate) fn event(shared: &Shared, place: Place, key: &[u8], value: &[u8]) -> Result<Event, StoreError> {
    Ok(Raw::of_place(shared, place, key, value)?.event())
}

/// Reads a record.
fn record(shared: &Shared, position: Position, key: &[u8], value: &[u8]) -> Result<Event, StoreError> {
    Ok(Raw::of(shared, position, key, value)?.event())
}

/// A record as it lies in the store, for as long as a snapshot is open.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Its place in the store.
    pub position: Position,
    /// Its topic.
    pub topic: &'a str,
    /// What is in it.
    pub record: Record<'a>,
}

impl<'a> Raw<'a> {
    /// Reads a record that must be the one of this place.
    pub(crate) fn of_place(
        shared: &'a Shared,
        place: Place,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Result<Self, StoreError> {
        let raw = Self::of(shared, place.position, key, value)?;
        if (raw.record.head.channel, raw.record.head.sequence) != (place.channel, place.sequence) {
            return Err(StoreError::corrupt(Table::Log, key, "not the record the index means"));
        }
        Ok(raw)
    }

    fn of(shared: &'a Shared, position: Position, key: &'a [u8], value: &'a [u8]) -> Result<Self, StoreError> {
        let record = Record::decode(key, value)?;
        let channel = shared
            .topics
            .channel(record.head.channel)
            .filter(|(kind, _)| *kind == record.head.kind);
        let (_, topic) =
            channel.ok_or_else(|| StoreError::corrupt(Table::Log, key, "a record of an unknown channel"))?;
        Ok(Self {
            position,
            topic,
            record,
        })
    }

    /// The event, copied.
    pub(crate) fn event(&self) -> Event {
        let head = self.record.head;
        Event {
            kind: head.kind,
            position: self.position,
            sequence: head.sequence,
            channel: head.channel,
            time: head.time,
            message: Arc::new(self.record.message(self.topic)),
        }
    }
}

fn stats(id: ChannelId, channel: &Channel) -> ChannelStats {
    ChannelStats {
        channel: id,
        topic: channel.topic.clone(),
        count: channel.count(),
        bytes: channel.bytes,
        first: channel.first_kept,
        next: channel.next,
    }
}
