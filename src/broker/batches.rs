//! Items gathered by the session they are for, so that each session is locked and woken once.

use std::sync::Arc;

use ahash::AHashMap;

use super::drops::Drops;
use super::outbox::{Item, Outbox, Refused};
use crate::codec::RunBuilder;
use crate::router::SubscriberId;
use crate::types::{QoS, Version};

/// Items by the session they are for.
#[derive(Debug, Default)]
pub(super) struct Batches {
    touched: Vec<(Arc<Outbox>, Vec<Item>)>,
    index: AHashMap<SubscriberId, usize>,
    spare: Vec<Vec<Item>>,
}

impl Batches {
    /// Adds an item.
    pub fn push(&mut self, outbox: &Arc<Outbox>, item: Item) {
        self.items(outbox).push(item);
    }

    /// Where packets for a session are gathered that nobody else gets.
    #[inline]
    pub fn packets(&mut self, outbox: &Arc<Outbox>, version: Version, qos: QoS) -> &mut RunBuilder {
        let items = self.items(outbox);
        let has_room = matches!(items.last(), Some(Item::Packets(packets)) if packets.is_of(version, qos));
        if !has_room {
            items.push(Item::Packets(RunBuilder::new(version, qos)));
        }
        match items.last_mut() {
            Some(Item::Packets(packets)) => packets,
            _ => unreachable!("it was put there"),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// Hands every batch over. Returns how many messages did not fit.
    pub fn deliver(&mut self, drops: &Drops) -> Refused {
        let mut refused = Refused::default();
        self.index.clear();
        for (outbox, mut items) in self.touched.drain(..) {
            let more = outbox.push_noted(&mut items, drops);
            refused.absent += more.absent;
            refused.slow += more.slow;
            refused.full += more.full;
            if self.spare.len() < SPARE_BATCHES {
                self.spare.push(items);
            }
        }
        refused
    }

    #[inline]
    fn items(&mut self, outbox: &Arc<Outbox>) -> &mut Vec<Item> {
        let subscriber = outbox.subscriber;
        let is_last = self
            .touched
            .last()
            .is_some_and(|(last, _)| last.subscriber == subscriber);
        let index = if is_last {
            self.touched.len() - 1
        } else {
            self.index_of(outbox)
        };
        &mut self.touched[index].1
    }

    fn index_of(&mut self, outbox: &Arc<Outbox>) -> usize {
        *self.index.entry(outbox.subscriber).or_insert_with(|| {
            let items = self.spare.pop().unwrap_or_default();
            self.touched.push((outbox.clone(), items));
            self.touched.len() - 1
        })
    }
}

/// Emptied batches kept for the next turn.
const SPARE_BATCHES: usize = 64;
