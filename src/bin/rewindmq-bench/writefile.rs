//! The floor of the store: writes messages in batches to a plain file, with fdatasync behind each batch.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::BenchError;
use crate::faults::Faults;
use crate::label::{Label, Side};
use crate::measure::{disk_bytes, measure};
use crate::row::{self, Row};

/// What is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Messages
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
    /// Messages of a batch
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    batch: u64,
    /// Bytes of payload
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    payload: u32,
    /// An empty folder for the file
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// File to which the row is appended
    #[arg(long, value_name = "FILE")]
    rows: PathBuf,
    /// Short name of the row, by which programs are compared
    #[arg(long, value_name = "NAME")]
    key: String,
}

/// Writes all of them and keeps the row.
///
/// # Errors
/// If the disk fails.
pub async fn run(args: &Args) -> Result<(), BenchError> {
    let ((), usage) = measure(std::process::id(), LIMIT, async { write(args) }).await?;
    let scenario = format!("bare file, batches of {} with fdatasync", args.batch);
    let mut row = Row::new(scenario, args.messages, &usage, Faults::default());
    row.disk_bytes_per_message = Some(disk_bytes(&args.data)? as f64 / args.messages as f64);
    row.label = Some(Label {
        key: args.key.clone(),
        side: Side::File,
    });
    row::append(&args.rows, &row)
}

fn write(args: &Args) -> Result<(), BenchError> {
    let path = args.data.join("floor");
    let fault = || BenchError::io(format!("cannot write {}", path.display()));
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(&path)
        .map_err(fault())?;
    let record = vec![b'r'; HEAD_BYTES + args.payload as usize];
    let mut batch = Vec::new();
    let mut written = 0;
    while written < args.messages {
        let count = args.batch.min(args.messages - written);
        batch.clear();
        (0..count).for_each(|_| batch.extend_from_slice(&record));
        file.write_all(&batch).map_err(fault())?;
        file.sync_data().map_err(fault())?;
        written += count;
    }
    Ok(())
}

/// What a record has besides its payload: position, channel, sequence, time, topic.
const HEAD_BYTES: usize = 64;
const LIMIT: Duration = Duration::from_secs(300);
