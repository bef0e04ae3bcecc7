//! What waits for one session, in order: messages one by one, and runs of packets. Counts messages and bytes.

use std::collections::VecDeque;

use crate::codec::Run;
use crate::session::Delivery;
use crate::types::{HasEmpty, QoS};

/// Messages that wait.
#[derive(Debug, Default)]
pub struct Queue {
    items: VecDeque<Queued>,
    messages: usize,
    bytes: usize,
}

/// One or several messages.
#[derive(Debug)]
pub enum Queued {
    /// One message.
    One(Delivery),
    /// Packets for a plain subscription of a session that is not durable, or of QoS 0.
    Run(Run),
}

impl HasEmpty for Queue {
    fn empty() -> &'static Self {
        const EMPTY: &Queue = &Queue {
            items: VecDeque::new(),
            messages: 0,
            bytes: 0,
        };
        EMPTY
    }
}

impl From<Delivery> for Queued {
    fn from(delivery: Delivery) -> Self {
        Self::One(delivery)
    }
}

impl Queued {
    /// The QoS of the messages.
    pub fn qos(&self) -> QoS {
        match self {
            Self::One(delivery) => delivery.qos,
            Self::Run(run) => run.qos(),
        }
    }

    /// How many they are.
    pub fn messages(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Run(run) => run.packets(),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::One(delivery) => delivery.cost(),
            Self::Run(run) => run.bytes().len() + size_of::<Self>(),
        }
    }

    fn has_cursor(&self) -> bool {
        matches!(self, Self::One(delivery) if delivery.source.has_cursor())
    }
}

impl Queue {
    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.messages
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What they take, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds messages behind all others.
    pub fn push_back(&mut self, queued: impl Into<Queued>) {
        let queued = queued.into();
        self.count(&queued);
        self.items.push_back(queued);
    }

    /// Adds messages before all others.
    pub fn push_front(&mut self, queued: impl Into<Queued>) {
        let queued = queued.into();
        self.count(&queued);
        self.items.push_front(queued);
    }

    /// Takes out what is first.
    pub fn pop_front(&mut self) -> Option<Queued> {
        let queued = self.items.pop_front()?;
        self.messages -= queued.messages();
        self.bytes -= queued.cost();
        Some(queued)
    }

    /// What is first.
    pub fn front(&self) -> Option<&Queued> {
        self.items.front()
    }

    /// Moves everything of another queue behind what is here.
    pub fn append(&mut self, other: &mut Self) {
        if self.items.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        self.messages += std::mem::take(&mut other.messages);
        self.bytes += std::mem::take(&mut other.bytes);
        self.items.append(&mut other.items);
    }

    /// What waits, in order.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.items.iter()
    }

    /// Whether a message is among them that a cursor waits for.
    pub fn has_cursor(&self) -> bool {
        self.items.iter().any(Queued::has_cursor)
    }

    /// Drops the messages that are in the log.
    pub fn drop_with_cursor(&mut self) {
        self.retain(|queued| !queued.has_cursor());
    }

    /// Keeps only some.
    pub fn retain(&mut self, stays: impl FnMut(&Queued) -> bool) {
        self.items.retain(stays);
        self.messages = self.items.iter().map(Queued::messages).sum();
        self.bytes = self.items.iter().map(Queued::cost).sum();
    }

    fn count(&mut self, queued: &Queued) {
        self.messages += queued.messages();
        self.bytes += queued.cost();
    }
}

impl Extend<Delivery> for Queue {
    fn extend<I: IntoIterator<Item = Delivery>>(&mut self, deliveries: I) {
        deliveries.into_iter().for_each(|delivery| self.push_back(delivery));
    }
}
