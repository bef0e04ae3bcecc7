//! MQTT 5.0 and 3.1.1 as they are written: every case of `scripts`, in virtual time, over TCP and over WebSocket.

mod client;
mod decode;
mod encode;
mod harness;
mod matching;
mod over_tcp;
mod over_websocket;
mod own_broker;
mod property;
mod report;
mod run;
mod script;
mod statements;
mod tcp;
mod text;
mod virtual_time;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use report::Row;
use script::Case;

/// The cases whose names contain `$CASE`; all if that is not set.
fn cases() -> Vec<Case> {
    let mut cases = script::load_all().unwrap_or_else(|fault| panic!("{fault}"));
    if let Ok(part) = std::env::var("CASE") {
        cases.retain(|case| case.id.contains(&part));
    }
    cases
}

fn assert_passed(rows: &[Row]) {
    let count = report::Count::of(rows);
    assert!(
        count.failed == 0,
        "{}\n{}",
        report::failures(rows),
        report::summary(rows)
    );
}

#[test]
fn every_case_holds_in_virtual_time() {
    let cases = cases();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            for version in &case.versions {
                let outcome = virtual_time::run_case(case, *version);
                let row = Row::new(case, *version, outcome);
                rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    assert_passed(&rows.into_inner().unwrap_or_else(PoisonError::into_inner));
}
