//! The place of a session on its way to disk and back.

use super::*;
use crate::broker::testing::message;
use crate::session::{LinkOptions, Sent};
use crate::types::{PacketId, QoS};

const NOW: Timestamp = Timestamp(1);

fn delivery(qos: QoS, source: Source, size: usize) -> Delivery {
    Delivery {
        message: message("t", qos, &vec![0; size]),
        qos,
        retain: size == 7,
        subscription_ids: [size as u32].into_iter().collect(),
        source,
        event: None,
    }
}

fn new_session() -> Session {
    let mut session = Session::new("client".into(), LinkOptions::default());
    session.make_durable();
    session
}

fn send(session: &mut Session, delivery: Delivery) {
    assert!(matches!(session.send(delivery, NOW), Sent::Written));
}

fn id(n: u16) -> PacketId {
    PacketId::new(n).expect("not zero")
}

/// Sent 11 to 15; 12 and 14 are acknowledged. In flight as well: an event of a replay, and messages that no log has.
fn busy() -> (Durable, Session) {
    let (mut durable, mut session) = (Durable::new(SessionId(4), Timestamp(9), Position(10)), new_session());
    for position in 11..=15 {
        let source = Source::Session(Position(position));
        send(&mut session, delivery(QoS::ExactlyOnce, source, 7));
        durable.place.sent(Position(position));
    }
    send(
        &mut session,
        delivery(QoS::AtLeastOnce, Source::Replay(SubscriptionKey(3), Position(2)), 8),
    );
    send(
        &mut session,
        delivery(QoS::AtLeastOnce, Source::Group(SubscriptionKey(4), Position(3)), 8),
    );
    send(&mut session, delivery(QoS::ExactlyOnce, Source::Retained, 9));
    send(&mut session, delivery(QoS::ExactlyOnce, Source::Live, 9));
    for number in [2, 4] {
        acknowledge(&mut session, number, 0x80);
        durable.place.acked(Position(10 + u64::from(number)));
    }
    for number in [3, 9] {
        acknowledge(&mut session, number, 0);
    }
    (durable, session)
}

fn acknowledge(session: &mut Session, packet_id: u16, code: u8) {
    let reason = crate::types::ReasonCode::from_byte(code).expect("a reason");
    let ack = crate::codec::Ack::new(id(packet_id), reason);
    session
        .handle_packet(crate::codec::Packet::PubRec(ack))
        .expect("no fault");
}

#[test]
fn place_comes_back_as_it_was_with_everything_in_flight() {
    let (durable, session) = busy();
    let record = durable.record(&session);
    assert_eq!(
        (record.session, record.floor, record.sent),
        (SessionId(4), Position(10), Position(15))
    );
    assert_eq!(record.acked, [Position(12), Position(14)]);
    let numbers: Vec<u16> = record.in_flight.iter().map(|record| record.packet_id.get()).collect();
    assert_eq!(
        (numbers, record.last_packet_id),
        (vec![1, 3, 5, 6, 8, 9], 9),
        "a group's is not its own"
    );
    let completing = record.in_flight.iter().map(|record| record.completing);
    assert_eq!(completing.collect::<Vec<_>>(), [false, true, false, false, false, true]);
    let mut value = Vec::new();
    record.encode(&mut value);
    let read = PlaceRecord::decode(&crate::store::session_key(SessionId(4)), &value).expect("a row");
    let mut restored = new_session();
    restored.restore([], read.last_packet_id);
    let again = Durable::restore(SessionId(4), Timestamp(9), &read);
    assert_eq!(again.record(&restored), record);
}

#[test]
fn restored_place_rises_as_what_was_in_flight_is_acknowledged() {
    let (durable, session) = busy();
    let mut again = Durable::restore(SessionId(4), Timestamp(9), &durable.record(&session));
    assert!(again.behind, "the log is read first");
    assert_eq!((again.place.read_to(), again.scanned_to), (Position(15), Position(15)));
    for (acked, floor) in [(13, 10), (11, 14), (15, 15)] {
        assert!(again.place.acked(Position(acked)));
        assert_eq!(again.place.floor(), Position(floor), "after {acked}");
    }
}

#[test]
fn copies_that_no_log_has_are_bounded_and_those_that_fit_are_kept() {
    let (durable, mut session) = (Durable::new(SessionId(4), Timestamp(9), Position(0)), new_session());
    let half = MOST_OWN_BYTES / 2 + 1;
    for size in [half, half, 10] {
        send(&mut session, delivery(QoS::AtLeastOnce, Source::Live, size));
    }
    let kept: Vec<bool> = durable
        .record(&session)
        .in_flight
        .iter()
        .map(|record| matches!(&record.from, InFlightFrom::Own(Some(_))))
        .collect();
    assert_eq!(kept, [true, false, true]);
}

#[test]
fn place_is_saved_when_something_in_flight_or_the_floor_has_changed() {
    let (mut durable, mut session) = (Durable::new(SessionId(4), Timestamp(9), Position(10)), new_session());
    assert!(durable.save(&session).is_none());
    send(
        &mut session,
        delivery(QoS::AtLeastOnce, Source::Session(Position(11)), 1),
    );
    durable.place.sent(Position(11));
    assert_eq!(durable.save(&session).map(|(_, number)| number), Some(1));
    assert!(durable.save(&session).is_none());
    durable.place.acked(Position(11));
    assert_eq!(
        durable.save(&session).map(|(_, number)| number),
        Some(1),
        "the floor rose"
    );
    durable.skip_to(Position(20));
    let Some((Command::SavePlace(record), _)) = durable.save(&session) else {
        panic!("what was given up is saved");
    };
    assert_eq!(record.floor, Position(20));
}
