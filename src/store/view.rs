//! A store that is only read: while a broker runs on it or while none does, without its folder's lock.

use std::fs::File;
use std::path::{Path, PathBuf};

use heed::{CompactionOption, EnvFlags};

use super::data_file::DataFile;
use super::environment::{Access, Environment};
use super::{LmdbOptions, Reading, StoreError, Table};

/// A store open for reading only.
pub struct StoreView {
    environment: Environment,
    file: DataFile,
    path: PathBuf,
}

/// What a table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// The table.
    pub table: Table,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes its pages take.
    pub bytes: u64,
}

impl StoreView {
    /// Opens the store in a data folder; changes nothing there but LMDB's table of readers.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if the folder holds none; what keeps a broker from starting keeps a view from opening.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let missing = || StoreError::Missing { path: path.to_owned() };
        let file = DataFile::find(path)?.ok_or_else(missing)?;
        if file.length()? == 0 {
            return Err(missing());
        }
        file.check_head()?;
        // The first that opens a folder sizes the table of readers, so that it must be as large as a broker wants it.
        let mut access = Access::from(&LmdbOptions::default());
        access.flags = EnvFlags::READ_ONLY;
        let mut environment = Environment::open(path, access)?;
        {
            let _pinned = environment.instant()?;
            file.check_length()?;
        }
        environment.open_tables()?;
        // A file of LMDB, but somebody else's.
        environment.rows(Table::Meta).ok_or_else(missing)?;
        Ok(Self {
            environment,
            file,
            path: path.to_owned(),
        })
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long the store's file is, bytes.
    pub fn file_bytes(&self) -> Result<u64, StoreError> {
        self.file.length()
    }

    /// Reads from one instant; as short as [`super::Store::read`] wants it, if a broker runs on the folder.
    pub fn read(&self, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        reading(&self.environment.instant()?)
    }

    /// What each table takes.
    pub fn sizes(&self) -> Result<Vec<TableSize>, StoreError> {
        let instant = self.environment.instant()?;
        let size = |table| {
            let (rows, bytes) = instant.size(table)?;
            Ok(TableSize { table, rows, bytes })
        };
        Table::ALL.into_iter().map(size).collect()
    }

    /// Refuses a store of which a page is not what it must be. Reads nearly all of it.
    pub fn check(&self) -> Result<(), StoreError> {
        let _pinned = self.environment.instant()?;
        self.file.check_trees()
    }

    /// Writes all of it, as of one instant and without free pages, into a file.
    pub(super) fn copy_into(&self, file: &mut File) -> Result<(), StoreError> {
        let copied = self.environment.env().copy_to_file(file, CompactionOption::Enabled);
        copied.map_err(|error| self.environment.error("copying the store", error))
    }
}
