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

type Tables = [Option<Rows>; Table::ALL.len()];

/// An open environment.
pub(super) struct Environment {
    // A folder of another age may lack some; none lacks when it was opened for writing.
    tables: Tables,
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
            tables: Tables::default(),
            env,
            path: path.to_owned(),
        })
    }

    /// Opens the tables that are there; refuses another format.
    pub(super) fn open_tables(&mut self) -> Result<(), StoreError> {
        self.tables = self.opened_tables().map_err(|error| self.opening(error))?;
        self.check_format()
    }

    /// Makes the tables that are not there yet, and the format's row: all of them or none.
    pub(super) fn make_tables(&mut self) -> Result<(), StoreError> {
        if self.tables.iter().any(Option::is_none) {
            self.tables = self.made_tables().map_err(|error| self.opening(error))?;
        }
        Ok(())
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

    fn opened_tables(&self) -> heed::Result<Tables> {
        let txn = self.env.read_txn()?;
        let opened = self.env.open_databases_and_commit(txn, |opener, txn| {
            let mut tables = [None; Table::ALL.len()];
            for table in Table::ALL {
                tables[table as usize] = opener.open_database::<Bytes, Bytes>(txn, Some(table.name()))?;
            }
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(tables))
        })?;
        Ok(opened.commit().expect("the closure never aborts"))
    }

    fn made_tables(&self) -> heed::Result<Tables> {
        let txn = self.env.write_txn()?;
        let made = self.env.create_databases_and_commit(txn, |opener, txn| {
            let mut tables = [None; Table::ALL.len()];
            for table in Table::ALL {
                tables[table as usize] = Some(opener.create_database::<Bytes, Bytes>(txn, Some(table.name()))?);
            }
            let meta = tables[Table::Meta as usize].expect("it was just made");
            if meta.get(txn, FORMAT_KEY)?.is_none() {
                meta.put(txn, FORMAT_KEY, &FORMAT.to_be_bytes())?;
            }
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(tables))
        })?;
        Ok(made.commit().expect("the closure never aborts"))
    }

    fn check_format(&self) -> Result<(), StoreError> {
        // Tables and format are made together: a folder has both or neither.
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
