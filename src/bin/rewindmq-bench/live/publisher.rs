//! One publisher of a live scenario: sends what its pace allows and accounts for every PUBACK.

use std::rc::Rc;
use std::time::Duration;

use rewindmq::types::QoS;
use tokio::time::{Instant, MissedTickBehavior};

use super::ledger::Ledger;
use super::scenario::{Pace, Scenario};
use super::tape::Tape;
use crate::connection::packet_id;
use crate::error::BenchError;
use crate::frame::{Frame, PUBACK, malformed};
use crate::wire::Wire;

/// A publisher that is connected.
#[derive(Debug)]
pub struct Publisher {
    /// Its number.
    pub index: usize,
    /// Its connection.
    pub wire: Wire,
    /// Its packets.
    pub tape: Tape,
    /// How many messages it sends.
    pub messages: u64,
    /// The account of all.
    pub ledger: Rc<Ledger>,
}

impl Publisher {
    /// Sends everything; keeps the connection, so that its end is not measured.
    pub async fn run(mut self, scenario: &'static Scenario) -> Result<Wire, BenchError> {
        match scenario.pace {
            Pace::PerSecond(rate) => self.run_at(rate / scenario.shape.publishers() as u64).await?,
            Pace::Window(window) => self.run_acknowledged(window).await?,
            Pace::One if scenario.qos > QoS::AtMostOnce => self.run_acknowledged(1).await?,
            Pace::Batches(batch, _) => self.run_in_batches(batch).await?,
            Pace::One => self.run_in_batches(1).await?,
        }
        Ok(self.wire)
    }

    async fn run_in_batches(&mut self, batch: u64) -> Result<(), BenchError> {
        let mut sent = 0;
        while sent < self.messages {
            while sent + batch > self.ledger.limit(self.index) {
                self.ledger.moved(self.index).await;
            }
            self.put(sent, sent + batch);
            sent += batch;
            self.wire.write().await.map_err(broken)?;
        }
        Ok(())
    }

    async fn run_acknowledged(&mut self, window: u64) -> Result<(), BenchError> {
        let (mut sent, mut acknowledged) = (0, 0);
        while acknowledged < self.messages {
            let limit = self.ledger.limit(self.index).min(acknowledged + window);
            let to = limit.min(self.messages);
            if to > sent {
                self.put(sent, to);
                sent = to;
            } else if sent == acknowledged {
                self.ledger.moved(self.index).await;
                continue;
            }
            if self.wire.transfer().await.map_err(broken)? == 0 {
                return Err(malformed("no PUBACK but the end"));
            }
            acknowledged = self.take_acks(acknowledged)?;
        }
        Ok(())
    }

    async fn run_at(&mut self, per_second: u64) -> Result<(), BenchError> {
        let start = Instant::now();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut sent = 0;
        while sent < self.messages {
            ticks.tick().await;
            let due = start.elapsed().as_micros() as u64 * per_second / 1_000_000 + 1;
            let to = due.min(self.messages).min(self.ledger.limit(self.index));
            self.put(sent, to);
            sent = to;
            self.wire.write().await.map_err(broken)?;
        }
        Ok(())
    }

    fn put(&mut self, from: u64, to: u64) {
        self.tape.put(from, to, &mut self.wire.output);
        self.ledger.sent(self.index, from, to);
    }

    /// PUBACKs come in order [MQTT-4.6.0-2].
    fn take_acks(&mut self, mut acknowledged: u64) -> Result<u64, BenchError> {
        let unread = self.wire.unread();
        let mut used = 0;
        while let Some(frame) = Frame::cut(&unread[used..])? {
            let expected = packet_id(acknowledged).get().to_be_bytes();
            let refused = frame.body.get(2).is_some_and(|reason| *reason >= 0x80);
            if frame.kind() != PUBACK || !frame.body.starts_with(&expected) || refused {
                return Err(malformed("another packet than the next PUBACK"));
            }
            acknowledged += 1;
            used += frame.bytes.len();
        }
        self.wire.consume(used);
        Ok(acknowledged)
    }
}

fn broken(source: std::io::Error) -> BenchError {
    BenchError::io("the connection of a publisher")(source)
}

const TICK: Duration = Duration::from_millis(1);
