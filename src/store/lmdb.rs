//! The store on disk: LMDB, one map that is never resized. Every write is synced before it returns, or a little later.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use heed::{Env, EnvFlags, PutFlags, RwTxn, WithoutTls};

use super::data_file::{DATA_FILE, DataFile};
use super::environment::{Access, Environment};
use super::flusher::Flusher;
use super::folder::Folder;
use super::{Change, Changes, Disk, Reading, Store, StoreError, Table};

/// How to open the store.
#[derive(Clone, Debug)]
pub struct LmdbOptions {
    /// The address space to set aside, bytes; the store never grows beyond it. Costs nothing on disk.
    pub map_bytes: usize,
    /// The most snapshots that can be open at once.
    pub max_readers: u32,
    /// When what was written is forced to disk.
    pub syncing: Syncing,
}

/// When what was written is forced to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncing {
    /// Before a write returns.
    #[default]
    Always,
    /// At this interval, and when the store is closed. A crash of the operating system or a power loss in between takes
    /// what was written since, and as nothing orders the pages on their way to the disk, it may leave a file that cannot
    /// be read at all. The end of the process alone takes nothing.
    Every(Duration),
}

impl Default for LmdbOptions {
    fn default() -> Self {
        Self {
            map_bytes: 1 << 40,
            max_readers: 1024,
            syncing: Syncing::default(),
        }
    }
}

/// A store in a data folder, which it holds until it is dropped.
pub struct LmdbStore {
    // Fields are dropped in order: the last is forced to disk, the environment is closed, the folder is given up.
    flusher: Option<Flusher>,
    environment: Environment,
    map_bytes: u64,
    writes: AtomicU64,
    folder: Folder,
}

impl LmdbStore {
    /// Opens the store in a data folder and makes both unless they are there.
    pub fn open(path: &Path, options: &LmdbOptions) -> Result<Self, StoreError> {
        let mut folder = Folder::open(path)?;
        check_file(&folder)?;
        let mut environment = Environment::open(path, options.into())?;
        environment.open_tables()?;
        environment.make_tables()?;
        folder.holds_store()?;
        if options.syncing != Syncing::Always || folder.unsynced_since().is_some() {
            force(environment.env()).map_err(|error| StoreError::io("forcing the store to disk", error))?;
        }
        let flusher = match options.syncing {
            Syncing::Always => None,
            Syncing::Every(interval) => Some(flusher(&environment, interval)?),
        };
        folder.note_unsynced_since(flusher.as_ref().map(|_| system_start()))?;
        Ok(Self {
            flusher,
            environment,
            map_bytes: options.map_bytes as u64,
            writes: AtomicU64::new(0),
            folder,
        })
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A program that was killed while it copied or looked at the store would keep freed pages from being used for ever.
    fn forget_dead_readers(&self) {
        match self.environment.env().clear_stale_readers() {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "readers that were killed are forgotten"),
            Err(error) => {
                tracing::warn!(fault = %error, "readers that were killed may keep the store from using freed room")
            }
        }
    }

    fn apply(&self, txn: &mut RwTxn<'_>, table: Table, change: Change<'_>) -> heed::Result<()> {
        let rows = self.environment.rows(table).expect("every table was made");
        match change {
            Change::Append(key, value) => rows.put_with_flags(txn, PutFlags::APPEND, key, value),
            Change::Put(key, value) => rows.put(txn, key, value),
            Change::Delete(key) => rows.delete(txn, key).map(|_| ()),
        }
    }
}

impl Drop for LmdbStore {
    fn drop(&mut self) {
        let Some(mut flusher) = self.flusher.take() else { return };
        flusher.stop();
        let noted = flusher.check().and_then(|()| self.folder.note_unsynced_since(None));
        if let Err(error) = noted {
            tracing::warn!(fault = %error, "the store is checked at its next start if the system crashes before");
        }
    }
}

impl Store for LmdbStore {
    fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        self.flusher.as_ref().map_or(Ok(()), Flusher::check)?;
        let failed = |error| self.environment.error("writing to the store", error);
        // An error on the way drops the transaction, which undoes it.
        let mut txn = self.environment.env().write_txn().map_err(failed)?;
        for (table, change) in changes.iter() {
            self.apply(&mut txn, table, change).map_err(failed)?;
        }
        txn.commit()
            .map_err(|error| self.environment.error("committing to the store", error))?;
        if let Some(flusher) = &self.flusher {
            flusher.committed();
        }
        if self
            .writes
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(WRITES_PER_CHECK)
        {
            self.forget_dead_readers();
        }
        Ok(())
    }

    fn read(&self, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        reading(&self.environment.instant()?)
    }

    fn used_bytes(&self) -> Result<u64, StoreError> {
        let instant = self.environment.instant()?;
        Table::ALL
            .into_iter()
            .try_fold(0, |bytes, table| Ok(bytes + instant.size(table)?.1))
    }

    fn capacity_bytes(&self) -> u64 {
        self.map_bytes
    }

    fn disk(&self) -> Result<Option<Disk>, StoreError> {
        let path = self.folder.path();
        let failed = |error| StoreError::io(format!("looking at the disk of {}", path.display()), error);
        let file = fs::metadata(path.join(DATA_FILE)).map_err(failed)?;
        let disk = rustix::fs::statvfs(path).map_err(|error| failed(error.into()))?;
        Ok(Some(Disk {
            file_bytes: file.len(),
            free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        }))
    }
}

impl From<&LmdbOptions> for Access {
    fn from(options: &LmdbOptions) -> Self {
        Self {
            map_bytes: options.map_bytes,
            max_readers: options.max_readers,
            flags: match options.syncing {
                Syncing::Always => EnvFlags::empty(),
                Syncing::Every(_) => EnvFlags::NO_SYNC,
            },
        }
    }
}

/// Refuses a file that LMDB should not see, and makes one long enough whose last pages were never written.
fn check_file(folder: &Folder) -> Result<(), StoreError> {
    let Some(file) = DataFile::find(folder.path())? else {
        return Ok(());
    };
    // The first start makes the file and then fills it; it may have ended in between.
    if file.length()? == 0 && !folder.held_store() {
        return Ok(());
    }
    file.check_head()?;
    file.check_length()?;
    // Without syncs a crash of the system leaves any of the pages behind, and LMDB would follow those that are not there.
    if folder.unsynced_since().is_some_and(|start| start != system_start()) {
        tracing::warn!("the system was started anew before all of the store was on disk: checking it");
        file.check_trees()?;
    }
    file.extend()
}

fn flusher(environment: &Environment, interval: Duration) -> Result<Flusher, StoreError> {
    let env = environment.env().clone();
    let force = move || force(&env).map_err(|error| error.to_string());
    Flusher::start(interval, force).map_err(|error| StoreError::io("starting a thread", error))
}

fn force(env: &Env<WithoutTls>) -> io::Result<()> {
    env.force_sync().map_err(|error| match error {
        heed::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    })
}

/// What tells one start of the system from another; where it is unknown, no start is like another.
fn system_start() -> String {
    let known = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    known.map_or_else(|_| "unknown".to_owned(), |start| start.trim().to_owned())
}

/// After how many writes it is looked whether readers were killed; a look takes about a microsecond.
const WRITES_PER_CHECK: u64 = 256;

#[cfg(test)]
#[path = "lmdb_tests.rs"]
mod tests;
