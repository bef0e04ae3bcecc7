//! `rewindmq backup`: which store is copied where, and what is said about it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use super::ops::{Progress, show_bytes};
use super::{Args, load};
use crate::config::{ConfigErrors, Durability};
use crate::store::{StoreError, copied_bytes, copy_store};

/// What is copied, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct BackupArgs {
    /// Where the copy goes: a folder that is empty or not there yet
    #[arg(value_name = "DIR")]
    pub into: PathBuf,
    /// Data folder that is copied [default: that of the configuration]
    #[arg(short, long, value_name = "DATA")]
    pub data: Option<PathBuf>,
    /// Configuration file [default: none, or what REWINDMQ_CONFIG names]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The configuration is faulty.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The store is in the memory of the broker.
    #[error("store.durability is \"memory\": there is nothing on disk to back up")]
    Memory,
    /// The store cannot be read, or the copy cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies the store; says what was written, with a line break at the end.
pub fn backup(
    args: &BackupArgs,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<String, BackupError> {
    let configured = Args {
        config: args.config.clone(),
        data: args.data.clone(),
        // Who may come in does not matter here: the broker may have been given the flag.
        anonymous: true,
        ..Args::default()
    };
    let store = load(&configured, variables)?.store;
    if store.durability == Durability::Memory {
        return Err(BackupError::Memory);
    }
    let start = Instant::now();
    let into = args.into.clone();
    let progress = Progress::told(move || format!("copied {}", show_bytes(copied_bytes(&into) as f64)));
    let bytes = copy_store(&store.path, &args.into)?;
    drop(progress);
    Ok(format!(
        "copied {} to {}: {bytes} bytes in {:.1} s\n",
        store.path.display(),
        args.into.display(),
        start.elapsed().as_secs_f64()
    ))
}
