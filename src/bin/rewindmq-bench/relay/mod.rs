//! The floor: a relay that does as little as forwarding needs. It cuts packets, looks up their topic as it stands, and copies
//! them on. No checks, no wildcards, no limits, no second delivery: it is no broker.

mod outbox;
mod peer;
mod topics;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;

use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{LocalSet, spawn_local};

use crate::error::BenchError;
use crate::say;
use crate::wire::Wire;
use topics::Topics;

/// Where the relay listens.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address; port 0 takes any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// Relays on one thread until SIGTERM.
///
/// # Errors
/// If the address is taken.
pub fn run(args: &Args) -> Result<ExitCode, BenchError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::io("cannot start a runtime"))?;
    let served = LocalSet::new().block_on(&runtime, serve(args.listen));
    served.map_err(BenchError::io(format!("cannot relay on {}", args.listen)))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(address).await?;
    let text = format!("relay: listening address={}\n", listener.local_addr()?);
    say(io::stderr(), &text, ExitCode::SUCCESS);
    tokio::select! {
        result = accept(&listener) => result,
        _ = terminate.recv() => Ok(()),
    }
}

async fn accept(listener: &TcpListener) -> io::Result<()> {
    let topics = Rc::new(Topics::default());
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(peer::serve(Wire::new(stream, INPUT_BYTES)?, Rc::clone(&topics)));
    }
}

/// What one read takes at most, until a packet is larger.
const INPUT_BYTES: usize = 64 << 10;
