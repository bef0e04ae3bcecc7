//! The client as a publisher, and what it may count on: no acknowledgement before the outcome, QoS 2 exactly once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rewindmq::codec::{Ack, Packet, Publish};
use rewindmq::session::PublishToken;
use rewindmq::types::{PacketId, QoS, ReasonCode};

use super::script::Script;

/// How far the broker is with a QoS 2 message, by its packet identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted {
    Pending(PublishToken),
    Committed,
}

/// How far the client is with a message of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mine {
    Sent(QoS),
    /// The connection was lost before the acknowledgement: it is to be sent again.
    Unanswered(QoS),
    /// PUBREC came, PUBREL is due.
    Received,
    /// PUBREL was sent.
    Released,
}

#[derive(Default)]
pub struct Publisher {
    mine: BTreeMap<PacketId, Mine>,
    /// QoS 1 messages of this connection in the order they came, and whether they were accepted.
    arrived: VecDeque<(PublishToken, PacketId, Option<bool>)>,
    accepted: BTreeMap<PacketId, Accepted>,
    /// Packet identifiers of QoS 2 that were ever committed, and those that were refused and not yet told.
    ever_committed: BTreeSet<PacketId>,
    refused: Vec<PacketId>,
    waiting: VecDeque<PublishToken>,
    last_token: Option<PublishToken>,
    /// Identifiers whose PUBREL is on its way to disk.
    pub releasing: Vec<PacketId>,
}

/// A packet of the client whose bytes are its own.
pub enum Said {
    Publish {
        topic: String,
        alias: Option<u16>,
        qos: QoS,
        id: Option<PacketId>,
        dup: bool,
    },
    Release(PacketId),
}

impl Said {
    pub fn with(&self, work: impl FnOnce(Packet<'_>)) {
        match self {
            Self::Release(id) => work(Packet::PubRel(Ack::new(*id, ReasonCode::Success))),
            Self::Publish {
                topic,
                alias,
                qos,
                id,
                dup,
            } => work(Packet::Publish(Publish {
                dup: *dup,
                qos: *qos,
                retain: false,
                topic,
                packet_id: *id,
                topic_alias: *alias,
                expiry_secs: None,
                properties: &[],
                has_hop_properties: false,
                has_user_properties: false,
                payload: b"x",
            })),
        }
    }
}

impl Publisher {
    /// The next packet of the client: something new, something again, or PUBREL.
    pub fn packet(&mut self, script: &mut Script, honest: bool) -> Option<Said> {
        let (choice, number) = (script.byte(), script.byte());
        let id = PacketId::new(u16::from(number % 6) + 1)?;
        let qos = QoS::from_bits(choice % 3)?;
        if !honest {
            return Some(match choice & 4 {
                0 => publish(qos, id, choice, choice & 8 != 0),
                _ => Said::Release(id),
            });
        }
        match self.mine.get(&id).copied() {
            None => {
                if qos != QoS::AtMostOnce {
                    self.mine.insert(id, Mine::Sent(qos));
                }
                Some(publish(qos, id, choice & 0xF8, false))
            }
            Some(Mine::Unanswered(qos)) => {
                self.mine.insert(id, Mine::Sent(qos));
                Some(publish(qos, id, 0, true))
            }
            Some(Mine::Received) => {
                self.mine.insert(id, Mine::Released);
                Some(Said::Release(id))
            }
            Some(Mine::Sent(_) | Mine::Released) => None,
        }
    }

    /// The session asks the broker to publish.
    pub fn is_new(&mut self, publish: Option<(PacketId, QoS)>, token: Option<PublishToken>) {
        let Some((id, qos)) = publish else {
            assert_eq!(token, None, "QoS 0 has no outcome");
            return;
        };
        let token = token.expect("QoS 1 and 2 have an outcome");
        assert!(self.last_token < Some(token), "a token twice");
        self.last_token = Some(token);
        self.waiting.push_back(token);
        if qos == QoS::AtLeastOnce {
            self.arrived.push_back((token, id, None));
            return;
        }
        let earlier = self.accepted.insert(id, Accepted::Pending(token));
        assert_eq!(earlier, None, "QoS 2 message {id} is published twice");
    }

    /// The session knows what to do about a PUBLISH by itself. One of QoS 1 under an identifier of QoS 2 is refused when its
    /// turn has come.
    pub fn is_known(&mut self, id: PacketId, qos: QoS) {
        assert!(self.accepted.contains_key(&id), "{qos:?} message {id} is lost");
        if qos == QoS::AtLeastOnce {
            self.arrived.push_back((NOBODY, id, Some(false)));
        }
    }

    /// One of the messages whose outcome is awaited.
    pub fn next_token(&mut self, choice: u8) -> Option<PublishToken> {
        let index = usize::from(choice) % self.waiting.len().max(1);
        self.waiting.remove(index)
    }

    pub fn tokens(&self) -> usize {
        self.waiting.len()
    }

    pub fn outcome(&mut self, token: PublishToken, good: bool) {
        if let Some(entry) = self.arrived.iter_mut().find(|entry| entry.0 == token) {
            entry.2 = Some(good);
        }
        let of_token = |state: &Accepted| *state == Accepted::Pending(token);
        let Some((&id, _)) = self.accepted.iter().find(|(_, state)| of_token(state)) else {
            return;
        };
        if good {
            self.accepted.insert(id, Accepted::Committed);
            self.ever_committed.insert(id);
        } else {
            self.accepted.remove(&id);
            self.refused.push(id);
        }
    }

    /// PUBACK.
    pub fn acknowledged(&mut self, ack: &Ack) {
        let (token, id, good) = self.arrived.pop_front().expect("a PUBLISH that waits for PUBACK");
        assert_eq!(id, ack.packet_id, "order of PUBACK");
        let is_refused = ack.reason == ReasonCode::PacketIdentifierInUse;
        assert_eq!(
            token == NOBODY,
            is_refused,
            "PUBACK {id}: whether the identifier was in use"
        );
        if is_refused {
            return;
        }
        assert_eq!(
            good,
            Some(!ack.reason.is_error()),
            "PUBACK {id} before its outcome, or another"
        );
        self.mine.remove(&id);
    }

    /// PUBREC.
    pub fn received(&mut self, ack: &Ack, honest: bool) {
        let id = ack.packet_id;
        if ack.reason.is_error() {
            let refused = self.refused.iter().position(|refused| *refused == id);
            self.refused
                .remove(refused.unwrap_or_else(|| panic!("PUBREC {id} refuses what was not refused")));
            self.mine.remove(&id);
            return;
        }
        let committed = match honest {
            true => self.accepted.get(&id) == Some(&Accepted::Committed),
            false => self.ever_committed.contains(&id),
        };
        assert!(committed, "PUBREC {id} before its commit");
        self.mine.insert(id, Mine::Received);
    }

    /// A session that is not durable has forgotten an identifier with its PUBREL.
    pub fn forget(&mut self, id: PacketId) {
        if self.accepted.get(&id) == Some(&Accepted::Committed) {
            self.accepted.remove(&id);
        }
    }

    /// PUBCOMP.
    pub fn completed(&mut self, id: PacketId) {
        self.mine.remove(&id);
    }

    /// The oldest identifier whose PUBREL was on its way to disk has been taken off it, or could not be.
    pub fn released(&mut self, gone: bool) -> Option<PacketId> {
        if self.releasing.is_empty() {
            return None;
        }
        let id = self.releasing.remove(0);
        if gone {
            self.accepted.remove(&id);
        }
        Some(id)
    }

    pub fn connection_lost(&mut self) {
        self.arrived.clear();
        self.refused.clear();
        for state in self.mine.values_mut() {
            *state = match *state {
                Mine::Sent(qos) => Mine::Unanswered(qos),
                Mine::Released => Mine::Received,
                other => other,
            };
        }
    }

    /// The broker is killed. A message that was on its way may be on disk, with its identifier, or not at all. Gives the
    /// identifiers on disk.
    pub fn broker_killed(&mut self, arrived: u8) -> Vec<PacketId> {
        let mut number = 0u32;
        self.accepted.retain(|_, state| {
            let pending = matches!(state, Accepted::Pending(_));
            number += u32::from(pending);
            *state = Accepted::Committed;
            !pending || arrived.rotate_left(number) & 1 == 0
        });
        for id in std::mem::take(&mut self.releasing) {
            if arrived & 0x80 == 0 {
                self.accepted.remove(&id);
            }
        }
        self.ever_committed.extend(self.accepted.keys());
        self.waiting.clear();
        self.last_token = None;
        self.accepted.keys().copied().collect()
    }

    /// Nothing is left that the broker owes an answer.
    pub fn is_answered(&self) {
        assert!(self.arrived.is_empty(), "no PUBACK for {:?}", self.arrived);
        let sent = self.mine.iter().filter(|(_, state)| matches!(state, Mine::Sent(_)));
        assert_eq!(sent.collect::<Vec<_>>(), [], "no acknowledgement");
    }
}

/// Of a message that the broker is never told of.
const NOBODY: PublishToken = PublishToken(u64::MAX);

fn publish(qos: QoS, id: PacketId, choice: u8, dup: bool) -> Said {
    let alias = (choice & 0x30 == 0x30).then_some(u16::from(choice >> 6));
    Said::Publish {
        topic: if choice & 0x38 == 0x38 { "" } else { "t" }.to_owned(),
        alias,
        qos,
        id: (qos != QoS::AtMostOnce).then_some(id),
        dup,
    }
}
