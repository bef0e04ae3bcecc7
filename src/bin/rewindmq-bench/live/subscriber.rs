//! One subscriber of a live scenario: checks every delivery against what was published, and acknowledges it.

use std::rc::Rc;

use bytes::{BufMut, BytesMut};
use rewindmq::types::Version;

use super::ledger::Ledger;
use super::tape::{Tape, tag};
use crate::error::BenchError;
use crate::frame::{Frame, PUBLISH, malformed};
use crate::wire::Wire;

/// A subscriber whose subscriptions are made.
#[derive(Debug)]
pub struct Subscriber {
    /// Its connection.
    pub wire: Wire,
    /// What it must know to check.
    pub checks: Checks,
}

/// What a subscriber must know to check deliveries.
#[derive(Debug)]
pub struct Checks {
    /// Version of the connection.
    pub version: Version,
    /// Whether others get a part of the messages.
    pub shares: bool,
    /// What each publisher sends.
    pub tapes: Rc<Vec<Tape>>,
    /// By publisher: the number that must come next, or the least that may.
    pub next: Vec<u64>,
    /// The account of all.
    pub ledger: Rc<Ledger>,
}

impl Subscriber {
    /// Receives until it is dropped.
    pub async fn run(mut self) -> Result<(), BenchError> {
        loop {
            let read = self.wire.transfer().await;
            if read.map_err(BenchError::io("the connection of a subscriber"))? == 0 {
                return Err(malformed("the end before all messages"));
            }
            let (unread, output) = self.wire.split();
            let used = self.checks.take(unread, output)?;
            self.wire.consume(used);
        }
    }
}

impl Checks {
    /// Takes all whole packets and says how many bytes they were.
    fn take(&mut self, unread: &[u8], output: &mut BytesMut) -> Result<usize, BenchError> {
        let now = self.ledger.now();
        let mut used = 0;
        while let Some(frame) = Frame::cut(&unread[used..])? {
            used += frame.bytes.len();
            if frame.kind() != PUBLISH {
                return Err(malformed("another packet than PUBLISH"));
            }
            let parts = frame.publish(self.version)?;
            if let Some((_, id)) = parts.packet_id {
                output.put_slice(&[PUBACK_FIRST, 2]);
                output.put_u16(id);
            }
            let sent = tag(parts.payload).filter(|(publisher, number)| {
                let tape = self.tapes.get(*publisher);
                tape.is_some_and(|tape| tape.is(*number, parts.topic, parts.payload))
            });
            let Some((publisher, number)) = sent else {
                self.ledger.faults.borrow_mut().altered += 1;
                continue;
            };
            self.follow(publisher, number);
            if number >= self.next[publisher] {
                self.next[publisher] = number + 1;
                if self.ledger.arrived(publisher, number, now) {
                    continue;
                }
            }
            self.ledger.faults.borrow_mut().duplicated += 1;
        }
        Ok(used)
    }

    /// Each number must follow the one before; who shares may miss those of others.
    fn follow(&self, publisher: usize, number: u64) {
        if number > self.next[publisher] && !self.shares {
            self.ledger.faults.borrow_mut().out_of_order += 1;
        }
    }
}

const PUBACK_FIRST: u8 = 0x40;
