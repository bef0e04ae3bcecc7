//! Messages to the client that wait for an acknowledgement, by packet identifier and in the order they were sent.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::LazyLock;

use ahash::AHashMap;

use super::from_log::FromLog;
use super::packet_ids::PacketIds;
use super::{Delivery, InFlightPlace, Source};
use crate::types::{HasEmpty, PacketId, Position, QoS};

/// Which packet an unacknowledged message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// QoS 1, PUBACK is awaited.
    Acknowledge,
    /// QoS 2, PUBREC is awaited.
    Receive,
    /// QoS 2, PUBREL was sent, PUBCOMP is awaited.
    Complete,
}

#[derive(Debug)]
pub(super) struct InFlight {
    /// What is sent again; nothing once only PUBREL is.
    pub delivery: Option<Delivery>,
    pub source: Source,
    pub stage: Stage,
    /// Whether it holds a place of this connection's Receive Maximum.
    pub counted: bool,
    /// Whether another member of its group gets it; here only its packet identifier is in use until the client answers.
    given_up: bool,
    order: u64,
}

/// The sending side of a session.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    in_flight: AHashMap<PacketId, InFlight>,
    /// QoS 1 messages of this connection that are never sent again: PUBACK is awaited, nothing is kept.
    passing: PacketIds,
    from_log: FromLog,
    last_packet_id: u16,
    next_order: u64,
    resend: VecDeque<PacketId>,
}

impl HasEmpty for Outbound {
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Outbound> = LazyLock::new(Outbound::default);
        &EMPTY
    }
}

impl Outbound {
    pub fn len(&self) -> usize {
        self.in_flight.len() + self.passing.len() + self.from_log.len()
    }

    /// A packet identifier that is not in use [MQTT-2.2.1-3]; `None` when all 65,535 are.
    pub fn free_packet_id(&mut self) -> Option<PacketId> {
        if self.len() >= usize::from(u16::MAX) {
            return None;
        }
        loop {
            self.last_packet_id = self.last_packet_id.wrapping_add(1);
            match PacketId::new(self.last_packet_id) {
                // All others are in use.
                Some(id) if self.from_log.spans(id) => return None,
                Some(id) if !self.in_flight.contains_key(&id) && !self.passing.contains(id) => return Some(id),
                _ => {}
            }
        }
    }

    /// Whether a packet identifier is free, as far as is known without looking for it.
    pub fn has_packet_id(&self) -> bool {
        let next = PacketId::new(self.last_packet_id.wrapping_add(1).max(1));
        self.len() < usize::from(u16::MAX) && next.is_some_and(|next| !self.from_log.spans(next))
    }

    pub fn insert(&mut self, packet_id: PacketId, delivery: Delivery) {
        let stage = match delivery.qos {
            QoS::ExactlyOnce => Stage::Receive,
            _ => Stage::Acknowledge,
        };
        let order = self.next_order;
        self.next_order += 1;
        let entry = InFlight {
            source: delivery.source,
            delivery: Some(delivery),
            stage,
            counted: true,
            given_up: false,
            order,
        };
        let earlier = self.in_flight.insert(packet_id, entry);
        debug_assert!(earlier.is_none(), "a packet identifier is used once at a time");
    }

    /// A QoS 1 message goes out that is read again from the log if it has to be sent again.
    pub fn insert_from_log(&mut self, packet_id: PacketId, source: Source, subscription_id: Option<NonZeroU32>) {
        self.from_log
            .insert(packet_id, source, subscription_id, self.next_order);
        self.next_order += 1;
    }

    /// Takes such a message out. Returns where it came from.
    pub fn remove_from_log(&mut self, packet_id: PacketId) -> Option<Source> {
        self.from_log.remove(packet_id)
    }

    /// A QoS 1 message goes out that is not sent again whatever happens: its session ends with the connection.
    pub fn insert_passing(&mut self, packet_id: PacketId) {
        self.passing.insert(packet_id);
    }

    /// Takes such a message out. Returns whether it was there.
    pub fn remove_passing(&mut self, packet_id: PacketId) -> bool {
        self.passing.remove(packet_id)
    }

    /// Forgets such messages.
    pub fn forget_passing(&mut self) {
        self.passing.clear();
    }

    /// The packet identifier that was given out last.
    pub fn last_packet_id(&self) -> u16 {
        self.last_packet_id
    }

    /// Goes on behind a packet identifier.
    pub fn set_last_packet_id(&mut self, last: u16) {
        self.last_packet_id = last;
    }

    /// What is in flight, in the order it was sent, without what others get.
    pub fn places(&self) -> Vec<InFlightPlace> {
        let kept = self.in_flight.iter().filter(|(_, entry)| entry.is_kept());
        let kept = kept.map(|(id, entry)| (entry.order, entry.place(*id)));
        let mut all: Vec<(u64, InFlightPlace)> = kept.chain(self.from_log.places()).collect();
        all.sort_unstable_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, place)| place).collect()
    }

    /// Makes the messages of such topics that a session's place in the log brought the session's own: the log may let go
    /// of them. Returns their positions.
    pub fn make_own(&mut self, such: impl Fn(&str) -> bool) -> Vec<Position> {
        let mut positions = Vec::new();
        for entry in self.in_flight.values_mut() {
            if let (Source::Session(position), Some(delivery)) = (entry.source, &mut entry.delivery)
                && such(delivery.message.topic())
            {
                (entry.source, delivery.source) = (Source::Live, Source::Live);
                positions.push(position);
            }
        }
        positions
    }

    /// Takes out QoS 1 messages of live groups, in the order they were sent.
    pub fn take_shared(&mut self) -> Vec<Delivery> {
        let is_shared = |entry: &InFlight| {
            matches!(entry.source, Source::Shared(_)) && entry.stage == Stage::Acknowledge && !entry.given_up
        };
        let shared = self.in_flight.iter().filter(|(_, entry)| is_shared(entry));
        let mut ids: Vec<(u64, PacketId)> = shared.map(|(id, entry)| (entry.order, *id)).collect();
        ids.sort_unstable();
        let entries = ids.into_iter().filter_map(|(_, id)| self.in_flight.remove(&id));
        entries.filter_map(|entry| entry.delivery).collect()
    }

    /// Takes everything in flight out, to be kept without its messages until the client is back.
    pub fn unload(&mut self) -> Vec<InFlightPlace> {
        let places = self.places();
        self.in_flight = AHashMap::new();
        self.from_log.clear();
        self.resend = VecDeque::new();
        places
    }

    /// Puts back what was in flight, in the order it was sent.
    pub fn load(&mut self, place: InFlightPlace, delivery: Option<Delivery>) {
        let stage = match (place.completing, place.qos) {
            (true, _) => Stage::Complete,
            (false, QoS::ExactlyOnce) => Stage::Receive,
            (false, _) => Stage::Acknowledge,
        };
        let order = self.next_order;
        self.next_order += 1;
        let entry = InFlight {
            delivery,
            source: place.source,
            stage,
            counted: false,
            given_up: false,
            order,
        };
        self.in_flight.insert(place.packet_id, entry);
    }

    pub fn get_mut(&mut self, packet_id: PacketId) -> Option<&mut InFlight> {
        self.in_flight.get_mut(&packet_id)
    }

    /// Takes a message out if it stands at `stage`.
    pub fn remove_at(&mut self, packet_id: PacketId, stage: Stage) -> Option<InFlight> {
        match self.in_flight.entry(packet_id) {
            Entry::Occupied(entry) if entry.get().stage == stage => Some(entry.remove()),
            _ => None,
        }
    }

    /// Takes a message out at whatever stage.
    pub fn remove(&mut self, packet_id: PacketId) -> Option<InFlight> {
        self.in_flight.remove(&packet_id)
    }

    /// Everything in flight is to be sent again, in the original order [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    pub fn plan_resend(&mut self) {
        self.in_flight.retain(|_, entry| !entry.given_up);
        for entry in self.in_flight.values_mut() {
            entry.counted = false;
        }
        let mut all: Vec<(u64, PacketId)> = self.in_flight.iter().map(|(id, entry)| (entry.order, *id)).collect();
        all.sort_unstable();
        self.resend = all.into_iter().map(|(_, id)| id).collect();
    }

    /// Whether nothing is to be sent again.
    pub fn has_resent_all(&self) -> bool {
        self.resend
            .iter()
            .all(|packet_id| !self.in_flight.contains_key(packet_id))
    }

    /// The next packet identifier to send again; stays until `resent`.
    pub fn next_resend(&mut self) -> Option<PacketId> {
        while let Some(&packet_id) = self.resend.front() {
            if self.in_flight.contains_key(&packet_id) {
                return Some(packet_id);
            }
            self.resend.pop_front();
        }
        None
    }

    pub fn resent(&mut self) {
        self.resend.pop_front();
    }

    /// Gives up what `gone` names: the client still answers it, but it is not sent again.
    pub fn give_up(&mut self, gone: impl Fn(Source) -> bool) {
        for entry in self.in_flight.values_mut() {
            entry.given_up |= gone(entry.source);
        }
        self.from_log.give_up(gone);
    }

    /// How many messages in flight come from such a source.
    pub fn count(&self, such: impl Fn(Source) -> bool) -> usize {
        let passing = if such(Source::Live) { self.passing.len() } else { 0 };
        self.in_flight.values().filter(|entry| such(entry.source)).count() + passing
    }

    /// Forgets what `gone` names; for groups, whose messages go to other members when the connection is lost.
    pub fn forget(&mut self, gone: impl Fn(Source) -> bool) {
        self.in_flight.retain(|_, entry| !gone(entry.source));
    }
}

impl InFlight {
    /// Whether the session has to bring it to its end: what a group can give to others is not.
    fn is_kept(&self) -> bool {
        !self.given_up && !matches!(self.source, Source::Group(..))
    }

    fn place(&self, packet_id: PacketId) -> InFlightPlace {
        let delivery = self.delivery.as_ref();
        // What is in the log is read from there again.
        let message = delivery
            .filter(|_| !self.source.has_cursor())
            .map(|delivery| delivery.message.clone());
        InFlightPlace {
            packet_id,
            qos: match self.stage {
                Stage::Acknowledge => QoS::AtLeastOnce,
                Stage::Receive | Stage::Complete => QoS::ExactlyOnce,
            },
            source: self.source,
            retain: delivery.is_some_and(|delivery| delivery.retain),
            subscription_ids: delivery
                .map(|delivery| delivery.subscription_ids.clone())
                .unwrap_or_default(),
            completing: self.stage == Stage::Complete,
            message,
        }
    }
}
