//! One durable session that comes back and takes everything that was published while it was away.

use std::time::Duration;

use crate::connection::Connection;
use crate::error::BenchError;
use crate::events::{Events, Seen};
use crate::measure::measure;
use crate::receive::{receive_all, receive_surplus};
use crate::row::Row;
use crate::sessions::{Kept, Sessions, Step, resume};
use crate::target::Target;

/// What was published, and which session comes back.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    events: Events,
    /// Why the broker kept the events
    #[arg(long, value_enum)]
    kept: Kept,
    /// Durable sessions that were away
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    sessions: u64,
    /// Which of them comes back, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    session: u64,
}

/// Connects with the session and receives all events, and nothing more. A session that the broker does not know has
/// lost all of them.
///
/// # Errors
/// If the broker refuses the client or cannot be measured.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    let sessions = Sessions {
        step: Step::Drain,
        kept: args.kept,
        absent: args.sessions,
    };
    let mut seen = Seen::of_session(&args.events);
    let (returned, usage) = measure(args.target.pid, args.target.timeout(), drain(args, &mut seen)).await?;
    let Returned {
        mut connection,
        session_present,
        in_vain,
    } = returned;
    receive_surplus(&mut connection, &mut seen).await?;
    connection.leave().await?;
    let mut scenario = sessions.scenario(&format!("drain of session {}", args.session));
    if !session_present {
        scenario.push_str(", which the broker does not know");
    }
    let mut row = Row::new(scenario, seen.received(), &usage.without(in_vain), seen.faults());
    row.sessions = Some(sessions);
    Ok(row)
}

struct Returned {
    connection: Connection,
    session_present: bool,
    in_vain: Duration,
}

async fn drain(args: &Args, seen: &mut Seen) -> Result<Returned, BenchError> {
    let (mut connection, session_present) = resume(args.target.broker, args.session).await?;
    let in_vain = if session_present {
        receive_all(&mut connection, seen).await?
    } else {
        Duration::ZERO
    };
    Ok(Returned {
        connection,
        session_present,
        in_vain,
    })
}
