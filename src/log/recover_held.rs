//! Finds out what was let go of channels of held records, since their rows do not say so before the next checkpoint.
//!
//! What goes of a channel goes from its head, so the first record that is there tells that all before it are gone. If none
//! is there, nothing tells how many there were behind the checkpoint; but each had a position of its own.

use super::directory::{Channel, Directory};
use super::index::View;
use crate::store::{ChannelKind, Marks, Snapshot, Store, StoreError, Table, log_key};
use crate::types::{ChannelId, Position, Sequence};

/// The first record of a channel behind the checkpoint has this sequence: whatever must be before it, but is neither
/// counted nor in the index, is gone.
pub(crate) fn begin(channel: &mut Channel, sequence: Sequence) {
    if channel.kind == ChannelKind::Held && (sequence > channel.next || sequence > channel.tail_base) {
        channel.skip_to(sequence);
    }
}

/// Everything behind the checkpoint was read: takes what is not there off the channels.
pub(crate) fn settle(store: &dyn Store, directory: &mut Directory, marks: &Marks) -> Result<(), StoreError> {
    let held = directory.held().to_vec();
    store.read(&mut |snapshot| {
        for id in &held {
            let channel = directory.channel_mut(*id).expect("it is one of the directory's");
            let (first, position) = first_there(*id, channel, snapshot)?;
            if first > channel.first_kept {
                channel.skip_to(first);
            }
            channel.first = position.or(channel.tail.front().copied()).unwrap_or_default();
            let unseen = marks.last.0 - marks.checkpoint.0;
            if channel.count() == 0 && unseen > 0 {
                channel.skip_to(Sequence(channel.next.0 + unseen));
            }
        }
        Ok(())
    })
}

/// The first sequence below the tail whose record is there, and its position; otherwise the tail's.
fn first_there(
    id: ChannelId,
    channel: &Channel,
    snapshot: &dyn Snapshot,
) -> Result<(Sequence, Option<Position>), StoreError> {
    let view = View::new(id, channel);
    let (mut low, mut high) = (channel.first_kept, channel.tail_base);
    let mut found = None;
    // Mostly nothing is gone.
    let mut middle = low;
    while low < high {
        match position_there(&view, middle, snapshot)? {
            Some(position) => (high, found) = (middle, Some(position)),
            None => low = middle.next(),
        }
        middle = Sequence(low.0 + (high.0 - low.0) / 2);
    }
    Ok((low, found))
}

/// Where a record is, if it is there.
fn position_there(view: &View, sequence: Sequence, snapshot: &dyn Snapshot) -> Result<Option<Position>, StoreError> {
    let mut positions = Vec::new();
    let first = view.positions(snapshot, sequence, &mut positions)?;
    let Some(position) = positions.first().filter(|_| first == Some(sequence)) else {
        return Ok(None);
    };
    let there = snapshot.value(Table::Log, &log_key(*position))?.is_some();
    Ok(there.then_some(*position))
}
