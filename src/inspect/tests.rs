//! Reports about stores made row by row.

use std::path::Path;

use super::*;
use crate::store::{
    Changes, ChannelKind, ChannelRow, CursorOwner, CursorRecord, LmdbOptions, LmdbStore, PlaceRecord, SessionRecord,
    Store, channel_key, cursor_key, session_key,
};
use crate::types::{ChannelId, CursorId, Sequence, SessionId, Timestamp};

fn fill(path: &Path, fill: impl FnOnce(&mut Changes)) {
    let store = LmdbStore::open(path, &LmdbOptions::default()).unwrap();
    let mut changes = Changes::new();
    fill(&mut changes);
    store.write(&changes).unwrap();
}

fn channel(number: u64) -> ChannelRow {
    ChannelRow {
        kind: if number.is_multiple_of(2) {
            ChannelKind::Held
        } else {
            ChannelKind::Event
        },
        next: Sequence(number + 10),
        first_kept: Sequence(number),
        bytes: number * 7 % 1_000,
        first_time: Timestamp(1),
        topic: format!("t/{number}"),
    }
}

fn cursor(number: u64) -> CursorRecord {
    CursorRecord {
        id: CursorId(number),
        owner: CursorOwner::Client(format!("c{number}")),
        filter: "a/#".into(),
        floor: Position(number),
        acked: vec![],
        sent: Position(number),
        created: Timestamp(0),
        used: Timestamp(0),
    }
}

fn session(number: u64, changes: &mut Changes) {
    let record = SessionRecord {
        id: SessionId(number),
        client_id: format!("s{number}"),
        expiry_secs: u32::MAX,
        created: Timestamp(0),
        disconnected: Some(Timestamp(0)).filter(|_| number.is_multiple_of(2)),
        owner: None,
    };
    let place = PlaceRecord {
        session: record.id,
        floor: Position(number),
        acked: vec![],
        sent: Position(number),
        last_packet_id: 0,
        in_flight: vec![],
    };
    changes.put(Table::Sessions, &session_key(record.id), |out| record.encode(out));
    changes.put(Table::Places, &session_key(record.id), |out| place.encode(out));
}

#[test]
fn every_row_of_large_tables_is_seen_and_the_lists_stay_short() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), |changes| {
        let marks = Marks {
            checkpoint: Position(5_000),
            last: Position(5_000),
            last_time: Timestamp(1),
        };
        marks.put(changes);
        for number in 1..=2_500 {
            channel(number).put(ChannelId(number as u32), changes);
            changes.put(Table::Cursors, &cursor_key(CursorId(number)), |out| {
                cursor(number).encode(out);
            });
            session(number, changes);
        }
    });
    let report = inspect(folder.path(), 3, true).unwrap();
    assert_eq!((report.checkpoint, report.last), (5_000, 5_000));
    assert_eq!((report.channels.event, report.channels.held), (1_250, 1_250));
    let bytes: Vec<u64> = report.channels.largest.iter().map(|channel| channel.bytes).collect();
    assert_eq!(bytes, [999, 999, 998]);
    assert_eq!(report.channels.largest[0].count, 10);
    assert_eq!(report.cursors.count, 2_500);
    let lags: Vec<u64> = report.cursors.furthest_behind.iter().map(|cursor| cursor.lag).collect();
    assert_eq!(lags, [4_999, 4_998, 4_997]);
    assert_eq!((report.sessions.count, report.sessions.absent), (2_500, 1_250));
    assert_eq!(report.sessions.furthest_behind[1].client, "s2");
    assert_eq!(report.sessions.furthest_behind.len(), 3);
    assert_eq!(report.damage, Damage::default());
    let text = report.to_string();
    assert!(text.contains("\nchannels    1250 event, 1250 held\n"), "{text}");
    assert!(
        text.contains("s2, never, absent since 1970-01-01T00:00:00Z, 0: \n"),
        "{text}"
    );
}

#[test]
fn damaged_rows_are_told_and_the_others_still_counted() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), |changes| {
        for number in [1, 3] {
            channel(number).put(ChannelId(number as u32), changes);
        }
        changes.put(Table::Channels, &channel_key(ChannelId(2)), |out| out.push(9));
        changes.put(Table::Retained, b"topic", |_| {});
        changes.put(Table::Wills, b"odd key", |_| {});
        changes.put(Table::Log, &[0, 0, 0, 0, 0, 0, 0, 1], |out| out.push(200));
    });
    let report = inspect(folder.path(), 10, true).unwrap();
    assert_eq!(report.channels.event, 2);
    assert_eq!(report.damage.count, 4, "{:?}", report.damage.first);
    let told = report.damage.first.join("\n");
    for table in ["channels", "retained", "wills", "log"] {
        assert!(told.contains(&format!("table {table}, key ")), "{told}");
    }
}

#[test]
fn a_folder_without_a_store_is_an_error_and_nothing_is_made_in_it() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        inspect(folder.path(), 1, true),
        Err(StoreError::Missing { .. })
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
