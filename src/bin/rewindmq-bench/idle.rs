//! Many connections with one subscription each and nothing to do: what they take of the broker's memory.

use rewindmq::types::{QoS, Version};

use crate::connection::Connection;
use crate::error::BenchError;
use crate::faults::Faults;
use crate::measure::{anonymous_bytes, measure};
use crate::row::Row;
use crate::target::Target;

/// How many connections.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub target: Target,
    /// Connections; the process and the broker need a file descriptor for each
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    connections: u64,
}

/// Opens all of them, and sees that each is there at the end.
///
/// # Errors
/// If the broker refuses one or closes one.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    let before = anonymous_bytes(args.target.pid)?;
    let (mut connections, usage) = measure(args.target.pid, args.target.timeout(), open(args)).await?;
    let bytes = anonymous_bytes(args.target.pid)?.saturating_sub(before);
    for connection in &mut connections {
        connection.ping().await?;
    }
    let scenario = format!("{} idle connections, one subscription each", args.connections);
    let mut row = Row::new(scenario, args.connections, &usage, Faults::default());
    row.bytes_each = Some(bytes as f64 / args.connections as f64);
    Ok(row)
}

async fn open(args: &Args) -> Result<Vec<Connection>, BenchError> {
    let mut connections = Vec::new();
    for index in 0..args.connections {
        let name = format!("idle-{index}");
        let mut connection = Connection::open_with(args.target.broker, Version::V5, &name, INPUT_BYTES).await?;
        let filter = format!("bench/idle/{index:06}");
        connection.subscribe(&filter, QoS::AtMostOnce, Vec::new()).await?;
        connections.push(connection);
    }
    Ok(connections)
}

const INPUT_BYTES: usize = 512;
