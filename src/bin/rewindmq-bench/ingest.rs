//! Many publishers at QoS 1, each with a window; every PUBACK must come in order and, of what is stored, tell a
//! sequence that nobody else got.

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
use crate::row::Row;
use crate::sessions::{Kept, Sessions, Step, park};
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
    /// Why the broker keeps the events
    #[arg(long, value_enum, default_value = "stored")]
    kept: Kept,
    /// Durable sessions that subscribe to all events and are away when they come [default: not measured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=100_000))]
    sessions: Option<u64>,
    /// The broker's data folder, to see what an event takes on disk
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Publishes all events and waits for all PUBACKs.
///
/// # Errors
/// If the broker refuses something or cannot be measured.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    let events = &args.events;
    park(args.target.broker, args.sessions.unwrap_or(0)).await?;
    let disk_before = disk_bytes(&args.data)?;
    let mut publishers = Vec::new();
    for index in 0..events.publishers {
        publishers.push(Publisher::open(args, index).await?);
    }
    let (acknowledged, usage) = measure(args.target.pid, args.target.timeout(), publish(publishers)).await?;
    let disk = disk_bytes(&args.data)?.saturating_sub(disk_before);
    let sessions = args.sessions.map(|absent| Sessions {
        step: Step::Ingest,
        kept: args.kept,
        absent,
    });
    let faults = check(events, args.kept, &acknowledged);
    let mut row = Row::new(scenario(args, sessions.as_ref()), events.messages, &usage, faults);
    row.disk_bytes_per_message = Some(disk as f64 / events.messages as f64);
    row.sessions = sessions;
    Ok(row)
}

fn scenario(args: &Args, sessions: Option<&Sessions>) -> String {
    match sessions {
        Some(sessions) => sessions.scenario("ingest"),
        None => format!(
            "ingest, stored, QoS 1, {} B, {} channels, {} publishers, window {}",
            args.events.payload, args.events.channels, args.events.publishers, args.window
        ),
    }
}

/// An event that was acknowledged: its channel and the sequence that it got there, if it is stored.
type Acknowledged = (u64, Option<u64>);

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
    kept: Kept,
    index: u64,
}

impl Publisher {
    async fn open(args: &Args, index: u64) -> Result<Self, BenchError> {
        Ok(Self {
            connection: Connection::open(args.target.broker, &format!("publisher-{index}")).await?,
            events: args.events.clone(),
            window: usize::from(args.window),
            kept: args.kept,
            index,
        })
    }

    async fn run(mut self) -> Result<Vec<Acknowledged>, BenchError> {
        let topics = self.events.topics();
        let mut payload = Payload::new(self.events.payload);
        let mut numbers = self.events.numbers_of(self.index);
        let mut sent = 0;
        let mut in_flight = InFlight::new(self.kept);
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
struct InFlight {
    kept: Kept,
    channels: VecDeque<u64>,
    acknowledged: Vec<Acknowledged>,
}

impl InFlight {
    fn new(kept: Kept) -> Self {
        Self {
            kept,
            channels: VecDeque::new(),
            acknowledged: Vec::new(),
        }
    }

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
        let sequence = sequence(ack);
        if self.kept == Kept::Stored && sequence.is_none() {
            return Err(BenchError::unexpected("PUBACK with es-seq", packet));
        }
        self.acknowledged.push((channel, sequence));
        Ok(())
    }
}

fn sequence(ack: &Ack) -> Option<u64> {
    let (_, text) = ack.user_properties.iter().find(|(name, _)| name == "es-seq")?;
    text.parse().ok()
}

/// Every event must be acknowledged; if they are stored, every channel's sequences must be 1 to its count, each once.
fn check(events: &Events, kept: Kept, acknowledged: &[Acknowledged]) -> Faults {
    let mut faults = Faults {
        lost: events.messages - acknowledged.len() as u64,
        ..Faults::default()
    };
    if kept == Kept::Held {
        return faults;
    }
    let mut seen: Vec<Vec<bool>> = events
        .counts()
        .into_iter()
        .map(|count| vec![false; count as usize])
        .collect();
    for (channel, sequence) in acknowledged {
        let index = sequence.map_or(0, |sequence| sequence as usize).wrapping_sub(1);
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

    fn check_stored(acknowledged: &[(u64, u64)]) -> Faults {
        let acknowledged: Vec<Acknowledged> = acknowledged
            .iter()
            .map(|(channel, seq)| (*channel, Some(*seq)))
            .collect();
        check(&EVENTS, Kept::Stored, &acknowledged)
    }

    #[test]
    fn sequences_must_be_dense_and_given_once() {
        assert!(check_stored(&[(0, 2), (0, 1), (0, 3)]).is_none());
        assert_eq!(check_stored(&[(0, 1), (0, 1), (0, 2)]).duplicated, 1);
        assert_eq!(check_stored(&[(0, 1), (0, 2), (0, 4)]).out_of_order, 1);
        assert_eq!(check_stored(&[(0, 1), (0, 2)]).lost, 1);
    }

    #[test]
    fn what_is_only_held_needs_a_puback_but_no_sequence() {
        assert!(check(&EVENTS, Kept::Held, &[(0, None); 3]).is_none());
        assert_eq!(check(&EVENTS, Kept::Held, &[(0, None); 2]).lost, 1);
        let plain = Packet::PubAck(Ack::new(packet_id(0), ReasonCode::Success));
        for kept in [Kept::Held, Kept::Stored] {
            let mut in_flight = InFlight::new(kept);
            in_flight.channels.push_back(0);
            assert_eq!(in_flight.handle(&plain).is_ok(), kept == Kept::Held);
        }
    }

    #[test]
    fn a_puback_out_of_turn_is_refused() {
        let mut in_flight = InFlight::new(Kept::Stored);
        in_flight.channels.extend([0, 0]);
        let ack = Ack::new(packet_id(1), ReasonCode::Success);
        assert!(in_flight.handle(&Packet::PubAck(ack)).is_err());
    }
}
