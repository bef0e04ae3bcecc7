//! Messages from the client: who still waits for which acknowledgement. An acknowledgement leaves only after the
//! outcome of its message is known, and in the order of the PUBLISH packets [MQTT-4.6.0-2], [MQTT-4.6.0-3].

use std::collections::VecDeque;
use std::sync::LazyLock;

use ahash::AHashMap;

use crate::types::{HasEmpty, PacketId, QoS, ReasonCode, Sequence};

/// Names one PUBLISH whose outcome is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublishToken(pub u64);

/// What became of a PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishOutcome {
    /// The reason for PUBACK or PUBREC.
    pub reason: ReasonCode,
    /// Why it was refused.
    pub reason_string: Option<String>,
    /// Its number in its channel, if it was stored.
    pub sequence: Option<Sequence>,
}

impl PublishOutcome {
    /// Accepted; nothing was stored.
    pub fn accepted() -> Self {
        Self {
            reason: ReasonCode::Success,
            reason_string: None,
            sequence: None,
        }
    }

    /// Refused: neither stored nor delivered to anyone.
    pub fn refused(reason: ReasonCode, why: impl Into<String>) -> Self {
        Self {
            reason,
            reason_string: Some(why.into()),
            sequence: None,
        }
    }
}

/// An acknowledgement that may go out now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReadyAck {
    pub packet_id: PacketId,
    pub qos: QoS,
    pub outcome: PublishOutcome,
}

#[derive(Debug)]
struct PendingAck {
    packet_id: PacketId,
    qos: QoS,
    outcome: Option<PublishOutcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    Pending(PublishToken),
    Recorded,
    /// PUBREL came; PUBCOMP follows when the identifier is gone from the disk, if it came on this connection.
    Releasing {
        asked: bool,
    },
}

/// What to do with a PUBREL.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// The identifier was known: it is to be forgotten.
    Known,
    /// It is on its way out already.
    UnderWay,
    /// It is not in use.
    Unknown,
}

/// What to do with a QoS 1 or 2 PUBLISH.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A message that was not seen before.
    New(PublishToken),
    /// A QoS 2 message again whose acknowledgement is on its way.
    AlreadyPending,
    /// A QoS 2 message again that is known already: acknowledge it, publish nothing [MQTT-4.3.3-10].
    AlreadyKnown,
}

/// The receiving side of a session.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    acks: VecDeque<PendingAck>,
    first_token: u64,
    received: AHashMap<PacketId, Received>,
    unacknowledged_qos1: usize,
}

impl HasEmpty for Inbound {
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Inbound> = LazyLock::new(Inbound::default);
        &EMPTY
    }
}

impl Inbound {
    /// How many QoS 1 and 2 messages count against the server's Receive Maximum.
    pub fn unacknowledged(&self) -> usize {
        self.unacknowledged_qos1 + self.received.len()
    }

    /// Whether nothing waits for its outcome, for PUBREL, or for the disk.
    pub fn is_idle(&self) -> bool {
        self.acks.is_empty() && self.received.is_empty()
    }

    /// Whether a QoS 2 message holds this packet identifier.
    pub fn holds(&self, packet_id: PacketId) -> bool {
        self.received.contains_key(&packet_id)
    }

    /// Takes note of a QoS 1 or 2 PUBLISH.
    pub fn arrived(&mut self, packet_id: PacketId, qos: QoS) -> Arrival {
        if qos == QoS::AtLeastOnce {
            self.unacknowledged_qos1 += 1;
            return Arrival::New(self.await_outcome(packet_id, qos));
        }
        match self.received.get(&packet_id) {
            Some(Received::Recorded | Received::Releasing { .. }) => Arrival::AlreadyKnown,
            Some(Received::Pending(_)) => {
                let waiting = self.acks.iter().any(|ack| ack.packet_id == packet_id && ack.qos == qos);
                if !waiting {
                    // The first try came over an earlier connection; its outcome answers this one too.
                    self.await_outcome(packet_id, qos);
                }
                Arrival::AlreadyPending
            }
            None => {
                let token = self.await_outcome(packet_id, qos);
                self.received.insert(packet_id, Received::Pending(token));
                Arrival::New(token)
            }
        }
    }

    /// Takes note of what became of a message.
    pub fn handle_outcome(&mut self, token: PublishToken, outcome: PublishOutcome) {
        let packet_id = match self.index_of(token) {
            Some(index) => {
                let ack = &mut self.acks[index];
                let (packet_id, qos) = (ack.packet_id, ack.qos);
                ack.outcome = Some(outcome.clone());
                (qos == QoS::ExactlyOnce).then_some(packet_id)
            }
            None => self
                .received
                .iter()
                .find_map(|(id, state)| (*state == Received::Pending(token)).then_some(*id)),
        };
        let Some(packet_id) = packet_id else {
            return;
        };
        if outcome.reason.is_error() {
            self.received.remove(&packet_id);
        } else {
            self.received.insert(packet_id, Received::Recorded);
        }
        for ack in &mut self.acks {
            if ack.packet_id == packet_id && ack.qos == QoS::ExactlyOnce && ack.outcome.is_none() {
                ack.outcome = Some(outcome.clone());
            }
        }
    }

    /// The next acknowledgement whose turn it is.
    pub fn next_ready(&mut self) -> Option<ReadyAck> {
        self.acks.front()?.outcome.as_ref()?;
        let ack = self.acks.pop_front()?;
        self.first_token += 1;
        if ack.qos == QoS::AtLeastOnce {
            self.unacknowledged_qos1 -= 1;
        }
        Some(ReadyAck {
            packet_id: ack.packet_id,
            qos: ack.qos,
            outcome: ack.outcome?,
        })
    }

    /// PUBREL. With `later`, the identifier stays in use until [`Self::released`].
    pub fn release(&mut self, packet_id: PacketId, later: bool) -> Release {
        match self.received.get_mut(&packet_id) {
            Some(state @ Received::Recorded) if later => {
                *state = Received::Releasing { asked: true };
                Release::Known
            }
            Some(Received::Recorded) => {
                self.received.remove(&packet_id);
                Release::Known
            }
            Some(Received::Releasing { asked }) => {
                *asked = true;
                Release::UnderWay
            }
            _ => Release::Unknown,
        }
    }

    /// The identifier is gone from the disk, or stays there. Returns whether PUBCOMP is due.
    pub fn released(&mut self, packet_id: PacketId, gone: bool) -> bool {
        let Some(Received::Releasing { asked }) = self.received.get(&packet_id).copied() else {
            return false;
        };
        if gone {
            self.received.remove(&packet_id);
        } else {
            self.received.insert(packet_id, Received::Recorded);
        }
        asked && gone
    }

    /// Messages that were recorded before a restart.
    pub fn restore(&mut self, received: impl IntoIterator<Item = PacketId>) {
        self.received
            .extend(received.into_iter().map(|id| (id, Received::Recorded)));
    }

    /// The identifiers of all messages that are or may be recorded.
    pub fn received(&self) -> Vec<PacketId> {
        self.received.keys().copied().collect()
    }

    /// The connection is gone: no acknowledgement of it is owed; what QoS 2 knows stays.
    pub fn connection_lost(&mut self) {
        self.first_token += self.acks.len() as u64;
        self.acks.clear();
        self.unacknowledged_qos1 = 0;
        for state in self.received.values_mut() {
            if let Received::Releasing { asked } = state {
                *asked = false;
            }
        }
    }

    fn await_outcome(&mut self, packet_id: PacketId, qos: QoS) -> PublishToken {
        let token = PublishToken(self.first_token + self.acks.len() as u64);
        self.acks.push_back(PendingAck {
            packet_id,
            qos,
            outcome: None,
        });
        token
    }

    fn index_of(&self, token: PublishToken) -> Option<usize> {
        let index = usize::try_from(token.0.checked_sub(self.first_token)?).ok()?;
        (index < self.acks.len()).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> PacketId {
        PacketId::new(n).expect("not zero")
    }

    fn new_token(arrival: Arrival) -> PublishToken {
        match arrival {
            Arrival::New(token) => token,
            other => panic!("expected a new message, got {other:?}"),
        }
    }

    #[test]
    fn acknowledgements_leave_in_order_of_arrival() {
        let mut inbound = Inbound::default();
        let first = new_token(inbound.arrived(id(1), QoS::AtLeastOnce));
        let second = new_token(inbound.arrived(id(2), QoS::AtLeastOnce));
        inbound.handle_outcome(second, PublishOutcome::accepted());
        assert_eq!(inbound.next_ready(), None);
        inbound.handle_outcome(first, PublishOutcome::accepted());
        assert_eq!(inbound.next_ready().map(|ack| ack.packet_id), Some(id(1)));
        assert_eq!(inbound.next_ready().map(|ack| ack.packet_id), Some(id(2)));
        assert_eq!(inbound.unacknowledged(), 0);
    }

    #[test]
    fn qos2_duplicate_is_never_new_until_released() {
        let mut inbound = Inbound::default();
        let token = new_token(inbound.arrived(id(7), QoS::ExactlyOnce));
        assert_eq!(inbound.arrived(id(7), QoS::ExactlyOnce), Arrival::AlreadyPending);
        inbound.handle_outcome(token, PublishOutcome::accepted());
        assert!(inbound.next_ready().is_some());
        assert_eq!(inbound.next_ready(), None);
        assert_eq!(inbound.arrived(id(7), QoS::ExactlyOnce), Arrival::AlreadyKnown);
        assert_eq!(inbound.release(id(7), false), Release::Known);
        assert_eq!(inbound.release(id(7), false), Release::Unknown);
        new_token(inbound.arrived(id(7), QoS::ExactlyOnce));
    }

    #[test]
    fn qos2_outcome_that_comes_after_reconnect_answers_the_resent_publish() {
        let mut inbound = Inbound::default();
        let token = new_token(inbound.arrived(id(7), QoS::ExactlyOnce));
        inbound.connection_lost();
        assert_eq!(inbound.arrived(id(7), QoS::ExactlyOnce), Arrival::AlreadyPending);
        inbound.handle_outcome(token, PublishOutcome::accepted());
        assert_eq!(inbound.next_ready().map(|ack| ack.packet_id), Some(id(7)));
        assert_eq!(inbound.arrived(id(7), QoS::ExactlyOnce), Arrival::AlreadyKnown);
    }

    #[test]
    fn refused_qos2_frees_its_packet_identifier() {
        let mut inbound = Inbound::default();
        let token = new_token(inbound.arrived(id(7), QoS::ExactlyOnce));
        inbound.handle_outcome(token, PublishOutcome::refused(ReasonCode::QuotaExceeded, "full"));
        assert_eq!(inbound.unacknowledged(), 1 - 1);
        new_token(inbound.arrived(id(7), QoS::ExactlyOnce));
    }
}
