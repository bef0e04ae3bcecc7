//! How long a broker that was killed takes from its start until it has answered a CONNECT.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::connection::Connection;
use crate::error::BenchError;
use crate::faults::Faults;
use crate::measure::since_start;
use crate::row::Row;
use crate::sessions::{Kept, Sessions, Step};
use crate::target::Target;

/// What the broker comes back to, and since when.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub target: Target,
    /// Messages that were published before it was killed
    #[arg(long, value_name = "N")]
    messages: u64,
    /// Why it kept them
    #[arg(long, value_enum)]
    kept: Kept,
    /// Durable sessions that are away
    #[arg(long, value_name = "N")]
    sessions: u64,
    /// When the broker was started again, microseconds since 1970
    #[arg(long, value_name = "TIME")]
    since: u64,
}

/// Tries to connect until the broker answers.
///
/// # Errors
/// If the broker refuses the client, has ended, or does not answer in time.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    let sessions = Sessions {
        step: Step::Restart,
        kept: args.kept,
        absent: args.sessions,
    };
    let limit = args.target.timeout();
    let connection = tokio::time::timeout(limit, connect(args))
        .await
        .map_err(|_| BenchError::Timeout(limit))??;
    let started = UNIX_EPOCH + Duration::from_micros(args.since);
    let elapsed = SystemTime::now().duration_since(started).unwrap_or_default();
    let usage = since_start(args.target.pid, elapsed)?;
    connection.close().await?;
    let scenario = sessions.scenario("restart after kill -9");
    let mut row = Row::new(scenario, sessions.backlog(args.messages), &usage, Faults::default());
    row.sessions = Some(sessions);
    Ok(row)
}

async fn connect(args: &Args) -> Result<Connection, BenchError> {
    loop {
        match Connection::open(args.target.broker, "restart").await {
            Err(BenchError::Io { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => {
                // Fails once the broker has ended: nobody will ever answer.
                since_start(args.target.pid, Duration::ZERO)?;
                tokio::time::sleep(RETRY).await;
            }
            result => return result,
        }
    }
}

/// How long to wait before the next try; what the figure may be too large by.
const RETRY: Duration = Duration::from_millis(1);
