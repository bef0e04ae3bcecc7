//! Data folders of every released format, frozen: this version must open them and find everything.
//!
//! `tests/data/format-1` was written by the ignored test `write_the_folder`, from the values in `content.rs`:
//!
//! ```sh
//! cargo test --test format -- --ignored
//! ```
//!
//! It is written anew only while no release has written its format. Afterwards a change that makes these tests fail needs
//! a new format, a way from the old one to it, and a folder of its own.

mod content;
mod log;

use std::fs;
use std::path::{Path, PathBuf};

use rewindmq::inspect::inspect;
use rewindmq::log::{ChannelKind, Command, Event};
use rewindmq::store::{FORMAT, StoreView, Table, copy_store};
use rewindmq::types::{Position, Sequence};

use log::Running;

fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/format-{FORMAT}"))
}

/// A copy of the frozen folder that a test may change.
fn thawed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(frozen().join("data.mdb"), folder.path().join("data.mdb")).expect("copied");
    folder
}

/// What a record is, as far as it was given: sequence, topic, payload, properties.
fn facts(event: &Event) -> (ChannelKind, u64, String, Vec<u8>, Vec<u8>) {
    let message = &event.message;
    (
        event.kind,
        event.sequence.0,
        message.topic().to_owned(),
        message.payload().to_vec(),
        message.properties().to_vec(),
    )
}

#[test]
#[ignore = "writes tests/data/format-1 anew"]
fn write_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (worked, killed) = (folder.path().join("worked"), folder.path().join("killed"));
    let mut running = Running::open(&worked);
    running.carry_out(content::records().into_iter().map(content::command).collect());
    running.carry_out(content::rows());
    let channel = running
        .reader
        .find_channel(content::TRIMMED_TOPIC)
        .expect("it was stored");
    running.carry_out(vec![Command::Trim {
        channel,
        through: Sequence(content::TRIMMED),
    }]);
    // A checkpoint, and records behind it.
    drop(running);
    let mut running = Running::open(&worked);
    running.carry_out(content::late_records().into_iter().map(content::command).collect());
    fs::create_dir(&killed).expect("made");
    fs::copy(worked.join("data.mdb"), killed.join("data.mdb")).expect("copied");
    drop(running);
    if frozen().exists() {
        fs::remove_dir_all(frozen()).expect("removed");
    }
    let bytes = copy_store(&killed, &frozen()).expect("copied");
    assert!(bytes < 200_000, "{bytes} bytes are too many for a repository");
}

#[test]
fn every_record_of_the_frozen_folder_is_there_in_order() {
    let folder = thawed();
    let running = Running::open(folder.path());
    let all = content::records().into_iter().chain(content::late_records());
    let mut sequences = std::collections::HashMap::new();
    let expected: Vec<_> = all
        .map(|record| {
            let sequence: &mut u64 = sequences.entry((record.kind, record.topic.clone())).or_default();
            *sequence += 1;
            (record.kind, *sequence, record.topic, record.payload, record.properties)
        })
        .filter(|(_, sequence, topic, ..)| topic != content::TRIMMED_TOPIC || *sequence > content::TRIMMED)
        .collect();
    let found: Vec<_> = running.read("#", Position(0)).iter().map(facts).collect();
    assert_eq!(found, expected);
    assert!(found.iter().any(|(kind, ..)| *kind == ChannelKind::Held));
    let positions: Vec<u64> = running
        .read("#", Position(0))
        .iter()
        .map(|event| event.position.0)
        .collect();
    assert!(positions.is_sorted() && positions.last() == Some(&running.reader.watermark().0));
}

#[test]
fn the_index_of_the_frozen_folder_leads_to_the_same_records() {
    let folder = thawed();
    let running = Running::open(folder.path());
    let of_topic: Vec<_> = running
        .read(content::TRIMMED_TOPIC, Position(0))
        .iter()
        .map(facts)
        .collect();
    let mut from_log: Vec<_> = running.read("#", Position(0)).iter().map(facts).collect();
    from_log.retain(|(_, _, topic, ..)| topic == content::TRIMMED_TOPIC);
    assert_eq!(of_topic, from_log);
    assert!(of_topic.len() > 256, "three runs and a tail: {}", of_topic.len());
    drop(running);
    let view = StoreView::open(folder.path()).expect("opened");
    let index = view
        .sizes()
        .expect("read")
        .into_iter()
        .find(|size| size.table == Table::Index);
    assert!(index.expect("a table").rows > 3);
}

#[test]
fn cursors_sessions_and_retained_messages_of_the_frozen_folder_come_back() {
    let folder = thawed();
    let running = Running::open(folder.path());
    let found = &running.recovered;
    assert_eq!(found.cursors, content::cursors());
    let sessions: Vec<_> = found.sessions.iter().map(content::Session::from).collect();
    assert_eq!(sessions, content::sessions());
    let retained: Vec<_> = found.retained.iter().map(|message| (**message).clone()).collect();
    assert_eq!(retained, content::retained());
}

#[test]
fn a_frozen_folder_takes_new_records() {
    let folder = thawed();
    let before = {
        let mut running = Running::open(folder.path());
        let before = running.read("#", Position(0)).len();
        running.carry_out(content::late_records().into_iter().map(content::command).collect());
        before
    };
    let running = Running::open(folder.path());
    assert_eq!(
        running.read("#", Position(0)).len(),
        before + content::late_records().len()
    );
}

#[test]
fn a_frozen_folder_is_reported_without_damage() {
    let folder = thawed();
    let report = inspect(folder.path(), 100, true).expect("readable");
    assert_eq!(report.damage.count, 0, "{:?}", report.damage.first);
    assert_eq!(report.cursors.count as usize, content::cursors().len());
    assert_eq!(report.sessions.count as usize, content::sessions().len());
    assert_eq!(report.retained.count as usize, content::retained().len());
    assert_eq!(report.wills.count, 1);
    let busy = report
        .sessions
        .furthest_behind
        .iter()
        .find(|session| session.client == "busy");
    let busy = busy.expect("a session");
    assert_eq!((busy.subscriptions, busy.in_flight, busy.received), (4, 5, 2));
    let trimmed = report
        .channels
        .largest
        .iter()
        .find(|channel| channel.topic == content::TRIMMED_TOPIC);
    let trimmed = trimmed.expect("a channel");
    assert_eq!(trimmed.first, content::TRIMMED + 1);
    assert_eq!(trimmed.count, trimmed.next - trimmed.first);
    assert!(
        report.checkpoint > 0 && report.checkpoint < report.last,
        "records behind the checkpoint"
    );
}
