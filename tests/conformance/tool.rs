//! The program behind `scripts/conformance`: every case over TCP against a broker, a table, a score.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod client;
mod decode;
mod encode;
mod matching;
mod own_broker;
mod property;
mod report;
mod run;
mod script;
mod tcp;
mod text;
mod world;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use report::Row;
use rewindmq::config::Transport;
use tcp::Options;

/// Runs the project's conformance scripts against an MQTT broker and prints a score.
///
/// Ends with 0 if every case passed, with 1 if one failed, with 2 if the cases could not be run. The broker must let
/// anyone in without a user name, let everyone publish and subscribe, and have retained messages and QoS 2.
#[derive(Debug, Parser)]
#[command(name = "conformance", version)]
struct Arguments {
    /// The broker to ask, HOST:PORT; without it RewindMQ is started.
    address: Option<String>,
    /// Only the cases whose names contain this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Writes every case with its outcome to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The broker is RewindMQ: hold it to its own promises as well.
    #[arg(long)]
    own: bool,
    /// How many cases run at the same time.
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    parallel: usize,
    /// Cases in which more time goes by are left out, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    max_time: u64,
    /// How long something is waited for, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    patience: u64,
    /// How long a broker gets before it is asked whether something came that should not have, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 50)]
    settle: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let rows = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|fault| format!("no runtime: {fault}"))
        .and_then(|runtime| runtime.block_on(rows(&arguments)));
    let told = rows.and_then(|rows| tell(&arguments, &rows).map(|()| rows));
    match told {
        Ok(rows) if report::Count::of(&rows).failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(why) => {
            eprintln!("conformance: {why}");
            ExitCode::from(2)
        }
    }
}

fn tell(arguments: &Arguments, rows: &[Row]) -> Result<(), String> {
    println!("{}\n{}", report::failures(rows), report::summary(rows));
    let Some(path) = &arguments.json else { return Ok(()) };
    std::fs::write(path, report::json(rows)).map_err(|fault| format!("{}: {fault}", path.display()))
}

async fn rows(arguments: &Arguments) -> Result<Vec<Row>, String> {
    let mut cases = script::load_all()?;
    if let Some(part) = &arguments.only {
        cases.retain(|case| case.id.contains(part));
    }
    let Some(address) = &arguments.address else {
        let server = own_broker::start(Transport::Tcp)
            .await
            .map_err(|fault| fault.to_string())?;
        let rows = tcp::run_all(&cases, &options(arguments, server.addresses()[0], true)).await;
        server.stop().await;
        return Ok(rows);
    };
    let address = resolve(address)?;
    let reached = tokio::net::TcpStream::connect(address).await;
    reached.map_err(|fault| format!("no broker at {address}: {fault}"))?;
    Ok(tcp::run_all(&cases, &options(arguments, address, arguments.own)).await)
}

fn options(arguments: &Arguments, address: SocketAddr, own: bool) -> Options {
    Options {
        address,
        own,
        parallel: arguments.parallel.max(1),
        max_time: Duration::from_secs(arguments.max_time),
        settle: Duration::from_millis(arguments.settle),
        patience: Duration::from_secs(arguments.patience),
    }
}

fn resolve(address: &str) -> Result<SocketAddr, String> {
    let mut found = address
        .to_socket_addrs()
        .map_err(|fault| format!("{address}: {fault}; write HOST:PORT"))?;
    found.next().ok_or_else(|| format!("{address} has no address"))
}
