//! Rows of the same scenario side by side, with ratios, and the goals. Writes the JSON and the plot if they are wanted.

mod goals;
mod plot;
mod sides;

use std::fs;
use std::path::PathBuf;

use crate::error::BenchError;
use crate::json::json;
use crate::row;

/// Where the rows are, and where they go.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File with the rows
    #[arg(long, value_name = "FILE")]
    rows: PathBuf,
    /// Write all figures as JSON here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw CPU time for each message here, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// The tables of all rows with short names.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(args: &Args) -> Result<String, BenchError> {
    let rows = row::read(&args.rows)?;
    let json = json(&rows);
    if let Some(file) = &args.json {
        fs::write(file, &json).map_err(BenchError::io(format!("cannot write {}", file.display())))?;
    }
    if let Some(file) = &args.svg {
        let svg = plot::svg(&json)?;
        fs::write(file, svg).map_err(BenchError::io(format!("cannot write {}", file.display())))?;
    }
    Ok(format!("{}\n{}", sides::table(&rows), goals::table(&rows)))
}
