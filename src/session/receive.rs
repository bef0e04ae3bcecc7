//! Packets from the client. Decides what they mean for the session; what they mean for others is an `Action`.

use std::ops::Deref;
use std::sync::Arc;

use super::inbound::{Arrival, Release};
use super::outbound::{InFlight, Stage};
use super::place::Waiting;
use super::{Fault, PublishOutcome, PublishToken, Session, Source};
use crate::codec::{self, Ack, Auth, Disconnect, Packet, Publish, StoredAck, Subscribe, Unsubscribe};
use crate::types::{PacketId, QoS, ReasonCode, Version};

/// What a packet asks of the rest of the broker.
#[derive(Debug)]
pub enum Action<'a> {
    /// Nothing.
    None,
    /// A message to route and perhaps to store.
    Publish(Incoming<'a>),
    /// A delivery with a cursor was acknowledged for good.
    Acked(Source),
    /// PUBREL of a durable session: PUBCOMP follows when the identifier is gone from the disk.
    Release(PacketId),
    /// SUBSCRIBE; the SUBACK is the broker's to write.
    Subscribe(Subscribe),
    /// UNSUBSCRIBE; the UNSUBACK is the broker's to write.
    Unsubscribe(Unsubscribe),
    /// AUTH, where CONNECT had an authentication method.
    Auth(Auth),
    /// DISCONNECT: nothing more comes.
    Disconnect(Disconnect),
}

/// A PUBLISH that is no duplicate.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// The packet.
    pub publish: Publish<'a>,
    /// The topic, aliases resolved.
    pub topic: IncomingTopic<'a>,
    /// Names it when its outcome is told; `None` at QoS 0.
    pub token: Option<PublishToken>,
}

/// The topic of a PUBLISH: in the packet, or behind an alias.
#[derive(Clone, Debug)]
pub enum IncomingTopic<'a> {
    /// It stood in the packet.
    Plain(&'a str),
    /// It was learned with an alias.
    Aliased(Arc<str>),
}

impl Deref for IncomingTopic<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Plain(topic) => topic,
            Self::Aliased(topic) => topic,
        }
    }
}

impl Session {
    /// Handles one packet. An error ends the connection.
    pub fn handle_packet<'a>(&mut self, packet: Packet<'a>) -> Result<Action<'a>, Fault> {
        match packet {
            Packet::Publish(publish) => self.handle_publish(publish),
            Packet::PubAck(ack) => Ok(self.handle_puback(&ack)),
            Packet::PubRec(ack) => Ok(self.handle_pubrec(&ack)),
            Packet::PubRel(ack) => Ok(self.handle_pubrel(&ack)),
            Packet::PubComp(ack) => Ok(self.handle_pubcomp(&ack)),
            Packet::Subscribe(subscribe) => Ok(Action::Subscribe(subscribe)),
            Packet::Unsubscribe(unsubscribe) => Ok(Action::Unsubscribe(unsubscribe)),
            Packet::PingReq => {
                self.write(Packet::PingResp);
                Ok(Action::None)
            }
            Packet::Disconnect(disconnect) => Ok(Action::Disconnect(disconnect)),
            // [MQTT-3.1.0-2]
            Packet::Connect(_) => Err(Fault::protocol("a second CONNECT on one connection")),
            Packet::Auth(auth) if self.link.options.enhanced_authentication => Ok(Action::Auth(auth)),
            Packet::Auth(_) => Err(Fault::protocol("AUTH without an authentication method in CONNECT")),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                Err(Fault::protocol("a packet that only a server sends"))
            }
        }
    }

    /// Takes note of what became of a PUBLISH and writes the acknowledgements whose turn it is.
    pub fn handle_outcome(&mut self, token: PublishToken, outcome: PublishOutcome) -> Result<(), Fault> {
        self.inbound.handle_outcome(token, outcome);
        while let Some(ready) = self.inbound.next_ready() {
            self.write_publish_ack(ready.packet_id, ready.qos, ready.outcome)?;
        }
        Ok(())
    }

    fn handle_publish<'a>(&mut self, publish: Publish<'a>) -> Result<Action<'a>, Fault> {
        let topic = match publish.topic_alias {
            Some(alias) => IncomingTopic::Aliased(self.link.resolve_alias(alias, publish.topic)?),
            None => IncomingTopic::Plain(publish.topic),
        };
        let Some(packet_id) = publish.packet_id else {
            return Ok(Action::Publish(Incoming {
                publish,
                topic,
                token: None,
            }));
        };
        if publish.qos == QoS::AtLeastOnce && self.inbound.holds(packet_id) && self.version() == Version::V5 {
            self.check_receive_maximum()?;
            self.refuse_identifier(packet_id)?;
            return Ok(Action::None);
        }
        if !self.inbound.holds(packet_id) {
            self.check_receive_maximum()?;
        }
        match self.inbound.arrived(packet_id, publish.qos) {
            Arrival::New(token) => Ok(Action::Publish(Incoming {
                publish,
                topic,
                token: Some(token),
            })),
            Arrival::AlreadyPending => Ok(Action::None),
            Arrival::AlreadyKnown => {
                self.write(Packet::PubRec(Ack::new(packet_id, ReasonCode::Success)));
                Ok(Action::None)
            }
        }
    }

    /// Refuses a QoS 1 message under an identifier that a QoS 2 message holds, when its turn has come [MQTT-4.6.0-2].
    fn refuse_identifier(&mut self, packet_id: PacketId) -> Result<(), Fault> {
        let Arrival::New(token) = self.inbound.arrived(packet_id, QoS::AtLeastOnce) else {
            return Ok(());
        };
        let outcome = PublishOutcome {
            reason: ReasonCode::PacketIdentifierInUse,
            reason_string: None,
            sequence: None,
        };
        self.handle_outcome(token, outcome)
    }

    /// [MQTT-3.3.4-7]: more than Receive Maximum unacknowledged messages end the connection.
    fn check_receive_maximum(&self) -> Result<(), Fault> {
        let limited = self.version() == Version::V5;
        if limited && self.inbound.unacknowledged() >= usize::from(self.link.options.server_receive_maximum) {
            return Err(Fault::new(
                ReasonCode::ReceiveMaximumExceeded,
                "more unacknowledged PUBLISH packets than Receive Maximum",
            ));
        }
        Ok(())
    }

    fn write_publish_ack(&mut self, packet_id: PacketId, qos: QoS, outcome: PublishOutcome) -> Result<(), Fault> {
        if self.version() == Version::V3 && outcome.reason.is_error() {
            // 3.1.1 has no way to refuse a PUBLISH but to close the connection (section 3.3.5).
            return Err(Fault::because(
                outcome.reason,
                outcome.reason_string.unwrap_or_default(),
            ));
        }
        if let Some(sequence) = outcome.sequence
            && self.writes_stored_ack()
        {
            let kind = if qos == QoS::AtLeastOnce {
                StoredAck::PubAck
            } else {
                StoredAck::PubRec
            };
            codec::encode_stored_ack(kind, packet_id, sequence, &mut self.out);
            self.packets_written += 1;
            return Ok(());
        }
        let mut ack = Ack::new(packet_id, outcome.reason);
        ack.reason_string = outcome.reason_string;
        if let Some(sequence) = outcome.sequence {
            ack.user_properties.push(("es-seq".into(), sequence.to_string()));
        }
        self.write(if qos == QoS::AtLeastOnce {
            Packet::PubAck(ack)
        } else {
            Packet::PubRec(ack)
        });
        Ok(())
    }

    /// Whether the acknowledgement of a stored event goes out with `es-seq`, and surely fits.
    fn writes_stored_ack(&self) -> bool {
        let options = &self.link.options;
        let fits = options.client_maximum_packet_size >= codec::MAX_STORED_ACK;
        options.version == Version::V5 && options.problem_information && fits
    }

    fn handle_pubrel(&mut self, ack: &Ack) -> Action<'static> {
        let durable = self.saving.is_some();
        let reason = match self.inbound.release(ack.packet_id, durable) {
            Release::Known if durable => return Action::Release(ack.packet_id),
            Release::UnderWay => return Action::None,
            Release::Known => ReasonCode::Success,
            Release::Unknown => ReasonCode::PacketIdentifierNotFound,
        };
        self.write(Packet::PubComp(Ack::new(ack.packet_id, reason)));
        Action::None
    }

    /// A packet identifier of an [`Action::Release`] is gone from the disk, or could not be taken off it.
    pub fn handle_released(&mut self, packet_id: PacketId, gone: bool) {
        if self.inbound.released(packet_id, gone) {
            self.write(Packet::PubComp(Ack::new(packet_id, ReasonCode::Success)));
        }
    }

    fn handle_puback(&mut self, ack: &Ack) -> Action<'static> {
        if self.handle_passing_puback(ack.packet_id) {
            return Action::None;
        }
        if let Some(source) = self.handle_puback_from_log(ack.packet_id) {
            return Action::Acked(source);
        }
        match self.outbound.remove_at(ack.packet_id, Stage::Acknowledge) {
            Some(done) => self.finished(&done),
            None => Action::None,
        }
    }

    /// PUBACK for a message that was read in the log ([`Self::send_from_log`]). Returns where it came from.
    #[inline]
    pub fn handle_puback_from_log(&mut self, packet_id: PacketId) -> Option<Source> {
        let source = self.outbound.remove_from_log(packet_id)?;
        self.link.give_back_quota();
        if let Some(saving) = &mut self.saving {
            saving.acknowledged();
        }
        Some(source)
    }

    fn handle_pubrec(&mut self, ack: &Ack) -> Action<'static> {
        if ack.reason.is_error() {
            return match self.outbound.remove_at(ack.packet_id, Stage::Receive) {
                Some(done) => self.finished(&done),
                None => Action::None,
            };
        }
        let reason = match self.outbound.get_mut(ack.packet_id) {
            Some(entry) if entry.stage == Stage::Receive => {
                entry.stage = Stage::Complete;
                entry.delivery = None;
                if let Some(saving) = &mut self.saving {
                    saving.wait(Waiting::Release(ack.packet_id));
                    return Action::None;
                }
                ReasonCode::Success
            }
            Some(entry) if entry.stage == Stage::Complete => {
                let saving = self.saving.as_ref();
                if saving.is_some_and(|saving| saving.waits_for_release(ack.packet_id)) {
                    return Action::None;
                }
                ReasonCode::Success
            }
            _ => ReasonCode::PacketIdentifierNotFound,
        };
        self.write(Packet::PubRel(Ack::new(ack.packet_id, reason)));
        Action::None
    }

    fn handle_pubcomp(&mut self, ack: &Ack) -> Action<'static> {
        match self.outbound.remove_at(ack.packet_id, Stage::Complete) {
            Some(done) => self.finished(&done),
            None => Action::None,
        }
    }

    fn finished(&mut self, done: &InFlight) -> Action<'static> {
        if done.counted {
            self.link.give_back_quota();
        }
        if let Some(saving) = &mut self.saving {
            saving.acknowledged();
        }
        let source = done.source;
        if source.has_cursor() {
            Action::Acked(source)
        } else {
            Action::None
        }
    }
}
