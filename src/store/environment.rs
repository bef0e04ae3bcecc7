//! An LMDB environment with its tables, open for writing or for reading only. Knows neither who may write nor when.

use std::ops::Bound;
use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, RoTxn, WithoutTls};

use super::data_file::DATA_FILE;
use super::rows::FORMAT_KEY;
use super::{FORMAT, Snapshot, StoreError, Table, Visit, Visitor};

/// A table's rows.
pub(super) type Rows = Database<'static, Bytes, Bytes>;

/// An open environment.
pub(super) struct Environment {
    // A folder of another age may lack some; none lacks when it was opened for writing.
    tables: [Option<Rows>; Table::ALL.len()],
    env: Env<WithoutTls>,
    path: PathBuf,
}

/// How to open one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) map_bytes: usize,
    pub(super) max_readers: u32,
    pub(super) flags: EnvFlags,
}

/// All tables as they stood at one instant.
pub(super) struct Instant<'e> {
    environment: &'e Environment,
    txn: RoTxn<'e, WithoutTls>,
}

impl Environment {
    /// Opens what lies in a folder; no table is open yet.
    #[allow(unsafe_code)]
    pub(super) fn open(path: &Path, access: Access) -> Result<Self, StoreError> {
        let mut builder = EnvOpenOptions::new().read_txn_without_tls();
        builder
            .map_size(access.map_bytes)
            .max_readers(access.max_readers)
            .max_dbs(MAX_TABLES);
        // SAFETY: READ_ONLY takes nothing away from safety. NO_SYNC leaves the order of the pages to the operating system,
        // which shows every process the newest of each; what it means for a file after a power loss the configuration says.
        unsafe { builder.flags(access.flags) };
        // SAFETY: the map may change under a reader only if somebody writes to the file without LMDB's locks. The folder's
        // lock lets one process write, this process opens a folder once, and LMDB's own locking orders everything else.
        let env = unsafe { builder.open(path) }.map_err(|error| store_error(path, "opening the store", error))?;
        Ok(Self {
            tables: [None; Table::ALL.len()],
            env,
            path: path.to_owned(),
        })
    }

    /// Opens the tables that are there; refuses another format.
    pub(super) fn open_tables(&mut self) -> Result<(), StoreError> {
        for table in Table::ALL {
            self.tables[table as usize] = self.open_table(table)?;
        }
        self.check_format()
    }

    /// Makes the tables that are not there yet, and the format's row.
    pub(super) fn make_tables(&mut self) -> Result<(), StoreError> {
        for table in Table::ALL {
            if self.tables[table as usize].is_none() {
                self.tables[table as usize] = Some(self.make_table(table)?);
            }
        }
        self.write_format().map_err(|error| self.opening(error))
    }

    /// The environment itself.
    pub(super) fn env(&self) -> &Env<WithoutTls> {
        &self.env
    }

    /// The rows of a table; `None` if the folder has no such table.
    pub(super) fn rows(&self, table: Table) -> Option<Rows> {
        self.tables[table as usize]
    }

    /// Everything as it stands now.
    pub(super) fn instant(&self) -> Result<Instant<'_>, StoreError> {
        let txn = self.env.read_txn();
        Ok(Instant {
            environment: self,
            txn: txn.map_err(|error| self.error("reading from the store", error))?,
        })
    }

    /// What an error of LMDB means here.
    pub(super) fn error(&self, what: &'static str, error: heed::Error) -> StoreError {
        store_error(&self.path, what, error)
    }

    fn opening(&self, error: heed::Error) -> StoreError {
        self.error("opening the tables", error)
    }

    fn open_table(&self, table: Table) -> Result<Option<Rows>, StoreError> {
        let open = || {
            let txn = self.env.read_txn()?;
            let opened = self
                .env
                .open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                    let rows = opener.open_database::<Bytes, Bytes>(txn, Some(table.name()))?;
                    Ok(CommitOrAbort::<_, ()>::Commit(rows))
                })?;
            Ok(opened.commit().flatten())
        };
        open().map_err(|error| self.opening(error))
    }

    fn make_table(&self, table: Table) -> Result<Rows, StoreError> {
        let make = || {
            let txn = self.env.write_txn()?;
            self.env
                .create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                    let rows = opener.create_database::<Bytes, Bytes>(txn, Some(table.name()))?;
                    Ok(CommitOrAbort::<_, ()>::Commit(rows))
                })
        };
        let made = make().map_err(|error| self.opening(error))?;
        Ok(made.commit().expect("the closure never aborts"))
    }

    fn check_format(&self) -> Result<(), StoreError> {
        // A crash between making the tables and writing the format leaves none; there is no record then.
        let instant = self.instant()?;
        let Some(found) = instant.value(Table::Meta, FORMAT_KEY)? else {
            return Ok(());
        };
        let found = found.try_into().map_or(u32::MAX, u32::from_be_bytes);
        if found == FORMAT {
            return Ok(());
        }
        Err(StoreError::Format {
            path: self.path.clone(),
            found,
            known: FORMAT,
        })
    }

    fn write_format(&self) -> heed::Result<()> {
        let meta = self.rows(Table::Meta).expect("every table was made");
        let mut txn = self.env.write_txn()?;
        if meta.get(&txn, FORMAT_KEY)?.is_some() {
            return Ok(());
        }
        meta.put(&mut txn, FORMAT_KEY, &FORMAT.to_be_bytes())?;
        txn.commit()
    }
}

impl Instant<'_> {
    /// How many rows a table has, and how many bytes its pages take.
    pub(super) fn size(&self, table: Table) -> Result<(u64, u64), StoreError> {
        let Some(rows) = self.environment.rows(table) else {
            return Ok((0, 0));
        };
        let stat = rows
            .stat(&self.txn)
            .map_err(|error| self.environment.error("measuring the store", error))?;
        let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        Ok((stat.entries as u64, pages as u64 * u64::from(stat.page_size)))
    }

    fn failed(&self, error: heed::Error) -> StoreError {
        self.environment.error("reading from the store", error)
    }

    fn walk<'t>(
        &'t self,
        rows: impl Iterator<Item = heed::Result<(&'t [u8], &'t [u8])>>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), StoreError> {
        for row in rows {
            let (key, value) = row.map_err(|error| self.failed(error))?;
            if visit(key, value)? == Visit::Enough {
                break;
            }
        }
        Ok(())
    }
}

impl Snapshot for Instant<'_> {
    fn value(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        let Some(rows) = self.environment.rows(table) else {
            return Ok(None);
        };
        rows.get(&self.txn, key).map_err(|error| self.failed(error))
    }

    fn upwards(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StoreError> {
        let Some(rows) = self.environment.rows(table) else {
            return Ok(());
        };
        // LMDB refuses to look for an empty key.
        let start = if from.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Included(from)
        };
        let rows = rows.range(&self.txn, &(start, Bound::Unbounded));
        self.walk(rows.map_err(|error| self.failed(error))?, visit)
    }

    fn downwards(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StoreError> {
        let Some(rows) = self.environment.rows(table) else {
            return Ok(());
        };
        let rows = rows.rev_range(&self.txn, &(Bound::Unbounded, Bound::Included(from)));
        self.walk(rows.map_err(|error| self.failed(error))?, visit)
    }
}

fn store_error(path: &Path, what: &'static str, error: heed::Error) -> StoreError {
    match error {
        heed::Error::Io(error) => StoreError::io(format!("{what} in {}", path.display()), error),
        heed::Error::Mdb(MdbError::MapFull) => StoreError::Full,
        heed::Error::Mdb(
            error @ (MdbError::Corrupted
            | MdbError::PageNotFound
            | MdbError::Invalid
            | MdbError::VersionMismatch
            | MdbError::Incompatible),
        ) => StoreError::Damaged {
            path: path.join(DATA_FILE),
            what: error.to_string(),
        },
        other => StoreError::io(
            format!("{what} in {}", path.display()),
            std::io::Error::other(other.to_string()),
        ),
    }
}

/// Tables that this version or a later one may have.
const MAX_TABLES: u32 = 32;
