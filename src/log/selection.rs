//! Which channels a filter selects; asked once per channel, also for those that are born later.

use super::TopicMatch;
use super::reader::Shared;
use crate::store::ChannelKind;
use crate::types::ChannelId;

/// Which kinds of channels count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// Those of events.
    Events,
    /// Those of events and of held records.
    All,
}

impl Kinds {
    fn each(self) -> &'static [ChannelKind] {
        match self {
            Self::Events => &[ChannelKind::Event],
            Self::All => &[ChannelKind::Event, ChannelKind::Held],
        }
    }

    fn has(self, kind: ChannelKind) -> bool {
        self.each().contains(&kind)
    }
}

/// The channels that a filter selects.
#[derive(Debug)]
pub(crate) struct Selection {
    kinds: Kinds,
    found: Found,
}

#[derive(Debug)]
enum Found {
    /// The filter has no wildcard: one channel of each kind, once it is born.
    One(Vec<ChannelId>),
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
    pub(crate) fn new(filter: &dyn TopicMatch, kinds: Kinds) -> Self {
        let found = match filter.exact() {
            Some(_) => Found::One(Vec::new()),
            None => Found::Many {
                next: ChannelId(1),
                bits: Vec::new(),
                ids: Vec::new(),
            },
        };
        Self { kinds, found }
    }

    /// Asks the filter about the channels that are new.
    pub(crate) fn extend(&mut self, filter: &dyn TopicMatch, shared: &Shared) {
        let kinds = self.kinds;
        match &mut self.found {
            Found::One(ids) if ids.len() == kinds.each().len() => {}
            Found::One(ids) => {
                let topic = filter.exact().unwrap_or_default().as_bytes();
                let directory = shared.directory();
                *ids = kinds
                    .each()
                    .iter()
                    .filter_map(|kind| directory.find(*kind, topic))
                    .collect();
            }
            Found::Many { next, bits, ids } => {
                let end = shared.directory().next_id();
                bits.resize(end.0 as usize / 64 + 1, 0);
                // Topics are read without the lock: there may be very many.
                for id in (next.0..end.0).map(ChannelId) {
                    let channel = shared.topics.channel(id);
                    if channel.is_some_and(|(kind, topic)| kinds.has(kind) && filter.matches(topic)) {
                        bits[id.0 as usize / 64] |= 1 << (id.0 % 64);
                        ids.push(id);
                    }
                }
                *next = end;
            }
        }
    }

    pub(crate) fn contains(&self, channel: ChannelId) -> bool {
        match &self.found {
            Found::One(ids) => ids.contains(&channel),
            Found::Many { bits, .. } => bits
                .get(channel.0 as usize / 64)
                .is_some_and(|word| word >> (channel.0 % 64) & 1 == 1),
        }
    }

    pub(crate) fn ids(&self) -> &[ChannelId] {
        match &self.found {
            Found::One(ids) | Found::Many { ids, .. } => ids,
        }
    }
}
