//! Pairs of a publisher and a subscriber, each pair on a topic of its own: the plain live path at QoS 1.

use bytes::BytesMut;
use rewindmq::codec::Packet;
use rewindmq::types::QoS;
use tokio::task::JoinSet;

use crate::connection::{Connection, packet_id};
use crate::error::BenchError;
use crate::events::Payload;
use crate::faults::Faults;
use crate::measure::measure;
use crate::receive::acknowledge;
use crate::row::Row;
use crate::target::Target;

/// How many pairs, and what they send.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Messages of all pairs together
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    messages: u64,
    /// Pairs
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pairs: u64,
    /// Bytes of payload
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = clap::value_parser!(u32).range(8..=16 << 20))]
    payload: u32,
    /// Messages that a publisher has in flight at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
}

/// What to send, and to whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    options: Options,
}

/// Sends all messages and receives them.
///
/// # Errors
/// If the broker refuses something or cannot be measured.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    let options = &args.options;
    let mut pairs = Vec::new();
    for index in 0..options.pairs {
        pairs.push(Pair::open(args, index).await?);
    }
    let (faults, usage) = measure(args.target.pid, args.target.timeout(), exchange(pairs)).await?;
    let scenario = format!(
        "live, not stored, QoS 1, {} B, {} pairs, window {}",
        options.payload, options.pairs, options.window
    );
    let messages = options.messages / options.pairs * options.pairs;
    Ok(Row::new(scenario, messages, &usage, faults))
}

struct Pair {
    topic: String,
    publisher: Connection,
    subscriber: Connection,
    options: Options,
}

impl Pair {
    async fn open(args: &Args, index: u64) -> Result<Self, BenchError> {
        let topic = format!("bench/pair/{index:05}");
        let broker = args.target.broker;
        let mut subscriber = Connection::open(broker, &format!("pair-subscriber-{index}")).await?;
        subscriber.subscribe(&topic, QoS::AtLeastOnce, Vec::new()).await?;
        Ok(Self {
            topic,
            publisher: Connection::open(broker, &format!("pair-publisher-{index}")).await?,
            subscriber,
            options: args.options.clone(),
        })
    }
}

async fn exchange(pairs: Vec<Pair>) -> Result<Faults, BenchError> {
    let mut publishers = JoinSet::new();
    let mut subscribers = JoinSet::new();
    for pair in pairs {
        let count = pair.options.messages / pair.options.pairs;
        publishers.spawn(publish(pair.publisher, pair.topic, count, pair.options));
        subscribers.spawn(subscribe(pair.subscriber, count));
    }
    while let Some(result) = publishers.join_next().await {
        result??;
    }
    let mut faults = Faults::default();
    while let Some(result) = subscribers.join_next().await {
        let one = result??;
        faults.lost += one.lost;
        faults.duplicated += one.duplicated;
        faults.out_of_order += one.out_of_order;
        faults.altered += one.altered;
    }
    Ok(faults)
}

async fn publish(mut connection: Connection, topic: String, count: u64, options: Options) -> Result<(), BenchError> {
    let mut payload = Payload::new(options.payload);
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < count {
        while sent < count && sent - acknowledged < u64::from(options.window) {
            payload.put(&topic, sent, sent, &mut connection)?;
            sent += 1;
        }
        connection
            .turn("PUBACKs", |packet, _| {
                let expected = packet_id(acknowledged);
                match packet {
                    Packet::PubAck(ack) if ack.packet_id == expected && !ack.reason.is_error() => acknowledged += 1,
                    other => return Err(BenchError::unexpected(format!("PUBACK {expected}"), &other)),
                }
                Ok(())
            })
            .await?;
    }
    connection.close().await
}

async fn subscribe(mut connection: Connection, count: u64) -> Result<Faults, BenchError> {
    let mut received = Received::default();
    while received.next < count {
        let turn = connection.turn("messages", |packet, output| received.handle(&packet, output));
        match turn.await {
            Err(BenchError::Stalled { .. }) => {
                received.faults.lost += count - received.next;
                break;
            }
            result => result?,
        }
    }
    connection.close().await?;
    Ok(received.faults)
}

/// What the subscriber of a pair has got: the numbers must come as 0, 1, 2 ...
#[derive(Default)]
struct Received {
    next: u64,
    faults: Faults,
}

impl Received {
    fn handle(&mut self, packet: &Packet<'_>, output: &mut BytesMut) -> Result<(), BenchError> {
        let Packet::Publish(publish) = packet else {
            return Err(BenchError::unexpected("PUBLISH", packet));
        };
        match Payload::number(publish.payload) {
            Some(number) if number >= self.next => {
                self.faults.lost += number - self.next;
                self.next = number + 1;
            }
            Some(_) => self.faults.duplicated += 1,
            None => self.faults.altered += 1,
        }
        acknowledge(publish, output)
    }
}
