//! Turns a batch of commands into changes of the store, and once they are durable into changes of memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::directory::{Channel, Directory};
use super::reader::Shared;
use super::upkeep::Flushed;
use super::{Command, Committed, Keep, LogError, Outcome, Publish, Stored};
use crate::store::{
    Changes, ChannelKind, ChannelRow, Marks, RUN_POSITIONS, Record, Table, cursor_key, delete_retained, log_key,
    put_retained, received_key, session_key, subscription_key, time_key,
};
use crate::types::{ChannelId, Message, PacketId, Position, Sequence, SessionId, Timestamp};

/// What the writer keeps from batch to batch.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) marks: Marks,
    pub(crate) last_time_row: Option<Timestamp>,
    /// For each channel how many records the batch of this number stores in it.
    counts: Vec<(u64, u64)>,
    batch: u64,
}

/// What a batch will do to memory when it is durable.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) changes: Changes,
    appended: Vec<Appended>,
    births: Vec<(ChannelKind, Arc<str>)>,
    /// The channels of each kind that are among the births.
    born: [HashMap<Arc<str>, ChannelId, ahash::RandomState>; 2],
    pub(crate) flushed: Vec<Flushed>,
    pub(crate) marks: Marks,
    last_time_row: Option<Timestamp>,
    pub(crate) record_bytes: usize,
    /// Messages refused because there is no room.
    pub(crate) refused: usize,
}

#[derive(Debug)]
struct Appended {
    channel: ChannelId,
    position: Position,
    bytes: u64,
}

/// What a batch may do.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    /// Why nothing may be stored that takes room, if so.
    pub(crate) refuse_appends: Option<LogError>,
    /// Why nothing may be written, if so.
    pub(crate) refuse_writes: Option<LogError>,
    /// How many bytes of changes there is room for before appends are refused.
    pub(crate) room: u64,
    /// The time.
    pub(crate) now: Timestamp,
}

impl Progress {
    pub(crate) fn new(marks: Marks, last_time_row: Option<Timestamp>) -> Self {
        Self {
            marks,
            last_time_row,
            counts: Vec::new(),
            batch: 0,
        }
    }

    /// Counts one more record of a channel in this batch and returns how many there were before it.
    fn count(&mut self, channel: ChannelId) -> u64 {
        let at = channel.0 as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + at / 2 + 64, (0, 0));
        }
        let (batch, count) = &mut self.counts[at];
        if *batch != self.batch {
            (*batch, *count) = (self.batch, 0);
        }
        *count += 1;
        *count - 1
    }
}

impl Plan {
    /// Forgets everything but the buffers.
    pub(crate) fn clear(&mut self) {
        self.changes.clear();
        self.appended.clear();
        self.births.clear();
        self.born.iter_mut().for_each(HashMap::clear);
        self.flushed.clear();
        self.record_bytes = 0;
        self.refused = 0;
    }

    /// How many records it stores.
    pub(crate) fn records(&self) -> usize {
        self.appended.len()
    }

    /// Plans the commands and writes into each how it goes if the changes become durable.
    pub(crate) fn prepare<T>(
        &mut self,
        commands: &mut [Committed<T>],
        progress: &mut Progress,
        directory: &Directory,
        permit: &Permit,
    ) {
        progress.batch += 1;
        self.marks = progress.marks;
        self.last_time_row = progress.last_time_row;
        let time = permit.now.max(progress.marks.last_time);
        for entry in commands {
            let refused = match &entry.command {
                command if command.only_passes() => None,
                command if command.needs_room() => self.refuses_append(permit),
                _ => permit.refuse_writes.clone(),
            };
            self.refused += usize::from(refused == Some(LogError::Full));
            entry.outcome = match refused {
                Some(error) => Err(error),
                None => Ok(self.carry_out(&entry.command, time, progress, directory)),
            };
        }
        if !self.appended.is_empty() {
            self.note_time(progress.marks.last.next(), time);
        }
    }

    fn refuses_append(&self, permit: &Permit) -> Option<LogError> {
        if permit.refuse_writes.is_some() {
            return permit.refuse_writes.clone();
        }
        if permit.refuse_appends.is_some() {
            return permit.refuse_appends.clone();
        }
        (self.changes.bytes() as u64 >= permit.room).then_some(LogError::Full)
    }

    fn carry_out(
        &mut self,
        command: &Command,
        time: Timestamp,
        progress: &mut Progress,
        directory: &Directory,
    ) -> Outcome {
        match command {
            Command::Publish(publish) => return self.publish(publish, time, progress, directory),
            Command::SaveCursor(record) => {
                let key = cursor_key(record.id);
                self.changes.put(Table::Cursors, &key, |out| record.encode(out));
            }
            Command::SaveCursorOrigin(id, origin) => {
                self.changes
                    .put(Table::Origins, &cursor_key(*id), |out| origin.encode(out));
            }
            Command::DeleteCursor(id) => {
                self.changes.delete(Table::Cursors, &cursor_key(*id));
                self.changes.delete(Table::Origins, &cursor_key(*id));
            }
            Command::SaveSession(_)
            | Command::DeleteSession { .. }
            | Command::SaveSubscription(_)
            | Command::DeleteSubscription(..)
            | Command::SavePlace(_)
            | Command::Release(..)
            | Command::SaveWill(_)
            | Command::DeleteWill(_)
            | Command::DeleteRetained(_) => self.keep_rows(command),
            Command::Trim { .. } | Command::ApplyRetention | Command::Flush => {}
        }
        Outcome::Done
    }

    /// Changes the rows of durable sessions and of retained messages.
    fn keep_rows(&mut self, command: &Command) {
        let changes = &mut self.changes;
        match command {
            Command::SaveSession(record) => {
                changes.put(Table::Sessions, &session_key(record.id), |out| record.encode(out));
            }
            Command::DeleteSession {
                id,
                subscriptions,
                received,
            } => delete_session(*id, subscriptions, received, changes),
            Command::SaveSubscription(record) => {
                let key = subscription_key(record.session, record.number);
                changes.put(Table::Subscriptions, &key, |out| record.encode(out));
            }
            Command::DeleteSubscription(session, number) => {
                changes.delete(Table::Subscriptions, &subscription_key(*session, *number));
            }
            Command::SavePlace(record) => {
                changes.put(Table::Places, &session_key(record.session), |out| record.encode(out));
            }
            Command::Release(session, packet_id) => {
                changes.delete(Table::Received, &received_key(*session, *packet_id));
            }
            Command::SaveWill(record) => {
                changes.put(Table::Wills, &session_key(record.session), |out| record.encode(out));
            }
            Command::DeleteWill(session) => changes.delete(Table::Wills, &session_key(*session)),
            Command::DeleteRetained(topic) => delete_retained(topic.as_bytes(), changes),
            _ => {}
        }
    }

    fn publish(
        &mut self,
        publish: &Publish,
        time: Timestamp,
        progress: &mut Progress,
        directory: &Directory,
    ) -> Outcome {
        let Publish { message, .. } = publish;
        if publish.retain && message.payload().is_empty() {
            delete_retained(message.topic_bytes(), &mut self.changes);
        } else if publish.retain {
            put_retained(message, &mut self.changes);
        }
        if let Some((session, packet_id)) = publish.received {
            self.changes
                .put(Table::Received, &received_key(session, packet_id), |_| {});
        }
        if let Some(session) = publish.will_of {
            self.changes.delete(Table::Wills, &session_key(session));
        }
        let kind = match publish.keep {
            Keep::Event => ChannelKind::Event,
            Keep::Held => ChannelKind::Held,
            Keep::Nothing => return Outcome::Forwarded,
        };
        Outcome::Stored(self.append(kind, message, time, progress, directory))
    }

    fn append(
        &mut self,
        kind: ChannelKind,
        message: &Message,
        time: Timestamp,
        progress: &mut Progress,
        directory: &Directory,
    ) -> Stored {
        let known = directory.find(kind, message.topic_bytes());
        let channel = known.unwrap_or_else(|| self.birth(kind, message.topic(), directory));
        let next = directory.channel(channel).map_or(Sequence(1), |found| found.next);
        let sequence = Sequence(next.0 + progress.count(channel));
        let position = self.marks.last.next();
        self.marks.last = position;
        let bytes = self.changes.append(Table::Log, &log_key(position), |out| {
            Record::encode(message, kind, channel, sequence, time, out);
        });
        self.record_bytes += bytes;
        self.appended.push(Appended {
            channel,
            position,
            bytes: bytes as u64,
        });
        Stored {
            position,
            sequence,
            time,
            channel,
        }
    }

    fn birth(&mut self, kind: ChannelKind, topic: &str, directory: &Directory) -> ChannelId {
        let born = &mut self.born[kind as usize - 1];
        if let Some(id) = born.get(topic) {
            return *id;
        }
        let id = ChannelId(directory.next_id().0 + self.births.len() as u32);
        let row = ChannelRow {
            kind,
            next: Sequence(1),
            first_kept: Sequence(1),
            bytes: 0,
            first_time: Timestamp(0),
            topic: topic.to_owned(),
        };
        row.put(id, &mut self.changes);
        let topic: Arc<str> = topic.into();
        self.births.push((kind, topic.clone()));
        born.insert(topic, id);
        id
    }

    fn note_time(&mut self, first: Position, time: Timestamp) {
        self.marks.last_time = time;
        if self.last_time_row.is_none_or(|last| time > last) {
            self.changes.put(Table::Times, &time_key(time), |out| {
                out.extend_from_slice(&first.0.to_be_bytes())
            });
            self.last_time_row = Some(time);
        }
    }

    /// The changes are durable: makes them visible. `full` gets the channels whose tail holds a run or more.
    pub(crate) fn apply(&mut self, progress: &mut Progress, shared: &Shared, full: &mut Vec<ChannelId>) {
        let mut directory = shared.directory_mut();
        for (kind, topic) in self.births.drain(..) {
            let id = directory.insert(Channel::new(kind, topic.clone()));
            shared.topics.insert(id, kind, topic);
        }
        for flushed in &self.flushed {
            flushed.apply(&mut directory);
        }
        for appended in &self.appended {
            let channel = directory
                .channel_mut(appended.channel)
                .expect("found or born when the batch was prepared");
            channel.push(appended.position, appended.bytes, self.marks.last_time);
            if channel.tail.len() == RUN_POSITIONS {
                full.push(appended.channel);
            }
        }
        progress.marks = self.marks;
        progress.last_time_row = self.last_time_row;
        shared.set_watermark(self.marks.last);
    }
}

/// Deletes every row of a session; of those it can have several of, the ones named.
fn delete_session(id: SessionId, subscriptions: &[u32], received: &[PacketId], changes: &mut Changes) {
    for table in [Table::Sessions, Table::Places, Table::Wills] {
        changes.delete(table, &session_key(id));
    }
    for number in subscriptions {
        changes.delete(Table::Subscriptions, &subscription_key(id, *number));
    }
    for packet_id in received {
        changes.delete(Table::Received, &received_key(id, *packet_id));
    }
}
