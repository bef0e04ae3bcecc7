//! One subscriber that replays everything an ingest stored, and checks each event.

use std::time::Duration;

use rewindmq::types::QoS;

use crate::connection::Connection;
use crate::error::BenchError;
use crate::events::{Events, Seen};
use crate::measure::measure;
use crate::receive::{receive_all, receive_surplus};
use crate::row::Row;
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
    let mut seen = Seen::of_replay(&args.events);
    let replay = replay(&mut connection, qos, &mut seen);
    let (in_vain, usage) = measure(args.target.pid, args.target.timeout(), replay).await?;
    receive_surplus(&mut connection, &mut seen).await?;
    connection.close().await?;
    let scenario = format!("replay first on #, QoS {}, one subscriber", args.qos);
    Ok(Row::new(
        scenario,
        seen.received(),
        &usage.without(in_vain),
        seen.faults(),
    ))
}

async fn replay(connection: &mut Connection, qos: QoS, seen: &mut Seen) -> Result<Duration, BenchError> {
    let replay = vec![("replay".to_owned(), "first".to_owned())];
    connection.subscribe("#", qos, replay).await?;
    receive_all(connection, seen).await
}
