//! A durable session between its connections, and across a restart of the broker.

use super::durable::durable;
use super::*;

/// The connection is gone; what is in flight is kept without its messages.
fn lose(session: &mut Session) -> Vec<InFlightPlace> {
    session.connection_lost();
    session.unload()
}

/// The client is back; the messages are read from the log again.
fn come_back(session: &mut Session, places: Vec<InFlightPlace>) {
    for place in places {
        let delivery = match place.source {
            _ if place.completing => None,
            Source::Session(position) => Some(kept(place.qos.bits(), position.0)),
            source => place.message.clone().map(|message| Delivery {
                message,
                source,
                ..live(place.qos.bits(), "")
            }),
        };
        session.load(place, delivery);
    }
    session.resume(v5());
}

fn resend(session: &mut Session) -> Vec<String> {
    assert!(session.resend(NOW, usize::MAX).is_empty());
    written(session)
}

fn save(session: &mut Session) {
    let (changes, _) = session.changes();
    assert!(session.saved(changes, NOW).is_empty());
}

/// In flight: `1` and `2` sent, `3` completing, `4` of no log.
fn busy() -> Session {
    let mut session = durable(v5());
    for delivery in [kept(1, 1), kept(2, 2), kept(2, 3), live(1, "4")] {
        assert!(send(&mut session, delivery));
    }
    save(&mut session);
    acknowledge(&mut session, Packet::PubRec, 3, 0);
    save(&mut session);
    written(&mut session);
    session
}

const BUSY_AGAIN: [&str; 4] = [
    "PUBLISH q1 #1 dup t '1'",
    "PUBLISH q2 #2 dup t '2'",
    "PUBREL #3",
    "PUBLISH q1 #4 dup t '4'",
];

#[test]
fn unload_and_load_keep_identifiers_order_dup_and_what_is_completing() {
    let mut session = busy();
    let places = lose(&mut session);
    assert_eq!(session.in_flight(), 0, "only the places are kept");
    assert_eq!(places.iter().filter(|place| place.message.is_some()).count(), 1);
    come_back(&mut session, places);
    assert_eq!(resend(&mut session), BUSY_AGAIN);
    assert!(session.resend_is_complete());
    assert_eq!(session.send_quota(), u16::MAX - 4);
    assert_eq!(
        acknowledge(&mut session, Packet::PubComp, 3, 0),
        Some(Source::Session(Position(3)))
    );
    assert!(send(&mut session, kept(1, 5)));
    assert_eq!(written(&mut session), ["PUBLISH q1 #5 t '5'"]);
}

#[test]
fn restart_goes_on_with_what_is_in_flight_and_behind_the_last_identifier() {
    let mut before = busy();
    let received = publish_new(&mut before, 2, 9);
    accept(&mut before, received);
    let (places, last) = before.in_flight_places();
    let mut session = durable(v5());
    session.restore(before.received(), last);
    come_back(&mut session, places);
    assert_eq!(resend(&mut session), BUSY_AGAIN);
    acknowledge(&mut session, Packet::PubAck, 1, 0);
    assert!(send(&mut session, kept(1, 5)));
    assert_eq!(written(&mut session), ["PUBLISH q1 #5 t '5'"]);
}

#[test]
fn message_received_before_a_restart_is_known_and_can_be_released() {
    let mut session = durable(v5());
    session.restore([id(7), id(9)], 0);
    publish_again(&mut session, 2, 7);
    assert_eq!(written(&mut session), ["PUBREC #7"]);
    assert_eq!(session.unacknowledged(), 2);
    let action = session.handle_packet(Packet::PubRel(Ack::new(id(7), ReasonCode::Success)));
    assert!(matches!(action, Ok(Action::Release(_))));
    session.handle_released(id(7), true);
    assert_eq!(written(&mut session), ["PUBCOMP #7"]);
    publish_new(&mut session, 2, 7);
}

#[test]
fn what_waited_when_the_connection_was_lost_comes_once_on_the_next() {
    let mut session = durable(v5());
    assert!(send(&mut session, kept(2, 1)) && send(&mut session, kept(1, 2)));
    let (changes, _) = session.changes();
    let places = lose(&mut session);
    assert!(session.saved(changes, NOW).is_empty());
    assert!(written(&mut session).is_empty(), "there is no connection");
    come_back(&mut session, places);
    assert_eq!(
        resend(&mut session),
        ["PUBLISH q2 #1 dup t '1'", "PUBLISH q1 #2 dup t '2'"]
    );
    save(&mut session);
    assert!(written(&mut session).is_empty(), "once");
}

#[test]
fn pubrel_that_waited_when_the_connection_was_lost_comes_once_on_the_next() {
    let mut session = durable(v5());
    assert!(send(&mut session, kept(2, 1)));
    save(&mut session);
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    let places = lose(&mut session);
    come_back(&mut session, places);
    assert_eq!(resend(&mut session), ["PUBREL #1"]);
    save(&mut session);
    assert!(written(&mut session).is_empty(), "once");
}

#[test]
fn save_that_was_under_way_when_the_connection_was_lost_lets_nothing_new_out() {
    let mut session = durable(v5());
    assert!(send(&mut session, kept(2, 1)));
    let (under_way, _) = session.changes();
    let places = lose(&mut session);
    come_back(&mut session, places);
    resend(&mut session);
    assert!(send(&mut session, kept(2, 2)));
    session.saved(under_way, NOW);
    assert!(written(&mut session).is_empty(), "identifier 2 is not on disk");
    save(&mut session);
    assert_eq!(written(&mut session), ["PUBLISH q2 #2 t '2'"]);
}

fn pubrel() -> Packet<'static> {
    Packet::PubRel(Ack::new(id(7), ReasonCode::Success))
}

/// A session whose client is back while identifier 7, which it released before, is on its way off the disk.
fn back_while_releasing() -> Session {
    let mut session = durable(v5());
    session.restore([id(7)], 0);
    assert!(matches!(session.handle_packet(pubrel()), Ok(Action::Release(_))));
    let places = lose(&mut session);
    come_back(&mut session, places);
    session
}

#[test]
fn pubrel_on_a_new_connection_gets_pubcomp_when_the_release_under_way_is_done() {
    let mut session = back_while_releasing();
    let again = session.handle_packet(pubrel());
    assert!(matches!(again, Ok(Action::None)), "under way");
    assert!(written(&mut session).is_empty());
    session.handle_released(id(7), true);
    assert_eq!(written(&mut session), ["PUBCOMP #7"]);
}

#[test]
fn release_that_only_an_earlier_connection_asked_for_is_not_answered() {
    let mut session = back_while_releasing();
    session.handle_released(id(7), true);
    assert!(written(&mut session).is_empty());
    acknowledge(&mut session, Packet::PubRel, 7, 0);
    assert_eq!(written(&mut session), ["PUBCOMP #7 0x92"]);
}

#[test]
fn messages_of_groups_are_not_among_the_places() {
    let mut session = durable(v5());
    assert!(send(&mut session, kept(2, 1)));
    assert!(send(&mut session, stored(1, 2, Source::Group)));
    assert!(send(&mut session, stored(1, 3, Source::Replay)));
    session.forget_in_flight(|source| matches!(source, Source::Replay(..)));
    let (places, last) = session.in_flight_places();
    assert_eq!((places.len(), last), (1, 3));
    assert_eq!(lose(&mut session).len(), 1);
}
