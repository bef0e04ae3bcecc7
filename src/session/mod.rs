//! The state machine of one client: packets, outcomes and deliveries in; packets and actions out.
//! Knows no socket, no clock, no other client.

mod delivery;
mod fault;
mod from_log;
mod inbound;
mod link;
mod outbound;
mod packet_ids;
mod place;
mod receive;
mod run;
mod send;
#[cfg(test)]
mod tests;

use bytes::BytesMut;

use crate::codec::{self, Packet};
use crate::types::{ClientId, PacketId, Position, Rare, Timestamp, Version};
pub use delivery::{Delivery, EventPlace, Source, SubscriptionIds, SubscriptionKey};
pub use fault::Fault;
use inbound::Inbound;
pub use inbound::{PublishOutcome, PublishToken};
use link::Link;
pub use link::LinkOptions;
use outbound::Outbound;
pub use place::InFlightPlace;
use place::Saving;
pub use receive::{Action, Incoming, IncomingTopic};
pub use run::RunSent;
pub use send::{DropReason, Reread, Sent};

/// One client's session: what MQTT says outlives a connection, and the connection's own state while there is one.
#[derive(Debug)]
pub struct Session {
    client_id: ClientId,
    link: Link,
    inbound: Rare<Inbound>,
    outbound: Rare<Outbound>,
    /// For a durable session, whose packet identifiers in flight are on disk.
    saving: Option<Box<Saving>>,
    out: BytesMut,
    packets_written: u64,
}

impl Session {
    /// A new session, with the options of its first connection.
    pub fn new(client_id: ClientId, options: LinkOptions) -> Self {
        Self {
            client_id,
            link: Link::new(options),
            inbound: Rare::default(),
            outbound: Rare::default(),
            saving: None,
            out: BytesMut::new(),
            packets_written: 0,
        }
    }

    /// Makes the session durable: from now on packets wait for the disk where exactly once needs it.
    pub fn make_durable(&mut self) {
        self.saving.get_or_insert_default();
    }

    /// The client identifier.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The protocol version of the connection.
    pub fn version(&self) -> Version {
        self.link.options.version
    }

    /// The topic behind an alias in a PUBLISH of the client.
    pub fn incoming_alias(&self, alias: u16) -> Option<&str> {
        self.link.incoming_alias(alias)
    }

    /// The topic behind an alias in a PUBLISH to the client.
    pub fn outgoing_alias(&self, alias: u16) -> Option<&str> {
        self.link.outgoing_alias(alias)
    }

    /// What the connection agreed on.
    pub fn options(&self) -> &LinkOptions {
        &self.link.options
    }

    /// A new connection continues the session: quotas and aliases start anew, what is in flight is to be resent.
    pub fn resume(&mut self, options: LinkOptions) {
        self.link = Link::new(options);
        self.out.clear();
        self.forget_pending_acks();
        if let Some(outbound) = self.outbound.used() {
            outbound.plan_resend();
        }
    }

    /// The connection is gone. Messages of groups are forgotten: other members get them.
    pub fn connection_lost(&mut self) {
        self.out = BytesMut::new();
        self.forget_pending_acks();
        if let Some(outbound) = self.outbound.used() {
            outbound.forget_passing();
            outbound.forget(|source| matches!(source, Source::Group(..)));
        }
        if let Some(saving) = &mut self.saving {
            saving.connection_lost();
        }
    }

    fn forget_pending_acks(&mut self) {
        if let Some(inbound) = self.inbound.used() {
            inbound.connection_lost();
        }
    }

    /// The bytes that wait to be written to the connection.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// How many packets were put into the output since the last call.
    pub fn take_packets_written(&mut self) -> u64 {
        std::mem::take(&mut self.packets_written)
    }

    /// How many more QoS 1 and 2 messages may be sent now.
    pub fn send_quota(&self) -> u16 {
        self.link.send_quota
    }

    /// How many QoS 1 and 2 messages wait for the client's acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.outbound.len()
    }

    /// How many of them no cursor would bring again.
    pub fn in_flight_without_cursor(&self) -> usize {
        self.outbound.count(|source| !source.has_cursor())
    }

    /// How many QoS 1 and 2 messages of the client wait for ours.
    pub fn unacknowledged(&self) -> usize {
        self.inbound.unacknowledged()
    }

    /// The number of the last change of what is in flight, and of the last one that should be on disk at once. Zero if the
    /// session is not durable.
    pub fn changes(&self) -> (u64, u64) {
        self.saving
            .as_ref()
            .map_or((0, 0), |saving| (saving.changes(), saving.urgent()))
    }

    /// What is in flight, in the order it was sent, and the packet identifier that was given out last.
    pub fn in_flight_places(&self) -> (Vec<InFlightPlace>, u16) {
        (self.outbound.places(), self.outbound.last_packet_id())
    }

    /// A plain subscription has ended, and with it the log's reason to keep what is in flight because of it: the session
    /// keeps the messages of such topics itself. Returns their positions in the log, which are done with.
    pub fn make_own(&mut self, such: impl Fn(&str) -> bool) -> Vec<Position> {
        let positions = self.outbound.make_own(such);
        if let Some(saving) = self.saving.as_mut().filter(|_| !positions.is_empty()) {
            saving.sent();
        }
        positions
    }

    /// Takes out QoS 1 messages of live groups that the client has not acknowledged, in the order they were sent: the session
    /// has ended.
    pub fn take_shared(&mut self) -> Vec<Delivery> {
        match self.outbound.used() {
            Some(outbound) => outbound.take_shared(),
            None => Vec::new(),
        }
    }

    /// Takes out what is in flight, to be kept without its messages while the client is away.
    pub fn unload(&mut self) -> Vec<InFlightPlace> {
        self.outbound.unload()
    }

    /// Puts a packet back in flight, in the order it was sent; `delivery` is its message, unless only PUBREL is sent again.
    pub fn load(&mut self, place: InFlightPlace, delivery: Option<Delivery>) {
        self.outbound.load(place, delivery);
    }

    /// Restores a session from disk: QoS 2 messages of the client that wait for PUBREL, and the packet identifier that was
    /// given out last.
    pub fn restore(&mut self, received: impl IntoIterator<Item = PacketId>, last_packet_id: u16) {
        self.inbound.restore(received);
        self.outbound.set_last_packet_id(last_packet_id);
    }

    /// The QoS 2 messages of the client that wait for PUBREL.
    pub fn received(&self) -> Vec<PacketId> {
        self.inbound.received()
    }

    /// Changes up to this number are on disk: writes what waited for them. Returns the sources of messages that do not fit
    /// the client's Maximum Packet Size after all; they are done.
    pub fn saved(&mut self, number: u64, now: Timestamp) -> Vec<Source> {
        let mut done = Vec::new();
        while let Some(waiting) = self.saving.as_mut().and_then(|saving| saving.next_saved(number)) {
            done.extend(self.write_waiting(waiting, now));
        }
        done
    }

    /// Gives up the in-flight messages of a subscription whose cursor goes on without this session. Until the client
    /// answers them they keep their packet identifiers and their places of Receive Maximum.
    pub fn forget_in_flight(&mut self, gone: impl Fn(Source) -> bool) {
        self.outbound.give_up(gone);
    }

    /// Writes a packet; leaves out reason strings and user properties where the client did not want them
    /// [MQTT-3.1.2-29] or where they would make the packet too large for it [MQTT-3.1.2-24].
    pub fn write(&mut self, packet: Packet<'_>) {
        self.try_write(packet);
    }

    /// As [`Session::write`]; returns whether the packet fits the client, without which nothing is written.
    pub fn try_write(&mut self, packet: Packet<'_>) -> bool {
        self.packets_written += 1;
        let options = &self.link.options;
        let start = self.out.len();
        let bare = !options.problem_information && !matches!(packet, Packet::ConnAck(_) | Packet::Disconnect(_));
        let packet = if bare {
            send::without_diagnostics(packet)
        } else {
            packet
        };
        let fits = codec::encode(&packet, options.version, &mut self.out).is_ok()
            && self.out.len() - start <= options.client_maximum_packet_size as usize;
        if fits {
            return true;
        }
        self.out.truncate(start);
        let smaller = send::without_diagnostics(packet);
        let fits = codec::encode(&smaller, options.version, &mut self.out).is_ok()
            && self.out.len() - start <= options.client_maximum_packet_size as usize;
        if !fits {
            self.out.truncate(start);
        }
        fits
    }
}
