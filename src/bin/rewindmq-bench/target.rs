//! Which broker a scenario loads, and where its row goes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::label::{Label, Side};

/// What every scenario needs to know.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Address of the broker
    #[arg(long, value_name = "ADDR")]
    pub broker: SocketAddr,
    /// Process of the broker, whose CPU time and memory are read
    #[arg(long)]
    pub pid: u32,
    /// File to which the row is appended
    #[arg(long, value_name = "FILE")]
    pub rows: PathBuf,
    /// Speak TLS with a broker whose certificate this authority signed (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls: Option<PathBuf>,
    /// Short name of the row, by which programs are compared
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Whose figures they are
    #[arg(long, value_enum, default_value = "rewindmq")]
    pub side: Side,
    /// Seconds after which the scenario is given up
    #[arg(long, value_name = "SECS", default_value_t = 300)]
    pub timeout: u64,
}

impl Target {
    /// By what the row is found, if it is compared.
    pub fn label(&self) -> Option<Label> {
        let key = self.key.clone()?;
        Some(Label { key, side: self.side })
    }

    /// How long the scenario may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}
