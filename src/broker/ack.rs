//! SUBACK and UNSUBACK, which wait until every change that they promise is durable.

use super::client::Client;
use super::subscription::SubscriptionPath;
use super::{Broker, LogTag};
use crate::codec::{Packet, SubAck};
use crate::log::Command;
use crate::session::{Delivery, Fault};
use crate::types::{PacketId, ReasonCode};

/// A SUBACK or UNSUBACK in the making.
#[derive(Debug)]
pub(super) struct AwaitedAck {
    pub number: u64,
    /// How many changes it waits for.
    pub left: usize,
    pub is_subscribe: bool,
    pub packet: SubAck,
    /// The filters, by index, whose changes are awaited; they fail if the change does.
    pub changes: Vec<(usize, SubscriptionPath)>,
    /// Sent right after a SUBACK.
    pub retained: Vec<Delivery>,
}

impl AwaitedAck {
    /// An acknowledgement without reasons yet.
    pub(super) fn new(client: &mut Client, packet_id: PacketId, is_subscribe: bool) -> Self {
        client.next_ack += 1;
        let packet = SubAck {
            packet_id,
            reasons: Vec::new(),
            reason_string: None,
            user_properties: Vec::new(),
        };
        Self {
            number: client.next_ack,
            left: 0,
            is_subscribe,
            packet,
            changes: Vec::new(),
            retained: Vec::new(),
        }
    }
}

impl AwaitedAck {
    /// Submits a change that the acknowledgement waits for, of the filter whose reason comes next.
    pub(super) fn submit(&mut self, client: &mut Client, path: &SubscriptionPath, command: Command) {
        self.left += 1;
        self.changes.push((self.packet.reasons.len(), path.clone()));
        let tag = LogTag::Change(client.outbox.clone(), self.number);
        client.turn.submit(command, tag);
    }
}

impl Broker {
    /// Writes the acknowledgement, or keeps it until its changes are durable.
    pub(super) fn finish_or_await(&self, client: &mut Client, ack: AwaitedAck) {
        if ack.left == 0 {
            self.finish_ack(client, ack);
        } else {
            client.acks.push(ack);
        }
    }

    /// A change that a SUBACK or UNSUBACK waits for is durable, or failed.
    pub(super) fn change_done(&self, client: &mut Client, number: u64, outcome: Result<(), String>) {
        let Some(index) = client.acks.iter().position(|ack| ack.number == number) else {
            return;
        };
        let ack = &mut client.acks[index];
        ack.left -= 1;
        if let Err(why) = outcome {
            ack.packet.reason_string.get_or_insert(why);
            let changes = std::mem::take(&mut ack.changes);
            for (filter, _) in &changes {
                ack.packet.reasons[*filter] = ReasonCode::ImplementationSpecificError;
            }
            for (_, path) in changes {
                self.leave(client, &path);
            }
        }
        if client.acks[index].left == 0 {
            let ack = client.acks.remove(index);
            self.finish_ack(client, ack);
        }
    }

    fn finish_ack(&self, client: &mut Client, ack: AwaitedAck) {
        let written = client.session.try_write(if ack.is_subscribe {
            Packet::SubAck(ack.packet)
        } else {
            Packet::UnsubAck(ack.packet)
        });
        if !written {
            // It would wait for an answer that cannot come.
            let why = "the acknowledgement of so many filters is larger than the client's Maximum Packet Size";
            client.outbox.order(Fault::new(ReasonCode::PacketTooLarge, why));
        }
        client.waiting.extend(ack.retained);
        self.count_subscriptions();
    }
}
