//! `rewindmq inspect`: which folder is looked at, and in which form it is told.

use std::path::PathBuf;

use crate::store::StoreError;

/// What is looked at, and how it is told.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct InspectArgs {
    /// Data folder
    #[arg(value_name = "DATA_DIR")]
    pub data: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Leave out the check of every page, which reads nearly all of the store; on a damaged store this may crash
    #[arg(long)]
    pub quick: bool,
    /// The most lines of each list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub limit: u32,
}

/// Tells what a data folder holds, as text or as one JSON object.
pub fn inspect(args: &InspectArgs) -> Result<String, StoreError> {
    let report = crate::inspect::inspect(&args.data, args.limit as usize, !args.quick)?;
    if args.json {
        let text = serde_json::to_string_pretty(&report).expect("a report has only names as keys");
        return Ok(text + "\n");
    }
    Ok(report.to_string())
}
