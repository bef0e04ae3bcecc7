//! When it is sure, without a look at the log, that no more waits for a session than may.

use super::*;
use crate::broker::testing::broker;

const NONE: BacklogLimits = BacklogLimits {
    max_records: None,
    max_bytes: None,
    older_than: None,
};

fn found(records: u64, bytes: u64, oldest: Option<u64>) -> Backlog {
    Backlog {
        records,
        bytes,
        oldest: oldest.map(Timestamp),
    }
}

/// So much waited when so many bytes had been written.
fn measured(found: Backlog, bytes: u64) -> Measured {
    let total = Written { records: 0, bytes };
    Measured { total, found }
}

#[test]
fn what_was_counted_fits_up_to_the_limit() {
    let broker = broker();
    let measured = measured(found(5, 70, Some(9)), 0);
    let fits = |limits| broker.fits_surely(&measured, &limits);
    assert!(fits(NONE));
    for (most, expected) in [(5, true), (4, false)] {
        let max_records = Some(most);
        assert_eq!(fits(BacklogLimits { max_records, ..NONE }), expected);
    }
    for (most, expected) in [(70, true), (69, false)] {
        let max_bytes = Some(most);
        assert_eq!(fits(BacklogLimits { max_bytes, ..NONE }), expected);
    }
    for (time, expected) in [(9, true), (10, false)] {
        let older_than = Some(Timestamp(time));
        assert_eq!(fits(BacklogLimits { older_than, ..NONE }), expected);
    }
}

#[test]
fn all_that_was_written_since_may_wait_as_well() {
    let broker = broker();
    broker.written_bytes.store(150, Ordering::Release);
    let measured = measured(found(1, 10, None), 100);
    for (most, expected) in [(60, true), (59, false)] {
        let max_bytes = Some(most);
        assert_eq!(
            broker.fits_surely(&measured, &BacklogLimits { max_bytes, ..NONE }),
            expected
        );
    }
    let never = Measured::default();
    let max_bytes = Some(149);
    assert!(
        !broker.fits_surely(&never, &BacklogLimits { max_bytes, ..NONE }),
        "never counted"
    );
}

#[test]
fn age_is_not_known_of_what_came_since() {
    let broker = broker();
    let limits = BacklogLimits {
        older_than: Some(Timestamp(9)),
        ..NONE
    };
    assert!(
        broker.fits_surely(&measured(found(0, 0, None), 0), &limits),
        "nothing waits"
    );
    assert!(!broker.fits_surely(&measured(found(1, 10, None), 0), &limits));
}

#[test]
fn backlog_exceeds_any_one_limit() {
    let limits = BacklogLimits {
        max_records: Some(5),
        max_bytes: Some(70),
        older_than: Some(Timestamp(9)),
    };
    assert!(limits.allow(&found(5, 70, Some(9))));
    for backlog in [found(6, 0, None), found(0, 71, None), found(0, 0, Some(8))] {
        assert!(!limits.allow(&backlog), "{backlog:?}");
        assert!(NONE.allow(&backlog));
    }
}
