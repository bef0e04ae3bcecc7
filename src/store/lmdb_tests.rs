//! Tests of the data folder: locks, formats, damage, space.

use std::fs::{self, OpenOptions};

use super::super::data_file::DATA_FILE;
use super::super::rows::FORMAT_KEY;
use super::super::{FORMAT, Visit};
use super::*;

fn open(path: &Path) -> Result<LmdbStore, StoreError> {
    LmdbStore::open(path, &LmdbOptions::default())
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Changes {
    let mut changes = Changes::new();
    changes.put(table, key, |out| out.extend_from_slice(value));
    changes
}

fn keys(store: &LmdbStore, table: Table) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    store
        .read(&mut |snapshot| {
            snapshot.upwards(table, &[], &mut |key, _| {
                keys.push(key.to_vec());
                Ok(Visit::More)
            })
        })
        .unwrap();
    keys
}

fn error(result: Result<LmdbStore, StoreError>) -> StoreError {
    result.err().expect("it must be refused")
}

#[test]
fn what_is_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    for key in [b"b", b"a", b"c"] {
        store.write(&put(Table::Cursors, key, b"value")).unwrap();
    }
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(keys(&store, Table::Cursors), [b"a", b"b", b"c"]);
}

#[test]
fn rows_are_visited_both_ways_from_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    for key in 1..=5 {
        store.write(&put(Table::Cursors, &[key], &[])).unwrap();
    }
    let mut seen = Vec::new();
    store
        .read(&mut |snapshot| {
            snapshot.downwards(Table::Cursors, &[3], &mut |key, _| {
                seen.push(key[0]);
                Ok(Visit::More)
            })?;
            snapshot.upwards(Table::Cursors, &[3], &mut |key, _| {
                seen.push(key[0]);
                Ok(if key[0] == 4 { Visit::Enough } else { Visit::More })
            })?;
            assert!(snapshot.value(Table::Cursors, &[9])?.is_none());
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [3, 2, 1, 3, 4]);
}

#[test]
fn a_folder_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path()).unwrap();
    let refused = error(open(folder.path()));
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    drop(held);
    open(folder.path()).unwrap();
}

#[test]
fn another_format_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    store
        .write(&put(Table::Meta, FORMAT_KEY, &(FORMAT + 1).to_be_bytes()))
        .unwrap();
    drop(store);
    for _ in 0..2 {
        let refused = error(open(folder.path()));
        let StoreError::Format { found, known, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!((*found, *known), (FORMAT + 1, FORMAT));
        assert!(refused.to_string().contains("start the version that wrote it"));
    }
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(DATA_FILE), vec![7; 40_000]).unwrap();
    let refused = error(open(folder.path()));
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

#[test]
fn a_file_that_was_cut_off_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    for key in 0..100u8 {
        store.write(&put(Table::Log, &[key], &[key; 3000])).unwrap();
    }
    drop(store);
    let path = folder.path().join(DATA_FILE);
    let length = fs::metadata(&path).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length / 2)
        .unwrap();
    let refused = error(open(folder.path()));
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

#[test]
fn a_full_map_fails_the_write_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let options = LmdbOptions {
        map_bytes: 1 << 20,
        ..LmdbOptions::default()
    };
    let store = LmdbStore::open(folder.path(), &options).unwrap();
    let mut written = 0;
    let refused = loop {
        match store.write(&put(Table::Log, &u64::to_be_bytes(written), &[1; 20_000])) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full), "{refused}");
    assert_eq!(keys(&store, Table::Log).len() as u64, written);
    let mut changes = Changes::new();
    (0..written).for_each(|key| changes.delete(Table::Log, &key.to_be_bytes()));
    store.write(&changes).unwrap();
    store.write(&put(Table::Log, &[0; 8], &[1; 100])).unwrap();
}

#[test]
fn deleting_makes_the_used_bytes_fall() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let empty = store.used_bytes().unwrap();
    store.write(&put(Table::Log, b"k", &[1; 100_000])).unwrap();
    assert!(store.used_bytes().unwrap() >= empty + 100_000);
    let mut changes = Changes::new();
    changes.delete(Table::Log, b"k");
    store.write(&changes).unwrap();
    assert_eq!(store.used_bytes().unwrap(), empty);
}

#[test]
fn an_empty_file_is_a_new_store_only_where_none_was() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(DATA_FILE), "").unwrap();
    drop(open(folder.path()).unwrap());
    fs::write(folder.path().join(DATA_FILE), "").unwrap();
    let refused = error(open(folder.path()));
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

#[test]
fn a_store_that_was_not_all_on_disk_is_checked_after_another_start_of_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let options = LmdbOptions {
        syncing: Syncing::Every(Duration::from_secs(3_600)),
        ..LmdbOptions::default()
    };
    let store = LmdbStore::open(folder.path(), &options).unwrap();
    let lock = fs::read_to_string(folder.path().join("rewindmq.lock")).unwrap();
    assert!(lock.contains(&system_start()), "{lock}");
    for key in 0..200u8 {
        store.write(&put(Table::Log, &[key], &[key; 300])).unwrap();
    }
    drop(store);
    let after_stop = fs::read_to_string(folder.path().join("rewindmq.lock")).unwrap();
    assert!(!after_stop.contains(&system_start()), "{after_stop}");
    let path = folder.path().join(DATA_FILE);
    let crashed = |start: &str| {
        fs::write(
            folder.path().join("rewindmq.lock"),
            lock.replace(&system_start(), start),
        )
    };
    crashed("another").unwrap();
    drop(LmdbStore::open(folder.path(), &options).unwrap());
    let mut data = fs::read(&path).unwrap();
    let leaf = data.windows(300).position(|bytes| bytes == [77; 300]).unwrap();
    data[leaf / 4_096 * 4_096..][..16].fill(0);
    fs::write(&path, &data).unwrap();
    // A whole snapshot of the file may still be older; only what the newest uses counts.
    let newest = data.windows(300).filter(|bytes| *bytes == [77; 300]).count();
    assert!(newest >= 1);
    crashed("another").unwrap();
    let refused = LmdbStore::open(folder.path(), &options).err();
    assert!(matches!(refused, Some(StoreError::Damaged { .. })), "{refused:?}");
}

#[test]
fn a_store_that_syncs_later_is_whole_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let options = LmdbOptions {
        syncing: Syncing::Every(Duration::from_secs(3_600)),
        ..LmdbOptions::default()
    };
    for key in [b"a", b"b"] {
        let store = LmdbStore::open(folder.path(), &options).unwrap();
        store.write(&put(Table::Cursors, key, b"value")).unwrap();
    }
    assert_eq!(keys(&open(folder.path()).unwrap(), Table::Cursors), [b"a", b"b"]);
}
