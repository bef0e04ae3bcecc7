//! Which channels a filter selects; asked once per channel, also for those that are born later.

use super::TopicMatch;
use super::reader::Shared;
use crate::store::ChannelKind;
use crate::types::ChannelId;

/// The channels that a filter selects.
#[derive(Debug)]
pub(crate) enum Selection {
    /// The filter has no wildcard: one channel, once it is born.
    One(Option<ChannelId>),
    /// Any number.
    Many {
        /// The channels below this one have been asked.
        next: ChannelId,
        /// One bit for each channel.
        bits: Vec<u64>,
        /// Those selected, ascending.
        ids: Vec<ChannelId>,
    },
}

impl Selection {
    pub(crate) fn new(filter: &dyn TopicMatch) -> Self {
        match filter.exact() {
            Some(_) => Self::One(None),
            None => Self::Many {
                next: ChannelId(1),
                bits: Vec::new(),
                ids: Vec::new(),
            },
        }
    }

    /// Asks the filter about the channels that are new.
    pub(crate) fn extend(&mut self, filter: &dyn TopicMatch, shared: &Shared) {
        match self {
            Self::One(Some(_)) => {}
            Self::One(found) => {
                let topic = filter.exact().unwrap_or_default();
                *found = shared.directory().find(ChannelKind::Event, topic.as_bytes());
            }
            Self::Many { next, bits, ids } => {
                let end = shared.directory().next_id();
                bits.resize(end.0 as usize / 64 + 1, 0);
                // Topics are read without the lock: there may be very many.
                for id in (next.0..end.0).map(ChannelId) {
                    if shared.topics.topic(id).is_some_and(|topic| filter.matches(topic)) {
                        bits[id.0 as usize / 64] |= 1 << (id.0 % 64);
                        ids.push(id);
                    }
                }
                *next = end;
            }
        }
    }

    pub(crate) fn contains(&self, channel: ChannelId) -> bool {
        match self {
            Self::One(id) => *id == Some(channel),
            Self::Many { bits, .. } => bits
                .get(channel.0 as usize / 64)
                .is_some_and(|word| word >> (channel.0 % 64) & 1 == 1),
        }
    }

    pub(crate) fn ids(&self) -> &[ChannelId] {
        match self {
            Self::One(id) => id.as_slice(),
            Self::Many { ids, .. } => ids,
        }
    }
}
