//! One subscriber that replays everything an ingest stored, and checks each event.

use std::time::Duration;

use bytes::BytesMut;
use rewindmq::codec::{self, Ack, Packet};
use rewindmq::types::{QoS, ReasonCode, Version};

use crate::connection::Connection;
use crate::error::BenchError;
use crate::events::{Events, Seen};
use crate::measure::measure;
use crate::table::Row;
use crate::target::Target;

/// What was stored, and how to ask for it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    events: Events,
    /// QoS of the subscription
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
}

/// Subscribes to `#` from the first event on and receives all of them, and nothing more.
///
/// # Errors
/// If the broker refuses the subscription or cannot be measured.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    let qos = QoS::from_bits(args.qos).expect("the command line takes 0 and 1");
    let client_id = format!("replay-qos{}", args.qos);
    let mut connection = Connection::open(args.target.broker, &client_id).await?;
    let mut seen = Seen::new(&args.events);
    let replay = receive_all(&mut connection, qos, &mut seen, args.events.messages);
    let ((), usage) = measure(args.target.pid, args.target.timeout(), replay).await?;
    // Whatever comes now came too often.
    let surplus = turn(&mut connection, &mut seen);
    if let Ok(result) = tokio::time::timeout(SURPLUS_WAIT, surplus).await {
        result?;
    }
    connection.close().await?;
    let scenario = format!("replay first on #, QoS {}, one subscriber", args.qos);
    Ok(Row::new(scenario, args.events.messages, &usage, seen.faults()))
}

async fn receive_all(connection: &mut Connection, qos: QoS, seen: &mut Seen, messages: u64) -> Result<(), BenchError> {
    let replay = vec![("replay".to_owned(), "first".to_owned())];
    connection.subscribe("#", qos, replay).await?;
    while seen.received() < messages {
        match turn(connection, seen).await {
            // What is missing is lost: the row says so.
            Err(BenchError::Stalled { .. }) => break,
            result => result?,
        }
    }
    Ok(())
}

async fn turn(connection: &mut Connection, seen: &mut Seen) -> Result<(), BenchError> {
    connection
        .turn("events", |packet, output| receive(&packet, seen, output))
        .await
}

fn receive(packet: &Packet<'_>, seen: &mut Seen, output: &mut BytesMut) -> Result<(), BenchError> {
    let Packet::Publish(publish) = packet else {
        return Err(BenchError::unexpected("PUBLISH", packet));
    };
    seen.receive(publish);
    acknowledge(publish, output)
}

/// Adds the PUBACK of a delivery to the batch, if it wants one.
///
/// # Errors
/// None in practice: a plain PUBACK can always be said.
pub fn acknowledge(publish: &codec::Publish<'_>, output: &mut BytesMut) -> Result<(), BenchError> {
    if let Some(packet_id) = publish.packet_id {
        let ack = Packet::PubAck(Ack::new(packet_id, ReasonCode::Success));
        codec::encode(&ack, Version::V5, output)?;
    }
    Ok(())
}

/// How long to look for deliveries behind the last one that is due.
const SURPLUS_WAIT: Duration = Duration::from_millis(300);
