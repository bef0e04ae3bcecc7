//! What was published and what the broker answered. Knows no socket.

use serde::Serialize;

use super::client::Output;
use super::error::{MqttError, reason};
use super::tell;
use crate::codec::{Ack, Packet};
use crate::types::{PacketId, ReasonCode};

/// Messages underway, and what became of the others.
pub(super) struct Ledger {
    /// Packet identifiers that are not in use.
    free: Vec<PacketId>,
    /// Which message has which packet identifier; 0 is none.
    numbers: Vec<u64>,
    tally: Tally,
}

/// What became of the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub sent: u64,
    pub acknowledged: u64,
    pub stored: u64,
    /// Acknowledged, and nobody was there to get it.
    pub unmatched: u64,
    pub refused: u64,
    /// Sent with QoS 1 or 2, and no answer came.
    pub unanswered: u64,
    /// The sequence of the last one that was stored.
    pub sequence: Option<u64>,
    /// The first of those that were refused.
    pub refusals: Vec<Refusal>,
}

/// What the broker said of a message that it did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Refusal {
    /// Which message, counted from 1.
    pub message: u64,
    pub reason_code: u8,
    pub reason: &'static str,
    pub reason_string: Option<String>,
}

impl Ledger {
    /// For at most `window` messages underway at once.
    pub(super) fn new(window: u16) -> Self {
        Self {
            free: (1..=window).rev().filter_map(PacketId::new).collect(),
            numbers: vec![0; usize::from(window) + 1],
            tally: Tally::default(),
        }
    }

    /// Whether another message may be underway.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether every message is answered.
    pub(super) fn is_settled(&self) -> bool {
        self.tally.unanswered == 0
    }

    /// Notes a message that is sent and not answered.
    pub(super) fn note_unanswered(&mut self) {
        self.tally.sent += 1;
    }

    /// Notes a message that is sent; its packet identifier. `None` without room.
    pub(super) fn note(&mut self) -> Option<PacketId> {
        let packet_id = self.free.pop()?;
        self.tally.sent += 1;
        self.tally.unanswered += 1;
        self.numbers[usize::from(packet_id.get())] = self.tally.sent;
        Some(packet_id)
    }

    /// Takes an answer of the broker; what is to be said to it goes to the output.
    pub(super) fn handle(&mut self, packet: Packet<'_>, output: &mut Output) -> Result<(), MqttError> {
        match packet {
            Packet::PubAck(ack) => {
                self.settle(&ack);
                self.release(&ack);
            }
            Packet::PubRec(ack) if ack.reason.is_error() => {
                self.settle(&ack);
                self.release(&ack);
            }
            Packet::PubRec(ack) => {
                self.settle(&ack);
                output.put(&Packet::PubRel(Ack::new(ack.packet_id, ReasonCode::Success)))?;
            }
            Packet::PubComp(ack) => self.release(&ack),
            _ => {}
        }
        Ok(())
    }

    /// What became of the messages so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Notes what the broker says of a message.
    fn settle(&mut self, ack: &Ack) {
        let Some(number) = self.number(ack.packet_id) else {
            return;
        };
        if ack.reason.is_error() {
            return self.note_refusal(number, ack);
        }
        self.tally.acknowledged += 1;
        let sequence = ack.user_properties.iter().find(|(name, _)| name == "es-seq");
        if let Some(sequence) = sequence.and_then(|(_, text)| text.parse().ok()) {
            self.tally.stored += 1;
            self.tally.sequence = Some(sequence);
        }
        if ack.reason == ReasonCode::NoMatchingSubscribers {
            self.tally.unmatched += 1;
        }
    }

    fn note_refusal(&mut self, number: u64, ack: &Ack) {
        self.tally.refused += 1;
        if self.tally.refusals.len() >= MOST_REFUSALS {
            return;
        }
        let why = reason(ack.reason, ack.reason_string.as_deref());
        tell(&format!("rewindmq: message {number} was refused: {why}\n"));
        self.tally.refusals.push(Refusal {
            message: number,
            reason_code: ack.reason.byte(),
            reason: ack.reason.text(),
            reason_string: ack.reason_string.clone(),
        });
    }

    /// The packet identifier can be used again.
    fn release(&mut self, ack: &Ack) {
        if self.number(ack.packet_id).is_some() {
            self.numbers[usize::from(ack.packet_id.get())] = 0;
            self.free.push(ack.packet_id);
            self.tally.unanswered -= 1;
        }
    }

    fn number(&self, packet_id: PacketId) -> Option<u64> {
        let number = self.numbers.get(usize::from(packet_id.get())).copied();
        number.filter(|&number| number > 0)
    }
}

/// Refusals that are told one by one.
const MOST_REFUSALS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(packet_id: PacketId, reason: ReasonCode, sequence: Option<u64>) -> Ack {
        let mut ack = Ack::new(packet_id, reason);
        ack.user_properties
            .extend(sequence.map(|number| ("es-seq".to_owned(), number.to_string())));
        ack
    }

    #[test]
    fn answers_are_counted_and_identifiers_come_back() {
        let (mut ledger, mut output) = (Ledger::new(2), Output::default());
        let first = ledger.note().expect("room");
        let second = ledger.note().expect("room");
        assert!(!ledger.has_room() && ledger.note().is_none() && !ledger.is_settled());
        let answers = [
            Packet::PubAck(ack(first, ReasonCode::Success, Some(7))),
            Packet::PubAck(ack(first, ReasonCode::Success, Some(8))),
            Packet::PubAck(ack(PacketId::MAX, ReasonCode::Success, None)),
            Packet::PubAck(ack(second, ReasonCode::QuotaExceeded, None)),
        ];
        for answer in answers {
            ledger.handle(answer, &mut output).expect("an answer");
        }
        assert!(ledger.is_settled() && ledger.has_room());
        let tally = ledger.tally();
        assert_eq!(
            (tally.sent, tally.acknowledged, tally.stored, tally.refused),
            (2, 1, 1, 1)
        );
        assert_eq!(
            (tally.sequence, tally.refusals[0].message, tally.refusals[0].reason_code),
            (Some(7), 2, 0x97)
        );
        assert_eq!(output.len(), 0);
    }

    #[test]
    fn qos_2_is_settled_by_pubrec_and_over_with_pubcomp() {
        let (mut ledger, mut output) = (Ledger::new(1), Output::default());
        let id = ledger.note().expect("room");
        let answer = Packet::PubRec(ack(id, ReasonCode::NoMatchingSubscribers, None));
        ledger.handle(answer, &mut output).expect("an answer");
        assert_eq!((ledger.tally().acknowledged, ledger.tally().unmatched), (1, 1));
        assert!(!ledger.has_room() && output.len() == 4);
        let answer = Packet::PubComp(ack(id, ReasonCode::Success, None));
        ledger.handle(answer, &mut output).expect("an answer");
        assert!(ledger.is_settled());
    }
}
