//! The `rewindmq-bench` program: one measured scenario per call against a broker that runs. Starts and stops no broker.

mod compare;
mod connection;
mod connects;
mod drain;
mod error;
mod events;
mod faults;
mod frame;
mod idle;
mod ingest;
mod json;
mod label;
mod latency;
mod live;
mod measure;
mod pairs;
mod receive;
mod relay;
mod replay;
mod restart;
mod row;
mod sessions;
mod stream;
mod table;
mod target;
mod wire;
mod writefile;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use error::BenchError;
use row::Row;
use target::Target;

#[derive(Parser)]
#[command(
    name = "rewindmq-bench",
    version,
    about = "Load and measure a running MQTT 5 broker; scripts/bench drives it"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Publish numbered events at QoS 1 from many clients, with durable sessions away or not, and account for every PUBACK
    Ingest(ingest::Args),
    /// Replay the events of an ingest from the first on, and check each one
    Replay(replay::Args),
    /// Live QoS 1 from publishers to subscribers, each pair on a topic of its own
    Pairs(pairs::Args),
    /// Live traffic of one of the scenarios that brokers are compared by
    Live(live::Args),
    /// Open many connections that have nothing to do
    Idle(idle::Args),
    /// Connect and leave, again and again
    Connects(connects::Args),
    /// Write batches to a file: the floor of the store
    Writefile(writefile::Args),
    /// Be the floor: forward packets and do nothing else
    Relay(relay::Args),
    /// Wait for a broker that was killed and started again
    Restart(restart::Args),
    /// Come back with a durable session that was away during an ingest, and check each event
    Drain(drain::Args),
    /// Print the rows that the other commands wrote as one table
    Table(table::Args),
    /// Print the rows with short names side by side, and which goals are met
    Compare(compare::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => say(io::stderr(), &format!("rewindmq-bench: {error}\n"), ExitCode::FAILURE),
    }
}

fn run(command: Command) -> Result<ExitCode, BenchError> {
    match command {
        Command::Ingest(args) => scenario(&args.target, ingest::run(&args)),
        Command::Replay(args) => scenario(&args.target, replay::run(&args)),
        Command::Pairs(args) => scenario(&args.target, pairs::run(&args)),
        Command::Live(args) => scenario(&args.target, live::run(&args)),
        Command::Idle(args) => scenario(&args.target, idle::run(&args)),
        Command::Connects(args) => scenario(&args.target, connects::run(&args)),
        Command::Writefile(args) => block_on(writefile::run(&args))?.map(|()| ExitCode::SUCCESS),
        Command::Relay(args) => relay::run(&args),
        Command::Restart(args) => scenario(&args.target, restart::run(&args)),
        Command::Drain(args) => scenario(&args.target, drain::run(&args)),
        Command::Table(args) => Ok(say(io::stdout(), &table::run(&args)?, ExitCode::SUCCESS)),
        Command::Compare(args) => Ok(say(io::stdout(), &compare::run(&args)?, ExitCode::SUCCESS)),
    }
}

/// Runs a scenario and keeps its row; a message that went wrong is a failure.
fn scenario(target: &Target, run: impl Future<Output = Result<Row, BenchError>>) -> Result<ExitCode, BenchError> {
    if let Some(authority) = &target.tls {
        stream::use_tls(authority)?;
    }
    let mut row = block_on(run)??;
    row.label = target.label();
    if target.tls.is_some() {
        row.scenario.push_str(", TLS");
    }
    row::append(&target.rows, &row)?;
    if row.faults.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let text = format!("rewindmq-bench: {}: {}\n", row.scenario, row.faults);
    Ok(say(io::stderr(), &text, ExitCode::FAILURE))
}

/// Everything runs on one thread.
fn block_on<T>(run: impl Future<Output = T>) -> Result<T, BenchError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::io("cannot start a runtime"))?;
    Ok(runtime.block_on(run))
}

/// Writes a text; one that cannot be written is a failure.
fn say(mut to: impl Write, text: &str, code: ExitCode) -> ExitCode {
    to.write_all(text.as_bytes()).map_or(ExitCode::FAILURE, |()| code)
}
