//! How a durable session changes between the log and its mailbox.

use super::*;
use crate::broker::testing::{delivery, outbox};

fn durable() -> Arc<Outbox> {
    let outbox = outbox(1, true);
    outbox.open_place(Position(5));
    outbox
}

/// A session that has read all there was and follows what arrives.
fn following() -> Arc<Outbox> {
    let outbox = durable();
    assert!(outbox.try_live_place(Position(5)));
    outbox
}

fn kept(position: u64) -> Item {
    Item::Live(delivery(QoS::AtLeastOnce, Source::Session(Position(position))))
}

fn push(outbox: &Outbox, items: impl IntoIterator<Item = Item>) -> Refused {
    outbox.push(&mut items.into_iter().collect())
}

fn sources(live: &Queue) -> Vec<Source> {
    let source = |queued: &Queued| match queued {
        Queued::One(delivery) => delivery.source,
        Queued::Run(_) => Source::Live,
    };
    live.iter().map(source).collect()
}

fn session(positions: impl IntoIterator<Item = u64>) -> Vec<Source> {
    positions
        .into_iter()
        .map(|position| Source::Session(Position(position)))
        .collect()
}

#[test]
fn what_arrives_behind_is_noted_and_left_to_the_log() {
    let outbox = durable();
    assert_eq!(push(&outbox, [kept(6), kept(8)]), Refused::default());
    let taken = outbox.take(true);
    assert!(taken.place_behind && taken.live.is_empty());
    assert!(!outbox.try_live_place(Position(7)) && outbox.is_place_behind());
    assert!(outbox.try_live_place(Position(8)) && !outbox.is_place_behind());
}

#[test]
fn what_arrives_at_the_tail_is_queued() {
    let outbox = following();
    assert!(outbox.is_place_idle());
    push(&outbox, [kept(6), kept(7)]);
    assert!(!outbox.is_place_idle());
    let taken = outbox.take(true);
    assert_eq!((sources(&taken.live), taken.place_behind), (session([6, 7]), false));
    assert!(outbox.is_place_idle());
}

#[test]
fn overflow_sends_the_session_behind_and_drops_nothing() {
    let outbox = following();
    assert_eq!(push(&outbox, (6..=10).map(kept)), Refused::default());
    assert!(!outbox.is_place_idle());
    let taken = outbox.take(true);
    assert!(taken.place_behind);
    assert_eq!(sources(&taken.live), session([6, 7, 8]), "the log has the others");
    assert!(!outbox.try_live_place(Position(9)));
    assert!(outbox.try_live_place(Position(10)));
}

#[test]
fn overflow_by_bytes_sends_the_session_behind_as_well() {
    let outbox = following();
    let mut large = delivery(QoS::ExactlyOnce, Source::Session(Position(6)));
    large.message = crate::broker::testing::message("t", QoS::ExactlyOnce, &[0; 3_000]);
    push(&outbox, [Item::Live(large), kept(7)]);
    let taken = outbox.take(true);
    assert_eq!((sources(&taken.live), taken.place_behind), (session([6]), true));
}

#[test]
fn what_no_log_has_stays_queued_when_the_session_falls_behind() {
    let outbox = following();
    let retained = || Item::Live(delivery(QoS::AtLeastOnce, Source::Retained));
    let qos0 = || Item::Live(delivery(QoS::AtMostOnce, Source::Live));
    push(&outbox, [kept(6), retained(), qos0()]);
    outbox.place_falls_behind();
    assert_eq!(outbox.waiting(), 2);
    assert_eq!(
        push(&outbox, [kept(7), retained()]),
        Refused::default(),
        "there is room again"
    );
    assert_eq!(push(&outbox, [retained()]).full, 1);
    let taken = outbox.take(true);
    assert_eq!(sources(&taken.live), [Source::Retained, Source::Live, Source::Retained]);
    assert!(!outbox.try_live_place(Position(6)) && outbox.try_live_place(Position(7)));
}

#[test]
fn lost_connection_sends_the_session_behind() {
    let outbox = following();
    push(&outbox, [kept(6)]);
    outbox.fall_behind();
    let taken = outbox.take(true);
    assert!(taken.place_behind && taken.live.is_empty());
    assert!(!outbox.try_live_place(Position(5)), "the message was noted");
}

#[test]
fn what_the_log_got_meanwhile_has_to_be_read() {
    let outbox = durable();
    outbox.note(Position(9));
    outbox.note(Position(3));
    assert!(!outbox.try_live_place(Position(8)));
    assert!(outbox.try_live_place(Position(9)));
}

#[test]
fn session_that_is_not_durable_is_never_behind_nor_idle() {
    let outbox = outbox(1, false);
    push(&outbox, [kept(6)]);
    let taken = outbox.take(true);
    assert!(!taken.place_behind && taken.live.is_empty(), "nothing is kept for it");
    assert!(!outbox.try_live_place(Position(9)) && !outbox.is_place_behind() && !outbox.is_place_idle());
}
