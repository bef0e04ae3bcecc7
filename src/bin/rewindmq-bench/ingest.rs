//! Many publishers at QoS 1, each with a window; every PUBACK must come in order and tell a sequence that nobody else got.

use std::collections::VecDeque;
use std::path::PathBuf;

use rewindmq::codec::{Ack, Packet};
use rewindmq::types::ReasonCode;
use tokio::task::JoinSet;

use crate::connection::{Connection, packet_id};
use crate::error::BenchError;
use crate::events::{Events, Payload};
use crate::faults::Faults;
use crate::measure::{disk_bytes, measure};
use crate::table::Row;
use crate::target::Target;

/// What to publish, and to whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    events: Events,
    /// Events that a publisher has in flight at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// The broker's data folder, to see what an event takes on disk
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Publishes all events and waits for all PUBACKs.
///
/// # Errors
/// If the broker refuses something or cannot be measured.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    let disk_before = disk_bytes(&args.data)?;
    let mut publishers = Vec::new();
    for index in 0..args.events.publishers {
        publishers.push(Publisher::open(args, index).await?);
    }
    let (acknowledged, usage) = measure(args.target.pid, args.target.timeout(), publish(publishers)).await?;
    let disk = disk_bytes(&args.data)?.saturating_sub(disk_before);
    let scenario = format!(
        "ingest, stored, QoS 1, {} B, {} channels, {} publishers, window {}",
        args.events.payload, args.events.channels, args.events.publishers, args.window
    );
    let mut row = Row::new(
        scenario,
        args.events.messages,
        &usage,
        check(&args.events, &acknowledged),
    );
    row.disk_bytes_per_message = Some(disk as f64 / args.events.messages as f64);
    Ok(row)
}

/// An event that was acknowledged: its channel and the sequence that it got there.
type Acknowledged = (u64, u64);

async fn publish(publishers: Vec<Publisher>) -> Result<Vec<Acknowledged>, BenchError> {
    let mut tasks = JoinSet::new();
    for publisher in publishers {
        tasks.spawn(publisher.run());
    }
    let mut all = Vec::new();
    while let Some(one) = tasks.join_next().await {
        all.extend(one??);
    }
    Ok(all)
}

struct Publisher {
    connection: Connection,
    events: Events,
    window: usize,
    index: u64,
}

impl Publisher {
    async fn open(args: &Args, index: u64) -> Result<Self, BenchError> {
        Ok(Self {
            connection: Connection::open(args.target.broker, &format!("publisher-{index}")).await?,
            events: args.events.clone(),
            window: usize::from(args.window),
            index,
        })
    }

    async fn run(mut self) -> Result<Vec<Acknowledged>, BenchError> {
        let topics = self.events.topics();
        let mut payload = Payload::new(self.events.payload);
        let mut numbers = self.events.numbers_of(self.index);
        let mut sent = 0;
        let mut in_flight = InFlight::default();
        loop {
            let room = self.window - in_flight.channels.len();
            for number in numbers.by_ref().take(room) {
                let channel = self.events.channel_of(number);
                payload.put(&topics[channel as usize], number, sent, &mut self.connection)?;
                in_flight.channels.push_back(channel);
                sent += 1;
            }
            if in_flight.channels.is_empty() {
                self.connection.close().await?;
                return Ok(in_flight.acknowledged);
            }
            self.connection
                .turn("PUBACKs", |packet, _| in_flight.handle(&packet))
                .await?;
        }
    }
}

/// The channels of what was sent and not yet acknowledged, oldest first.
#[derive(Default)]
struct InFlight {
    channels: VecDeque<u64>,
    acknowledged: Vec<Acknowledged>,
}

impl InFlight {
    /// A PUBACK must be for the oldest in flight [MQTT-4.6.0-2].
    fn handle(&mut self, packet: &Packet<'_>) -> Result<(), BenchError> {
        let expected = packet_id(self.acknowledged.len() as u64);
        let due = match packet {
            Packet::PubAck(ack) if ack.packet_id == expected => self.channels.pop_front().map(|channel| (ack, channel)),
            _ => None,
        };
        let (ack, channel) = due.ok_or_else(|| BenchError::unexpected(format!("PUBACK {expected}"), packet))?;
        if ack.reason != ReasonCode::Success && ack.reason != ReasonCode::NoMatchingSubscribers {
            return Err(BenchError::Refused {
                what: "an event",
                reason: ack.reason,
            });
        }
        let sequence = sequence(ack).ok_or_else(|| BenchError::unexpected("PUBACK with es-seq", packet))?;
        self.acknowledged.push((channel, sequence));
        Ok(())
    }
}

fn sequence(ack: &Ack) -> Option<u64> {
    let (_, text) = ack.user_properties.iter().find(|(name, _)| name == "es-seq")?;
    text.parse().ok()
}

/// Every channel's sequences must be 1 to its count, each once.
fn check(events: &Events, acknowledged: &[Acknowledged]) -> Faults {
    let mut seen: Vec<Vec<bool>> = events
        .counts()
        .into_iter()
        .map(|count| vec![false; count as usize])
        .collect();
    let mut faults = Faults {
        lost: events.messages - acknowledged.len() as u64,
        ..Faults::default()
    };
    for (channel, sequence) in acknowledged {
        let index = (*sequence as usize).wrapping_sub(1);
        match seen[*channel as usize].get_mut(index) {
            Some(taken) if *taken => faults.duplicated += 1,
            Some(taken) => *taken = true,
            None => faults.out_of_order += 1,
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: Events = Events {
        messages: 3,
        channels: 1,
        publishers: 1,
        payload: 8,
    };

    #[test]
    fn sequences_must_be_dense_and_given_once() {
        assert!(check(&EVENTS, &[(0, 2), (0, 1), (0, 3)]).is_none());
        assert_eq!(check(&EVENTS, &[(0, 1), (0, 1), (0, 2)]).duplicated, 1);
        assert_eq!(check(&EVENTS, &[(0, 1), (0, 2), (0, 4)]).out_of_order, 1);
        assert_eq!(check(&EVENTS, &[(0, 1), (0, 2)]).lost, 1);
    }

    #[test]
    fn a_puback_out_of_turn_is_refused() {
        let mut in_flight = InFlight::default();
        in_flight.channels.extend([0, 0]);
        let ack = Ack::new(packet_id(1), ReasonCode::Success);
        assert!(in_flight.handle(&Packet::PubAck(ack)).is_err());
    }
}
