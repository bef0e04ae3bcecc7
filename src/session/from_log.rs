//! QoS 1 messages in flight of which the log has all: only their places are here, in the order they were sent.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use super::{InFlightPlace, Source, SubscriptionIds};
use crate::types::{PacketId, QoS};

/// Such messages. Packet identifiers are given out in order, so all work is at the ends of a queue or a binary search in it.
#[derive(Debug, Default)]
pub(super) struct FromLog {
    /// The first is not acknowledged.
    sent: VecDeque<Place>,
    /// How many are not acknowledged.
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    source: Source,
    order: u64,
    subscription_id: Option<NonZeroU32>,
    packet_id: PacketId,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sent,
    /// It is not sent again, but its packet identifier is in use until the client answers.
    GivenUp,
    Acknowledged,
}

impl FromLog {
    /// How many wait for PUBACK.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether a packet identifier lies between the first and the last that are here: it may be in use, and cannot be
    /// given out before the first is answered.
    #[inline]
    pub fn spans(&self, packet_id: PacketId) -> bool {
        match (self.sent.front(), self.sent.back()) {
            (Some(first), Some(last)) => first.ahead(packet_id) <= first.ahead(last.packet_id),
            _ => false,
        }
    }

    /// A message went out under a packet identifier that lies behind all that are here.
    #[inline]
    pub fn insert(&mut self, packet_id: PacketId, source: Source, subscription_id: Option<NonZeroU32>, order: u64) {
        self.sent.push_back(Place {
            source,
            order,
            subscription_id,
            packet_id,
            state: State::Sent,
        });
        self.len += 1;
    }

    /// Takes a message out.
    #[inline]
    pub fn remove(&mut self, packet_id: PacketId) -> Option<Source> {
        let at = self.find(packet_id)?;
        let place = self.sent.get_mut(at)?;
        place.state = State::Acknowledged;
        let source = place.source;
        self.len -= 1;
        while let Some(place) = self.sent.front() {
            if place.state != State::Acknowledged {
                break;
            }
            self.sent.pop_front();
        }
        Some(source)
    }

    /// What is to be sent again, with the order in which it was sent.
    pub fn places(&self) -> impl Iterator<Item = (u64, InFlightPlace)> + '_ {
        let sent = self.sent.iter().filter(|place| place.state == State::Sent);
        sent.map(|place| (place.order, place.in_flight()))
    }

    /// Gives up what `gone` names.
    pub fn give_up(&mut self, gone: impl Fn(Source) -> bool) {
        for place in self.sent.iter_mut().filter(|place| place.state == State::Sent) {
            if gone(place.source) {
                place.state = State::GivenUp;
            }
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    #[inline]
    fn find(&self, packet_id: PacketId) -> Option<usize> {
        // Acknowledgements come in order [MQTT-4.6.0-2].
        let first = self.sent.front()?;
        if first.packet_id == packet_id {
            return Some(0);
        }
        if !self.spans(packet_id) {
            return None;
        }
        let ahead = first.ahead(packet_id);
        let at = self
            .sent
            .binary_search_by_key(&ahead, |place| first.ahead(place.packet_id));
        at.ok().filter(|at| self.sent[*at].state != State::Acknowledged)
    }
}

impl Place {
    /// How far a packet identifier is ahead of this one; they begin again behind 65,535.
    #[inline]
    fn ahead(&self, packet_id: PacketId) -> u16 {
        packet_id.get().wrapping_sub(self.packet_id.get())
    }

    fn in_flight(&self) -> InFlightPlace {
        InFlightPlace {
            packet_id: self.packet_id,
            qos: QoS::AtLeastOnce,
            source: self.source,
            retain: false,
            subscription_ids: self
                .subscription_id
                .map(NonZeroU32::get)
                .into_iter()
                .collect::<SubscriptionIds>(),
            completing: false,
            message: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::SubscriptionKey;
    use super::*;
    use crate::types::Position;

    fn id(id: u16) -> PacketId {
        PacketId::new(id).expect("not zero")
    }

    #[test]
    fn it_holds_what_a_plain_map_holds() {
        for seed in 0..30 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut sent, mut model) = (FromLog::default(), BTreeMap::new());
            let (mut last, mut order) = (random.u16(1..), 0);
            for _ in 0..20_000 {
                if random.u8(..10) < 6 && model.len() < 3_000 {
                    // Identifiers that others use are left out.
                    last = last.wrapping_add(random.u16(1..4)).max(1);
                    if sent.spans(id(last)) {
                        continue;
                    }
                    assert!(!model.contains_key(&last));
                    order += 1;
                    let source = Source::Replay(SubscriptionKey(1), Position(order));
                    sent.insert(id(last), source, NonZeroU32::new(order as u32), order);
                    model.insert(last, (order, source));
                } else {
                    let chosen = match random.u8(..3) {
                        0 => random.u16(1..),
                        1 => model
                            .iter()
                            .min_by_key(|(_, (order, _))| *order)
                            .map_or(1, |(id, _)| *id),
                        _ => model
                            .keys()
                            .nth(random.usize(..model.len().max(1)))
                            .copied()
                            .unwrap_or(1),
                    };
                    assert_eq!(sent.remove(id(chosen)), model.remove(&chosen).map(|(_, source)| source));
                }
                assert_eq!(sent.len(), model.len());
            }
            let mut expected: Vec<_> = model
                .iter()
                .map(|(id, (order, source))| (*order, *id, *source))
                .collect();
            expected.sort_unstable_by_key(|(order, ..)| *order);
            let places: Vec<_> = sent
                .places()
                .map(|(order, place)| (order, place.packet_id.get(), place.source))
                .collect();
            assert_eq!(places, expected);
        }
    }

    #[test]
    fn what_is_given_up_keeps_its_identifier_until_it_is_answered() {
        let mut sent = FromLog::default();
        for number in 1..=3 {
            let source = Source::Replay(SubscriptionKey(u32::from(number % 2)), Position(u64::from(number)));
            sent.insert(id(number), source, None, u64::from(number));
        }
        sent.give_up(|source| matches!(source, Source::Replay(SubscriptionKey(1), _)));
        assert_eq!(sent.places().count(), 1);
        assert!(sent.spans(id(1)) && sent.len() == 3);
        assert!(sent.remove(id(3)).is_some() && sent.remove(id(3)).is_none());
        assert!(sent.remove(id(1)).is_some());
        assert!(!sent.spans(id(1)) && sent.spans(id(2)) && sent.len() == 1);
    }
}
