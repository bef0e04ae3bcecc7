//! What can go wrong with a store, said so that an operator knows what to do.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use super::Table;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the address space of the store is used up; what was to be written is not there, all else is.
    #[error("the store is full")]
    Full,
    /// Reading or writing failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A row does not say what it must.
    #[error("table {table}, key {key}: {what}; the store is damaged: restore the data folder from a backup", table = .table.name())]
    Corrupt {
        /// The table of the row.
        table: Table,
        /// Its key, hexadecimal.
        key: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The files of the store cannot be used at all.
    #[error("{} is damaged ({what}): restore it from a backup, or move it away to start with an empty store", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// There is no store to read.
    #[error("{} holds no store: no file {} is in it", .path.display(), super::data_file::DATA_FILE)]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A copy would mix with what is there.
    #[error("{} is not empty: name a folder that is empty or not there yet", .path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Another process, or this one, has the data folder open.
    #[error("the data folder {} is in use by process {holder}: stop it, or give this one another folder", .path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// The process that holds it, or "unknown".
        holder: String,
    },
    /// The data folder was written by a version that this one does not know.
    #[error(
        "the data folder {} has format {found}, this version knows format {known}: start the version that wrote it, or give this one another folder",
        .path.display()
    )]
    Format {
        /// The data folder.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The format this version writes.
        known: u32,
    },
}

impl StoreError {
    pub(crate) fn corrupt(table: Table, key: &[u8], what: &'static str) -> Self {
        let mut text = String::with_capacity(key.len() * 2);
        for byte in key {
            write!(text, "{byte:02x}").expect("writing into a string does not fail");
        }
        Self::Corrupt { table, key: text, what }
    }

    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull || source.kind() == io::ErrorKind::QuotaExceeded {
            return Self::Full;
        }
        let what = what.into();
        Self::Io { what, source }
    }
}
