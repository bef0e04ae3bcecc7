//! Stores of every shape pass; a page that was put in the place of another does not.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::super::data_file::DATA_FILE;
use super::super::{Changes, LmdbOptions, LmdbStore, Store, Syncing, Table};
use super::*;

const PAGE: usize = 4_096;

fn check(folder: &Path) -> Result<(), StoreError> {
    let file = DataFile::find(folder)?.expect("a file");
    file.check_head()?;
    file.check_length()?;
    file.check_trees()
}

/// Puts and deletes rows of all lengths, and sometimes looks.
fn work(folder: &Path, rounds: u64, mut look: impl FnMut()) {
    let options = LmdbOptions {
        syncing: Syncing::Every(Duration::from_secs(3_600)),
        ..LmdbOptions::default()
    };
    let store = LmdbStore::open(folder, &options).expect("opened");
    for _ in 0..rounds {
        let mut changes = Changes::new();
        for _ in 0..fastrand::usize(..60) {
            let table = fastrand::choice([Table::Log, Table::Retained, Table::Wills]).expect("one");
            let key = vec![fastrand::u8(..); fastrand::usize(1..400)];
            let length = fastrand::choice([0, 1, 9, 300, 1_900, 2_100, 9_000]).expect("one");
            if fastrand::u8(..) < 90 {
                changes.delete(table, &key);
            } else {
                changes.put(table, &key, |out| out.extend(std::iter::repeat_n(7, length)));
            }
        }
        store.write(&changes).expect("written");
        look();
    }
}

#[test]
fn every_store_that_lmdb_writes_passes() {
    fastrand::seed(5);
    let folder = tempfile::tempdir().expect("a folder");
    drop(LmdbStore::open(folder.path(), &LmdbOptions::default()).expect("opened"));
    check(folder.path()).expect("an empty store is whole");
    for _ in 0..3 {
        work(folder.path(), 15, || check(folder.path()).expect("whole"));
    }
}

#[test]
fn a_page_in_the_place_of_another_or_of_zeros_is_damage() {
    fastrand::seed(6);
    let folder = tempfile::tempdir().expect("a folder");
    work(folder.path(), 8, || {});
    let path = folder.path().join(DATA_FILE);
    let whole = fs::read(&path).expect("read");
    let mut refused = 0;
    for page in 2..whole.len() / PAGE {
        let mut data = whole.clone();
        if page % 2 == 0 {
            data[page * PAGE..(page + 1) * PAGE].fill(0);
        } else {
            let other = fastrand::usize(2..whole.len() / PAGE);
            data.copy_within(other * PAGE..(other + 1) * PAGE, page * PAGE);
        }
        fs::write(&path, &data).expect("written");
        refused += usize::from(check(folder.path()).is_err());
    }
    // Free pages and the later pages of long values may hold anything.
    assert!(refused > 50, "{refused} of {}", whole.len() / PAGE);
}

#[test]
fn junk_is_damage_and_no_crash() {
    fastrand::seed(7);
    let folder = tempfile::tempdir().expect("a folder");
    work(folder.path(), 8, || {});
    let path = folder.path().join(DATA_FILE);
    let whole = fs::read(&path).expect("read");
    for _ in 0..200 {
        let mut data = whole.clone();
        let page = fastrand::usize(2..whole.len() / PAGE) * PAGE;
        let start = fastrand::choice([0, 8, 12, 16, 40]).expect("one");
        data[page + start..page + PAGE].fill_with(|| fastrand::u8(..));
        fs::write(&path, &data).expect("written");
        // Whatever it finds, it comes back.
        let _ = check(folder.path());
    }
}
