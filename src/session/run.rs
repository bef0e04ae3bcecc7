//! Runs of packets to the client: copied as they are, each with a packet identifier of this session.

use bytes::BytesMut;

use super::Session;
use crate::codec::{self, Ack, Packet, Run, spare};
use crate::types::{PacketId, QoS, ReasonCode, Version};

/// How much of a run was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunSent {
    /// Messages.
    pub messages: usize,
    /// Their payloads together, bytes.
    pub payload_bytes: usize,
}

impl Session {
    /// Whether packets of this version can go out as they are: the client takes any size, and topics have no aliases.
    pub fn takes_runs(&self, version: Version) -> bool {
        let options = &self.link.options;
        options.version == version
            && options.client_topic_alias_maximum == 0
            && options.client_maximum_packet_size == u32::MAX
    }

    /// Sends packets as far as the client takes them; what is left stays in the run. For QoS 0, and for sessions that are
    /// not durable: nothing is kept to be sent again.
    pub fn send_run(&mut self, mut run: Run) -> (RunSent, Option<Run>) {
        debug_assert!(run.qos() == QoS::AtMostOnce || self.saving.is_none());
        let before = RunSent {
            messages: run.packets(),
            payload_bytes: run.payload_bytes(),
        };
        if run.qos() == QoS::AtMostOnce {
            self.packets_written += before.messages as u64;
            append(run, &mut self.out);
            return (before, None);
        }
        self.out.reserve(run.bytes().len());
        while self.link.send_quota > 0
            && let Some(first) = run.first()
            && let Some(packet_id) = self.outbound.free_packet_id()
        {
            let at = self.out.len() + first.packet_id_at;
            self.out.extend_from_slice(first.bytes);
            self.out[at..at + 2].copy_from_slice(&packet_id.get().to_be_bytes());
            self.link.send_quota -= 1;
            self.outbound.insert_passing(packet_id);
            let (packet_bytes, payload_bytes) = (first.bytes.len(), first.payload_bytes);
            run.advance(packet_bytes, payload_bytes);
        }
        let sent = RunSent {
            messages: before.messages - run.packets(),
            payload_bytes: before.payload_bytes - run.payload_bytes(),
        };
        self.packets_written += sent.messages as u64;
        (sent, (run.packets() > 0).then_some(run))
    }

    /// PUBACK for a packet of a run. Returns whether it was one.
    #[inline]
    pub fn handle_passing_puback(&mut self, packet_id: PacketId) -> bool {
        let known = self.outbound.remove_passing(packet_id);
        if known {
            self.link.give_back_quota();
        }
        known
    }

    /// Whether a QoS 1 message of the client can be answered as soon as it has come: nothing before it waits for its
    /// outcome [MQTT-4.6.0-2], and no message of QoS 2 has its packet identifier.
    #[inline]
    pub fn answers_at_once(&self) -> bool {
        self.inbound.is_idle()
    }

    /// Answers a QoS 1 message that has just come.
    #[inline]
    pub fn answer(&mut self, packet_id: PacketId, reason: ReasonCode) {
        let options = &self.link.options;
        if options.client_maximum_packet_size < codec::MAX_PLAIN_PUBACK {
            self.write(Packet::PubAck(Ack::new(packet_id, reason)));
            return;
        }
        codec::encode_plain_puback(packet_id, reason, options.version, &mut self.out);
        self.packets_written += 1;
    }
}

/// Appends the bytes of a run; where nothing waits and nobody else has the run, its buffer becomes the output.
fn append(run: Run, out: &mut BytesMut) {
    if !out.is_empty() {
        out.extend_from_slice(run.bytes());
        return;
    }
    match run.into_buffer() {
        Ok(buffer) => spare::give_back(std::mem::replace(out, buffer)),
        Err(shared) => out.extend_from_slice(&shared),
    }
}
