//! The data folder: made private, held by one process at a time. Knows nothing of what lies in it but that it does.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::StoreError;

/// A data folder that this process holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
    note: Note,
}

/// What the lock file says beside the holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Note {
    /// Whether there has been a store in the folder.
    holds_store: bool,
    /// The start of the system since which something may not have been forced to disk.
    unsynced_since: Option<String>,
}

impl Folder {
    /// Makes the folder (mode 0700) unless it is there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        make(path).map_err(|error| StoreError::io(format!("making the data folder {}", path.display()), error))?;
        let lock_path = path.join(LOCK_FILE);
        let failed = |error| StoreError::io(format!("opening {}", lock_path.display()), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut lock = options.open(&lock_path).map_err(failed)?;
        if !try_lock(&lock).map_err(failed)? {
            return Err(in_use(path, &mut lock));
        }
        let note = Note::read(&text(&mut lock).map_err(failed)?);
        name_holder(&mut lock, &note).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            lock,
            note,
        })
    }

    /// Whether there has been a store in it: an empty file is then not a new one.
    pub(crate) fn held_store(&self) -> bool {
        self.note.holds_store
    }

    /// The start of the system since which something may not have been forced to disk; `None` if everything was.
    pub(crate) fn unsynced_since(&self) -> Option<&str> {
        self.note.unsynced_since.as_deref()
    }

    /// Notes that there is a store in it, and puts the names of its files on disk.
    pub(crate) fn holds_store(&mut self) -> Result<(), StoreError> {
        if self.note.holds_store {
            return Ok(());
        }
        self.note.holds_store = true;
        self.write_note()
    }

    /// Notes since which start of the system something may not have been forced to disk.
    pub(crate) fn note_unsynced_since(&mut self, start: Option<String>) -> Result<(), StoreError> {
        if self.note.unsynced_since == start {
            return Ok(());
        }
        self.note.unsynced_since = start;
        self.write_note()
    }

    fn write_note(&mut self) -> Result<(), StoreError> {
        name_holder(&mut self.lock, &self.note)
            .and_then(|()| self.lock.sync_all())
            .and_then(|()| sync_names(&self.path))
            .map_err(|error| StoreError::io(format!("writing in {}", self.path.display()), error))
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

/// Makes a folder (mode 0700) and those above it unless it is there.
pub(crate) fn make(path: &Path) -> io::Result<()> {
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

/// Puts the names of a folder's files on disk; the files themselves are synced by who writes them.
pub(crate) fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn in_use(path: &Path, lock: &mut File) -> StoreError {
    let text = text(lock).unwrap_or_default();
    let holder = text.lines().next().filter(|line| !line.is_empty());
    StoreError::InUse {
        path: path.to_owned(),
        holder: holder.unwrap_or("unknown").to_owned(),
    }
}

fn text(lock: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    lock.rewind()?;
    lock.take(LONGEST_LOCK).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Note {
    fn read(text: &str) -> Self {
        Self {
            holds_store: text.lines().any(|line| line == HOLDS_STORE),
            unsynced_since: text
                .lines()
                .find_map(|line| line.strip_prefix(UNSYNCED_SINCE))
                .map(str::to_owned),
        }
    }
}

fn name_holder(lock: &mut File, note: &Note) -> io::Result<()> {
    let mut text = format!("{}\n", std::process::id());
    if note.holds_store {
        text = text + HOLDS_STORE + "\n";
    }
    if let Some(start) = &note.unsynced_since {
        text = text + UNSYNCED_SINCE + start + "\n";
    }
    lock.rewind()?;
    // Written over and then cut, so that a process that ends in between forgets nothing.
    lock.write_all(text.as_bytes())?;
    lock.set_len(text.len() as u64)
}

const LOCK_FILE: &str = "rewindmq.lock";
/// The line of the lock file that tells a folder with a store from one that is about to get one.
const HOLDS_STORE: &str = "holds a store";
/// What the line of the lock file begins with that names the system's start.
const UNSYNCED_SINCE: &str = "not all on disk since system start ";
const LONGEST_LOCK: u64 = 1_024;

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
    fn a_folder_remembers_that_it_held_a_store() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Folder::open(folder.path()).unwrap().held_store());
        let mut held = Folder::open(folder.path()).unwrap();
        assert!(!held.held_store());
        held.holds_store().unwrap();
        drop(held);
        for _ in 0..2 {
            assert!(Folder::open(folder.path()).unwrap().held_store());
        }
    }

    #[test]
    fn a_folder_remembers_since_when_it_may_not_be_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut held = Folder::open(folder.path()).unwrap();
        held.holds_store().unwrap();
        held.note_unsynced_since(Some("a-b".into())).unwrap();
        drop(held);
        let mut held = Folder::open(folder.path()).unwrap();
        assert_eq!((held.held_store(), held.unsynced_since()), (true, Some("a-b")));
        held.note_unsynced_since(None).unwrap();
        drop(held);
        let held = Folder::open(folder.path()).unwrap();
        assert_eq!((held.held_store(), held.unsynced_since()), (true, None));
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "x").unwrap();
        assert!(Folder::open(&path).unwrap_err().to_string().contains("file"));
    }
}
