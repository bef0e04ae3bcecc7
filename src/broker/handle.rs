//! One packet of a client, and the end of a turn.

use super::client::Client;
use super::{Broker, LogTag};
use crate::codec::{Disconnect, Packet};
use crate::log::Command;
use crate::session::{Action, Fault};
use crate::types::{PacketId, Timestamp};

/// What a connection does after a packet.
#[derive(Debug)]
pub enum Next {
    /// Go on.
    Continue,
    /// The client has said goodbye.
    End(Box<Disconnect>),
}

impl Broker {
    /// Handles one packet, which stood in these bytes. An error ends the connection.
    #[inline]
    pub fn handle_packet(
        &self,
        client: &mut Client,
        packet: Packet<'_>,
        wire: &[u8],
        now: Timestamp,
    ) -> Result<Next, Fault> {
        self.check_user_properties(&packet)?;
        let done = match &packet {
            Packet::Publish(publish) => self.publish_straight(client, publish, wire),
            Packet::PubAck(ack) => self.take_puback(client, ack.packet_id),
            _ => false,
        };
        if done {
            return Ok(Next::Continue);
        }
        self.handle_any(client, packet, now)
    }

    /// PUBACK for what most clients acknowledge most: a message of a run, or one that a replay read in the log.
    #[inline]
    fn take_puback(&self, client: &mut Client, packet_id: PacketId) -> bool {
        if client.session.handle_passing_puback(packet_id) {
            return true;
        }
        let Some(source) = client.session.handle_puback_from_log(packet_id) else {
            return false;
        };
        self.acknowledged(client, source);
        true
    }

    fn handle_any(&self, client: &mut Client, packet: Packet<'_>, now: Timestamp) -> Result<Next, Fault> {
        match client.session.handle_packet(packet)? {
            Action::None => {}
            Action::Publish(incoming) => self.publish(client, incoming, now)?,
            Action::Acked(source) => self.acknowledged(client, source),
            Action::Release(packet_id) => self.release(client, packet_id),
            Action::Subscribe(subscribe) => self.subscribe(client, subscribe, now),
            Action::Unsubscribe(unsubscribe) => self.unsubscribe(client, unsubscribe),
            Action::Auth(auth) => self.authenticate_again(client, &auth, now)?,
            Action::Disconnect(disconnect) => {
                self.check_disconnect(client, &disconnect)?;
                return Ok(Next::End(Box::new(disconnect)));
            }
        }
        Ok(Next::Continue)
    }

    /// Takes the packet identifier of a QoS 2 message off the disk; PUBCOMP waits for that.
    fn release(&self, client: &mut Client, packet_id: PacketId) {
        if let Some(id) = client.durable_id() {
            let tag = LogTag::Release(client.outbox.clone(), packet_id);
            client.turn.submit(Command::Release(id, packet_id), tag);
        }
    }

    /// Hands over to others what the client's packets brought. Returns whether messages were among it.
    pub fn end_turn(&self, client: &mut Client) -> bool {
        let mut turn = std::mem::take(&mut client.turn);
        let had_messages = turn.has_messages();
        self.flush(&mut turn);
        client.turn = turn;
        client.tally.flush(&self.metrics);
        had_messages
    }
}
