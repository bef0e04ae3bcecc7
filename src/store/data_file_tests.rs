//! Files that are shorter than they should be, and heads that lie.

use super::super::{Changes, LmdbOptions, LmdbStore, Store, Table};
use super::*;

const PAGE: u64 = 4_096;

fn check(folder: &Path) -> Result<(), StoreError> {
    let file = DataFile::find(folder)?.expect("a file");
    file.check_head()?;
    file.check_length()
}

fn write(store: &LmdbStore, fill: impl FnOnce(&mut Changes)) {
    let mut changes = Changes::new();
    fill(&mut changes);
    store.write(&changes).expect("written");
}

/// A store with rows of all sizes, of which many were deleted: its free list is long.
fn worn(folder: &Path) {
    let store = LmdbStore::open(folder, &LmdbOptions::default()).expect("opened");
    for round in 0..40u64 {
        write(&store, |changes| {
            for row in 0..50u64 {
                let length = fastrand::usize(..12_000);
                changes.put(Table::Log, &(round * 50 + row).to_be_bytes(), |out| {
                    out.extend(std::iter::repeat_n(7, length))
                });
            }
        });
        write(&store, |changes| {
            (0..50u64)
                .filter(|row| row % 5 != 0)
                .for_each(|row| changes.delete(Table::Log, &(round * 50 + row).to_be_bytes()));
        });
    }
}

fn cut(folder: &Path, length: u64) {
    let file = OpenOptions::new()
        .write(true)
        .open(folder.join(DATA_FILE))
        .expect("opened");
    file.set_len(length).expect("cut");
}

fn overwrite(folder: &Path, at: u64, bytes: &[u8]) {
    let file = OpenOptions::new()
        .write(true)
        .open(folder.join(DATA_FILE))
        .expect("opened");
    file.write_all_at(bytes, at).expect("written");
}

/// Every value of the log is read, so that a page beyond the end would end this process.
fn read_all(folder: &Path) -> usize {
    let store = LmdbStore::open(folder, &LmdbOptions::default()).expect("opened");
    let mut rows = 0;
    let read = store.read(&mut |snapshot| {
        snapshot.upwards(Table::Log, &[], &mut |_, value| {
            assert!(value.iter().all(|byte| *byte == 7), "a value is not what was written");
            rows += 1;
            Ok(super::super::Visit::More)
        })
    });
    read.expect("read");
    rows
}

#[test]
fn a_file_may_be_cut_where_only_free_pages_follow_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    fastrand::seed(11);
    worn(folder.path());
    let file = DataFile::find(folder.path()).expect("readable").expect("a file");
    let head = file.head().expect("a head");
    let free: std::collections::BTreeSet<u64> = file.free_pages(&head, 0).expect("readable").into_iter().collect();
    assert!(free.len() > 100, "{} free pages", free.len());
    let used = (0..=head.last_page)
        .rev()
        .find(|page| !free.contains(page))
        .expect("a used page");
    let rows = read_all(folder.path());
    let length = file.length().expect("a length");
    for pages in (used + 1)..=head.last_page {
        cut(folder.path(), pages * PAGE);
        check(folder.path()).expect("only free pages are missing");
    }
    cut(folder.path(), (used + 1) * PAGE);
    assert_eq!(read_all(folder.path()), rows);
    assert!(length >= (used + 1) * PAGE);
    for length in [
        (used + 1) * PAGE - 1,
        used * PAGE,
        length / 2,
        3 * PAGE,
        2 * PAGE,
        PAGE,
        100,
    ] {
        cut(folder.path(), length);
        let error = check(folder.path()).expect_err("cut off").to_string();
        assert!(error.contains("is damaged"), "{error}");
        assert!(LmdbStore::open(folder.path(), &LmdbOptions::default()).is_err());
    }
}

#[test]
fn every_short_cut_of_a_growing_store_is_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = LmdbStore::open(folder.path(), &LmdbOptions::default()).expect("opened");
    for key in 0..100u64 {
        write(&store, |changes| {
            changes.append(Table::Log, &key.to_be_bytes(), |out| {
                out.extend(std::iter::repeat_n(7, 3_000))
            });
        });
    }
    drop(store);
    let length = DataFile::find(folder.path())
        .expect("readable")
        .expect("a file")
        .length()
        .expect("known");
    // Also where the topmost page of a table is still there and the values that it names are not.
    for length in (1..length / PAGE).rev().map(|pages| pages * PAGE) {
        cut(folder.path(), length);
        let error = check(folder.path()).expect_err("pages are missing").to_string();
        assert!(error.contains("it is cut off"), "{error}");
    }
}

#[test]
fn a_head_that_lies_is_damage_and_no_crash() {
    let folder = tempfile::tempdir().expect("a folder");
    worn(folder.path());
    let whole = std::fs::read(folder.path().join(DATA_FILE)).expect("read");
    for at in (0..META_BYTES).step_by(4) {
        for junk in [[0; 4], [0xff; 4], [0x7f, 0, 0, 1]] {
            std::fs::write(folder.path().join(DATA_FILE), &whole).expect("written");
            for meta in [0, PAGE] {
                overwrite(folder.path(), meta + at as u64, &junk);
            }
            // Numbers that are not looked at may be anything; what is looked at must not end the process.
            let _ = check(folder.path());
        }
    }
    std::fs::write(folder.path().join(DATA_FILE), &whole).expect("written");
    overwrite(folder.path(), 0, &[0; 3 * PAGE as usize]);
    assert!(
        check(folder.path())
            .expect_err("no head")
            .to_string()
            .contains("no store")
    );
}
