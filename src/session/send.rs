//! Messages to the client: flow control, packet identifiers, aliases, size. Knows no queue.

use std::num::NonZeroU32;

use super::outbound::Stage;
use super::place::Waiting;
use super::{Delivery, EventPlace, Session, Source};
use crate::codec::{self, Ack, EventProperties, Packet};
use crate::topic::channel_name;
use crate::types::{PacketId, QoS, ReasonCode, Timestamp, Version, remaining_expiry};

/// What became of a delivery.
#[derive(Debug)]
pub enum Sent {
    /// It is in the output.
    Written,
    /// The client takes no more unacknowledged messages now; the delivery comes back.
    Blocked(Delivery),
    /// It will not be sent.
    Dropped(DropReason, Delivery),
}

/// Why a delivery is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Its Message Expiry Interval is over [MQTT-3.3.2-5].
    Expired,
    /// It is larger than the client's Maximum Packet Size [MQTT-3.1.2-25].
    TooLarge,
}

/// A message of QoS 0 or 1 as it lies in the log, for a replay subscription. It is not kept: should it be sent again,
/// it is read again.
#[derive(Clone, Copy, Debug)]
pub struct Reread<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// The channel of that topic.
    pub channel: &'a [u8],
    /// The publisher's properties.
    pub properties: &'a [u8],
    /// The application's bytes.
    pub payload: &'a [u8],
    /// Message Expiry Interval as published, seconds.
    pub expiry_secs: Option<u32>,
    /// When the broker received it.
    pub received: Timestamp,
    /// The smaller of the published and the granted QoS.
    pub qos: QoS,
    /// The Subscription Identifier.
    pub subscription_id: Option<NonZeroU32>,
    /// The subscription, and the position that the acknowledgement moves its cursor by.
    pub source: Source,
    /// Its place in the event store.
    pub place: EventPlace,
}

impl EventPlace {
    fn properties(self, channel: &[u8]) -> EventProperties<'_> {
        EventProperties {
            sequence: self.sequence,
            time: self.time,
            channel,
            redelivered: self.redelivered,
        }
    }
}

impl Session {
    /// Whether a message of this QoS could go out now.
    pub fn can_send(&self, qos: QoS) -> bool {
        qos == QoS::AtMostOnce || self.link.send_quota > 0
    }

    /// Sends one message.
    pub fn send(&mut self, delivery: Delivery, now: Timestamp) -> Sent {
        let Some(expiry_secs) = delivery.message.remaining_expiry(now) else {
            return Sent::Dropped(DropReason::Expired, delivery);
        };
        if !self.can_send(delivery.qos) {
            return Sent::Blocked(delivery);
        }
        let packet_id = match delivery.qos {
            QoS::AtMostOnce => None,
            _ => match self.outbound.free_packet_id() {
                Some(packet_id) => Some(packet_id),
                None => return Sent::Blocked(delivery),
            },
        };
        let waits = self.waits_for_disk(delivery.qos);
        if !waits && !self.write_publish(&delivery, packet_id, false, expiry_secs) {
            return Sent::Dropped(DropReason::TooLarge, delivery);
        }
        if let Some(packet_id) = packet_id {
            self.link.send_quota -= 1;
            self.outbound.insert(packet_id, delivery);
            match &mut self.saving {
                Some(saving) if waits => saving.wait(Waiting::Publish(packet_id)),
                Some(saving) => saving.sent(),
                None => {}
            }
        }
        Sent::Written
    }

    /// Whether messages of this QoS can go out straight from the log when the client takes any.
    pub fn can_reread(&self, qos: QoS) -> bool {
        match qos {
            QoS::AtMostOnce => true,
            QoS::AtLeastOnce => self.outbound.has_packet_id() && !self.waits_for_disk(qos),
            QoS::ExactlyOnce => false,
        }
    }

    /// Sends one message straight from the log, if [`Self::can_reread`] says so. `false`: the client takes no more now.
    ///
    /// # Errors
    /// Why it will not be sent.
    pub fn send_from_log(&mut self, message: &Reread<'_>, now: Timestamp) -> Result<bool, DropReason> {
        let expiry = remaining_expiry(message.expiry_secs, message.received, now);
        let expiry_secs = expiry.ok_or(DropReason::Expired)?;
        let packet_id = match message.qos {
            QoS::AtMostOnce => None,
            _ => match self.outbound.free_packet_id() {
                Some(packet_id) => Some(packet_id),
                None => return Ok(false),
            },
        };
        let subscription_id = message.subscription_id.map(NonZeroU32::get);
        let wire = codec::Delivery {
            topic: message.topic.as_bytes(),
            properties: message.properties,
            payload: message.payload,
            dup: false,
            qos: message.qos,
            retain: false,
            packet_id,
            expiry_secs,
            topic_alias: None,
            send_topic: true,
            subscription_ids: subscription_id.as_slice(),
            event: Some(message.place.properties(message.channel)),
        };
        if !self.write_delivery(message.topic, wire) {
            return Err(DropReason::TooLarge);
        }
        if let Some(packet_id) = packet_id {
            self.link.send_quota -= 1;
            self.outbound
                .insert_from_log(packet_id, message.source, message.subscription_id);
            if let Some(saving) = &mut self.saving {
                saving.sent();
            }
        }
        Ok(true)
    }

    /// Whether a message of this QoS goes out only when its packet identifier is on disk: a client that has the identifier
    /// of a QoS 2 message must not get another message under it after a crash. What is behind such a message waits as well.
    fn waits_for_disk(&self, qos: QoS) -> bool {
        let Some(saving) = &self.saving else {
            return false;
        };
        match qos {
            QoS::AtMostOnce => false,
            QoS::AtLeastOnce => saving.has_waiting(),
            QoS::ExactlyOnce => true,
        }
    }

    /// Writes a packet whose packet identifier is on disk by now. Returns the source of a message that is too large.
    pub(super) fn write_waiting(&mut self, waiting: Waiting, now: Timestamp) -> Option<Source> {
        let packet_id = match waiting {
            Waiting::Release(packet_id) => {
                self.write(Packet::PubRel(Ack::new(packet_id, ReasonCode::Success)));
                return None;
            }
            Waiting::Publish(packet_id) => packet_id,
        };
        let delivery = self.outbound.get_mut(packet_id)?.delivery.clone()?;
        // Its delivery has begun, so it is completed even past its expiry.
        let expiry_secs = delivery.message.remaining_expiry(now).unwrap_or(Some(1));
        self.write_or_remove(packet_id, &delivery, false, expiry_secs)
    }

    /// Sends again what was in flight when the connection was lost, as far as the client takes it.
    /// Returns the sources of those that no longer fit the client's Maximum Packet Size; they are done.
    pub fn resend(&mut self, now: Timestamp, output_limit: usize) -> Vec<Source> {
        let mut done = Vec::new();
        if self.resend_is_complete() {
            return done;
        }
        while let Some(packet_id) = self.outbound.next_resend() {
            if self.out.len() >= output_limit {
                break;
            }
            let Some(entry) = self.outbound.get_mut(packet_id) else {
                break;
            };
            let is_release = entry.stage == Stage::Complete;
            // A PUBREL is sent however little the client takes, but what it completes is still being processed there.
            let counted = self.link.send_quota > 0;
            if !counted && !is_release {
                break;
            }
            entry.counted = counted;
            self.link.send_quota -= u16::from(counted);
            match entry.delivery.clone().filter(|_| !is_release) {
                None => self.write(Packet::PubRel(Ack::new(packet_id, ReasonCode::Success))),
                Some(delivery) => done.extend(self.resend_publish(packet_id, &delivery, now)),
            }
            self.outbound.resent();
        }
        done
    }

    /// Whether everything that was in flight has been sent again; new messages wait for that [MQTT-4.6.0-1].
    pub fn resend_is_complete(&self) -> bool {
        self.outbound.has_resent_all()
    }

    fn resend_publish(&mut self, packet_id: PacketId, delivery: &Delivery, now: Timestamp) -> Option<Source> {
        // Its delivery was begun in time, so it is completed even past its expiry.
        let expiry_secs = delivery.message.remaining_expiry(now).unwrap_or(Some(1));
        self.write_or_remove(packet_id, delivery, true, expiry_secs)
    }

    /// Writes a message in flight; one that is too large for the client is done.
    fn write_or_remove(
        &mut self,
        packet_id: PacketId,
        delivery: &Delivery,
        dup: bool,
        expiry_secs: Option<u32>,
    ) -> Option<Source> {
        if self.write_publish(delivery, Some(packet_id), dup, expiry_secs) {
            return None;
        }
        self.link.give_back_quota();
        self.outbound.remove(packet_id);
        if let Some(saving) = &mut self.saving {
            saving.acknowledged();
        }
        Some(delivery.source)
    }

    fn write_publish(
        &mut self,
        delivery: &Delivery,
        packet_id: Option<PacketId>,
        dup: bool,
        expiry_secs: Option<u32>,
    ) -> bool {
        let message = &delivery.message;
        let channel = match delivery.event {
            Some(_) if self.version() == Version::V5 => channel_name(message.topic()),
            _ => String::new(),
        };
        let wire = codec::Delivery {
            topic: message.topic_bytes(),
            properties: message.properties(),
            payload: message.payload(),
            dup,
            qos: delivery.qos,
            retain: delivery.retain,
            packet_id,
            expiry_secs,
            topic_alias: None,
            send_topic: true,
            subscription_ids: &delivery.subscription_ids,
            event: delivery.event.map(|place| place.properties(channel.as_bytes())),
        };
        self.write_delivery(message.topic(), wire)
    }

    /// Writes a PUBLISH, if need be without what is told of its place in the store; `false` if the client does not take
    /// one of this size.
    fn write_delivery(&mut self, name: &str, mut wire: codec::Delivery<'_>) -> bool {
        let options = self.link.options;
        let topic = self.link.outgoing_topic(name);
        (wire.topic_alias, wire.send_topic) = (topic.alias, topic.send_topic);
        wire.event = wire.event.filter(|_| options.version == Version::V5);
        let limit = options.client_maximum_packet_size as usize;
        let too_large = |wire: &_| limit < u32::MAX as usize && codec::delivery_len(wire, options.version) > limit;
        if too_large(&wire) {
            // An alias that is only introduced here can wait.
            wire.topic_alias = topic.alias.filter(|_| !topic.send_topic);
            if too_large(&wire) {
                wire.event = None;
                if too_large(&wire) {
                    return false;
                }
            }
        }
        codec::encode_delivery(&wire, options.version, &mut self.out);
        self.packets_written += 1;
        if wire.topic_alias.is_some() {
            self.link.remember_alias(name, topic);
        }
        true
    }
}

/// The packet without reason string and user properties.
pub(super) fn without_diagnostics(mut packet: Packet<'_>) -> Packet<'_> {
    match &mut packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.reason_string = None;
            ack.user_properties.clear();
        }
        Packet::SubAck(ack) | Packet::UnsubAck(ack) => {
            ack.reason_string = None;
            ack.user_properties.clear();
        }
        Packet::ConnAck(ack) => {
            ack.reason_string = None;
            ack.user_properties.clear();
        }
        Packet::Disconnect(disconnect) => {
            disconnect.reason_string = None;
            disconnect.user_properties.clear();
        }
        _ => {}
    }
    packet
}
