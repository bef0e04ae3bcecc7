//! A copy of a store for safekeeping: complete under its name, or not there. Knows no row.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::data_file::DATA_FILE;
use super::folder::{make, sync_names};
use super::{StoreError, StoreView};

/// Copies the store of one data folder into another, new or empty one, which a broker can then be started on. A broker
/// may run on the first one; as long as the copy takes, the pages that it frees are not used again.
/// Returns the bytes of the copy, which are on disk.
///
/// # Errors
/// Whatever it is, no file is left that looks like a store.
pub fn copy_store(from: &Path, into: &Path) -> Result<u64, StoreError> {
    let view = StoreView::open(from)?;
    // A damaged store must neither become a damaged copy nor end the process while it is copied.
    view.check()?;
    let failed = |error| StoreError::io(format!("writing to {}", into.display()), error);
    let new = !into.exists();
    if !new && fs::read_dir(into).map_err(failed)?.next().is_some() {
        return Err(StoreError::NotEmpty { path: into.to_owned() });
    }
    make(into).map_err(failed)?;
    let partial = Partial(into.join(PARTIAL_FILE));
    let bytes = fill(&view, &partial.0).and_then(|bytes| {
        fs::rename(&partial.0, into.join(DATA_FILE)).map_err(failed)?;
        sync_names(into).map_err(failed)?;
        Ok(bytes)
    });
    drop(partial);
    match (&bytes, into.parent()) {
        (Ok(_), Some(parent)) if new => sync_names(folder_or_here(parent)).map_err(failed)?,
        // Only what was made here is removed; it may hold what somebody else put there meanwhile.
        (Err(_), _) if new => drop(fs::remove_dir(into)),
        _ => {}
    }
    bytes
}

/// How many bytes a copy that is under way has written.
pub fn copied_bytes(into: &Path) -> u64 {
    fs::metadata(into.join(PARTIAL_FILE)).map_or(0, |metadata| metadata.len())
}

/// A file that is removed unless it was renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %self.0.display(), fault = %error, "a half copy could not be removed"),
        }
    }
}

fn fill(view: &StoreView, path: &Path) -> Result<u64, StoreError> {
    let failed = |error| StoreError::io(format!("writing {}", path.display()), error);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(failed)?;
    view.copy_into(&mut file)?;
    file.sync_all().map_err(failed)?;
    file.metadata().map(|metadata| metadata.len()).map_err(failed)
}

/// The parent of a name without folders is the empty path, which cannot be opened.
fn folder_or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// What a copy is called until it is complete. A broker does not take it for a store.
const PARTIAL_FILE: &str = "data.mdb.partial";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Changes, LmdbOptions, LmdbStore, Store, Table};

    fn put(store: &LmdbStore, key: u64, length: usize) {
        let mut changes = Changes::new();
        changes.put(Table::Log, &key.to_be_bytes(), |out| {
            out.extend(std::iter::repeat_n(1, length))
        });
        store.write(&changes).unwrap();
    }

    fn value_length(path: &Path, key: u64) -> Option<usize> {
        let store = LmdbStore::open(path, &LmdbOptions::default()).unwrap();
        let mut length = None;
        store
            .read(&mut |snapshot| {
                length = snapshot.value(Table::Log, &key.to_be_bytes())?.map(<[u8]>::len);
                Ok(())
            })
            .unwrap();
        length
    }

    #[test]
    fn a_copy_is_a_store_of_its_own_without_free_pages() {
        let folder = tempfile::tempdir().unwrap();
        let (from, into) = (folder.path().join("from"), folder.path().join("into"));
        let store = LmdbStore::open(&from, &LmdbOptions::default()).unwrap();
        put(&store, 1, 4_000_000);
        put(&store, 1, 9);
        drop(store);
        let bytes = copy_store(&from, &into).unwrap();
        assert_eq!(fs::metadata(into.join(DATA_FILE)).unwrap().len(), bytes);
        assert!(bytes < 200_000, "{bytes} bytes");
        assert_eq!(value_length(&into, 1), Some(9));
        assert_eq!(
            fs::read_dir(&into).unwrap().count(),
            3,
            "the store, LMDB's lock and ours"
        );
    }

    #[test]
    fn a_folder_with_anything_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (from, into) = (folder.path().join("from"), folder.path().join("into"));
        drop(LmdbStore::open(&from, &LmdbOptions::default()).unwrap());
        fs::create_dir(&into).unwrap();
        fs::write(into.join("x"), "").unwrap();
        let refused = copy_store(&from, &into).unwrap_err();
        assert!(matches!(refused, StoreError::NotEmpty { .. }), "{refused}");
        fs::remove_file(into.join("x")).unwrap();
        copy_store(&from, &into).unwrap();
        let refused = copy_store(&from, &into).unwrap_err();
        assert!(matches!(refused, StoreError::NotEmpty { .. }), "{refused}");
    }

    #[test]
    fn without_a_store_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let (from, into) = (folder.path().join("from"), folder.path().join("into"));
        for _ in 0..2 {
            let refused = copy_store(&from, &into).unwrap_err();
            assert!(matches!(refused, StoreError::Missing { .. }), "{refused}");
            assert!(!into.exists());
            fs::create_dir_all(&from).unwrap();
        }
    }
}
