//! Clients that connect, wait for the CONNACK and leave, a few side by side.

use std::net::SocketAddr;

use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::error::BenchError;
use crate::faults::Faults;
use crate::measure::measure;
use crate::row::Row;
use crate::target::Target;

/// How many connects.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub target: Target,
    /// Connects in all
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    connects: u64,
}

/// Connects and leaves until all are done.
///
/// # Errors
/// If the broker refuses one.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    let ((), usage) = measure(args.target.pid, args.target.timeout(), connect_all(args)).await?;
    let scenario = format!("CONNECT, CONNACK, DISCONNECT, {AT_A_TIME} at a time");
    Ok(Row::new(scenario, args.connects, &usage, Faults::default()))
}

async fn connect_all(args: &Args) -> Result<(), BenchError> {
    let mut tasks = JoinSet::new();
    for first in 0..AT_A_TIME {
        tasks.spawn(connect_some(args.target.broker, first, args.connects));
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}

async fn connect_some(broker: SocketAddr, first: u64, connects: u64) -> Result<(), BenchError> {
    for index in (first..connects).step_by(AT_A_TIME as usize) {
        let connection = Connection::open(broker, &format!("connect-{index}")).await?;
        connection.leave().await?;
    }
    Ok(())
}

const AT_A_TIME: u64 = 20;
