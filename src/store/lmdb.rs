//! The store on disk: LMDB, one map that is never resized, every write synced before it returns.

use std::fs::{File, OpenOptions};
use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, MdbError, PutFlags, RoTxn, RwTxn, WithoutTls};

use super::folder::Folder;
use super::rows::FORMAT_KEY;
use super::{Change, Changes, FORMAT, Reading, Snapshot, Store, StoreError, Table, Visit, Visitor};

/// How to open the store.
#[derive(Clone, Debug)]
pub struct LmdbOptions {
    /// The address space to set aside, bytes; the store never grows beyond it. Costs nothing on disk.
    pub map_bytes: usize,
    /// The most snapshots that can be open at once.
    pub max_readers: u32,
}

impl Default for LmdbOptions {
    fn default() -> Self {
        Self {
            map_bytes: 1 << 40,
            max_readers: 1024,
        }
    }
}

/// A store in a data folder, which it holds until it is dropped.
pub struct LmdbStore {
    tables: Tables,
    env: Env<WithoutTls>,
    map_bytes: u64,
    // Below the environment: fields are dropped in order, and the folder is given up last.
    folder: Folder,
}

type Rows = Database<'static, Bytes, Bytes>;
type Tables = [Rows; Table::ALL.len()];

struct Instant<'s> {
    store: &'s LmdbStore,
    txn: RoTxn<'s, WithoutTls>,
}

impl LmdbStore {
    /// Opens the store in a data folder and makes both unless they are there.
    pub fn open(path: &Path, options: &LmdbOptions) -> Result<Self, StoreError> {
        let folder = Folder::open(path)?;
        let env = open_env(&folder, options)?;
        check_length(&env, &folder)?;
        let tables = open_tables(&env, &folder)?;
        Ok(Self {
            tables,
            env,
            map_bytes: options.map_bytes as u64,
            folder,
        })
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn rows(&self, table: Table) -> Rows {
        self.tables[table as usize]
    }

    fn apply(&self, txn: &mut RwTxn<'_>, table: Table, change: Change<'_>) -> heed::Result<()> {
        let rows = self.rows(table);
        match change {
            Change::Append(key, value) => rows.put_with_flags(txn, PutFlags::APPEND, key, value),
            Change::Put(key, value) => rows.put(txn, key, value),
            Change::Delete(key) => rows.delete(txn, key).map(|_| ()),
        }
    }

    fn error(&self, what: &'static str, error: heed::Error) -> StoreError {
        store_error(self.folder.path(), what, error)
    }
}

impl Store for LmdbStore {
    fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let failed = |error| self.error("writing to the store", error);
        // An error on the way drops the transaction, which undoes it.
        let mut txn = self.env.write_txn().map_err(failed)?;
        for (table, change) in changes.iter() {
            self.apply(&mut txn, table, change).map_err(failed)?;
        }
        txn.commit()
            .map_err(|error| self.error("committing to the store", error))
    }

    fn read(&self, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        let txn = self
            .env
            .read_txn()
            .map_err(|error| self.error("reading from the store", error))?;
        reading(&Instant { store: self, txn })
    }

    fn used_bytes(&self) -> Result<u64, StoreError> {
        let failed = |error| self.error("measuring the store", error);
        let txn = self.env.read_txn().map_err(failed)?;
        let mut bytes = 0;
        for rows in &self.tables {
            let stat = rows.stat(&txn).map_err(failed)?;
            let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
            bytes += pages as u64 * u64::from(stat.page_size);
        }
        Ok(bytes)
    }

    fn capacity_bytes(&self) -> u64 {
        self.map_bytes
    }
}

impl Instant<'_> {
    fn failed(&self, error: heed::Error) -> StoreError {
        self.store.error("reading from the store", error)
    }
}

impl Snapshot for Instant<'_> {
    fn value(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        self.store
            .rows(table)
            .get(&self.txn, key)
            .map_err(|error| self.failed(error))
    }

    fn upwards(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StoreError> {
        let rows = self.store.rows(table);
        // LMDB refuses to look for an empty key.
        let start = if from.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Included(from)
        };
        let iter = rows
            .range(&self.txn, &(start, Bound::Unbounded))
            .map_err(|error| self.failed(error))?;
        for row in iter {
            let (key, value) = row.map_err(|error| self.failed(error))?;
            if visit(key, value)? == Visit::Enough {
                break;
            }
        }
        Ok(())
    }

    fn downwards(&self, table: Table, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), StoreError> {
        let rows = self.store.rows(table);
        let iter = rows
            .rev_range(&self.txn, &(Bound::Unbounded, Bound::Included(from)))
            .map_err(|error| self.failed(error))?;
        for row in iter {
            let (key, value) = row.map_err(|error| self.failed(error))?;
            if visit(key, value)? == Visit::Enough {
                break;
            }
        }
        Ok(())
    }
}

#[allow(unsafe_code)]
fn open_env(folder: &Folder, options: &LmdbOptions) -> Result<Env<WithoutTls>, StoreError> {
    let mut builder = EnvOpenOptions::new().read_txn_without_tls();
    builder
        .map_size(options.map_bytes)
        .max_readers(options.max_readers)
        .max_dbs(MAX_TABLES);
    // SAFETY: the map may change under a reader only if somebody else writes to the file. The folder's lock keeps other
    // processes out, this process opens a folder once, and LMDB's own locking orders everything else.
    unsafe { builder.open(folder.path()) }.map_err(|error| store_error(folder.path(), "opening the store", error))
}

/// Refuses a file that was cut off, since reading beyond its end would kill the process.
fn check_length(env: &Env<WithoutTls>, folder: &Folder) -> Result<(), StoreError> {
    let path = folder.path().join(DATA_FILE);
    let failed = |error| StoreError::io(format!("opening {}", path.display()), error);
    let page = env.unnamed_database_stat().page_size;
    let needed = (env.info().last_page_number as u64 + 1) * u64::from(page);
    let file: File = OpenOptions::new().write(true).open(&path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length < needed / 4 * 3 {
        return Err(StoreError::Damaged {
            path,
            what: format!("{length} bytes long where {needed} are needed"),
        });
    }
    // The last pages may never have been written if they were free; the file may end before them.
    if length < needed {
        file.set_len(needed).map_err(failed)?;
    }
    Ok(())
}

fn open_tables(env: &Env<WithoutTls>, folder: &Folder) -> Result<Tables, StoreError> {
    let failed = |error| store_error(folder.path(), "opening the tables", error);
    let mut tables = Vec::with_capacity(Table::ALL.len());
    // The format is looked at before anything is written.
    if let Some(meta) = open_table(env, Table::Meta).map_err(failed)? {
        let txn = env.read_txn().map_err(failed)?;
        check_format(meta.get(&txn, FORMAT_KEY).map_err(failed)?, folder)?;
    }
    for table in Table::ALL {
        tables.push(create_table(env, table).map_err(failed)?);
    }
    let tables = Tables::try_from(tables).expect("one for each table");
    write_format(env, tables[Table::Meta as usize]).map_err(failed)?;
    Ok(tables)
}

fn open_table(env: &Env<WithoutTls>, table: Table) -> heed::Result<Option<Rows>> {
    let txn = env.read_txn()?;
    let opened = env.open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
        let rows = opener.open_database::<Bytes, Bytes>(txn, Some(table.name()))?;
        Ok(CommitOrAbort::<_, ()>::Commit(rows))
    })?;
    Ok(opened.commit().flatten())
}

fn create_table(env: &Env<WithoutTls>, table: Table) -> heed::Result<Rows> {
    let txn = env.write_txn()?;
    let created = env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
        let rows = opener.create_database::<Bytes, Bytes>(txn, Some(table.name()))?;
        Ok(CommitOrAbort::<_, ()>::Commit(rows))
    })?;
    Ok(created.commit().expect("the closure never aborts"))
}

fn check_format(found: Option<&[u8]>, folder: &Folder) -> Result<(), StoreError> {
    // A crash between making the tables and writing the format leaves none; there is no record then.
    let Some(found) = found else { return Ok(()) };
    let found = found.try_into().map_or(u32::MAX, u32::from_be_bytes);
    if found == FORMAT {
        return Ok(());
    }
    Err(StoreError::Format {
        path: folder.path().to_owned(),
        found,
        known: FORMAT,
    })
}

fn write_format(env: &Env<WithoutTls>, meta: Rows) -> heed::Result<()> {
    let mut txn = env.write_txn()?;
    if meta.get(&txn, FORMAT_KEY)?.is_some() {
        return Ok(());
    }
    meta.put(&mut txn, FORMAT_KEY, &FORMAT.to_be_bytes())?;
    txn.commit()
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

const DATA_FILE: &str = "data.mdb";
/// Tables that this version or a later one may have.
const MAX_TABLES: u32 = 32;

#[cfg(test)]
#[path = "lmdb_tests.rs"]
mod tests;
