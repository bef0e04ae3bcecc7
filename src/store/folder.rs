//! The data folder: made private, held by one process at a time. Knows nothing of what lies in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::StoreError;

/// A data folder that this process holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder (mode 0700) unless it is there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        make(path).map_err(|error| StoreError::io(format!("making the data folder {}", path.display()), error))?;
        let lock_path = path.join(LOCK_FILE);
        let failed = |error| StoreError::io(format!("opening {}", lock_path.display()), error);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(failed)?;
        if !try_lock(&lock).map_err(failed)? {
            return Err(in_use(path, &mut lock));
        }
        name_holder(&mut lock).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// False if it is locked already. The system gives a lock up with the process, however that ends.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn in_use(path: &Path, lock: &mut File) -> StoreError {
    let mut holder = String::new();
    let read = lock.read_to_string(&mut holder);
    if read.is_err() || holder.trim().is_empty() {
        holder = "unknown".to_owned();
    }
    StoreError::InUse {
        path: path.to_owned(),
        holder: holder.trim().to_owned(),
    }
}

fn name_holder(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

const LOCK_FILE: &str = "rewindmq.lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_new_folder_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/data");
        let _folder = Folder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_held_folder_is_refused_and_the_holder_named() {
        let folder = tempfile::tempdir().unwrap();
        let held = Folder::open(folder.path()).unwrap();
        let error = Folder::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(held);
        Folder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "x").unwrap();
        assert!(Folder::open(&path).unwrap_err().to_string().contains("file"));
    }
}
