//! Tells the log how far the durable readers of a topic have come, so that what nobody needs goes.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use ahash::AHashMap;

use super::Broker;
use super::group::Group;
use super::outbox::Outbox;
use super::route::Target;
use crate::log::{ChannelKind, Holds};
use crate::router::Admission;
use crate::types::{ChannelId, Position, QoS};

/// Asks the router who waits for a topic. Remembers of each channel whom it waits for: while that one stands still, there
/// is nothing to ask.
pub(super) struct DurableHolds {
    broker: Arc<OnceLock<Weak<Broker>>>,
    slowest: Mutex<AHashMap<ChannelId, (Reader, Position)>>,
}

/// Who reads what is held.
enum Reader {
    Session(Weak<Outbox>),
    Group(Weak<Group>),
}

impl Reader {
    fn floor(&self) -> Option<Position> {
        match self {
            Self::Session(outbox) => outbox.upgrade().map(|outbox| outbox.floor()),
            Self::Group(group) => group.upgrade().map(|group| group.floor()),
        }
    }

    /// Asks a session that is here and has not moved whether it needs to: what is not for it after all, such as its own
    /// messages under No Local, it never acknowledges.
    fn nudge(&self) {
        if let Self::Session(outbox) = self
            && let Some(outbox) = outbox.upgrade()
            && outbox.is_connected()
        {
            outbox.ask_idle();
        }
    }
}

impl DurableHolds {
    /// Nothing passes until the broker is in its slot.
    pub fn new(broker: Arc<OnceLock<Weak<Broker>>>) -> Self {
        Self {
            broker,
            slowest: Mutex::default(),
        }
    }

    fn find_slowest(broker: &Broker, topic: &str) -> Option<(Reader, Position)> {
        let mut slowest: Option<(Reader, Position)> = None;
        broker.router.visit(topic, |target| {
            let (floor, reader) = match (target, target.as_live()) {
                (_, Some((outbox, options))) if outbox.durable && options.qos > QoS::AtMostOnce => {
                    (outbox.floor(), Reader::Session(Arc::downgrade(outbox)))
                }
                (Target::Group(group), _) if group.is_share() => (group.floor(), Reader::Group(Arc::downgrade(group))),
                _ => return,
            };
            if broker.access.admit(target, topic) == Admission::No {
                return;
            }
            if slowest.as_ref().is_none_or(|(_, lowest)| floor < *lowest) {
                slowest = Some((reader, floor));
            }
        });
        slowest
    }
}

impl Holds for DurableHolds {
    fn passed(&self, channel: ChannelId, topic: &str, asked_for: ChannelKind) -> Option<Position> {
        let Some(broker) = self.broker.get().and_then(Weak::upgrade) else {
            return Some(Position(0));
        };
        let mut known = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reader, seen)) = known.get(&channel)
            && reader.floor() == Some(*seen)
        {
            reader.nudge();
            if asked_for == ChannelKind::Held {
                return None;
            }
        }
        match Self::find_slowest(&broker, topic) {
            Some((reader, floor)) => {
                known.insert(channel, (reader, floor));
                Some(floor)
            }
            None => {
                known.remove(&channel);
                Some(Position(u64::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests;
