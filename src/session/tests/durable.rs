//! What a durable session writes only when it is on disk, and what it counts as a change of what is in flight.

use super::*;

pub(super) fn durable(options: LinkOptions) -> Session {
    let mut session = session(options);
    session.make_durable();
    session
}

/// Everything that has changed is on disk.
fn save(session: &mut Session) {
    let (changes, _) = session.changes();
    assert!(session.saved(changes, NOW).is_empty());
}

/// The client releases a QoS 2 message that is known: its identifier is to go from the disk.
fn release(session: &mut Session, packet_id: u16) {
    let action = session.handle_packet(Packet::PubRel(Ack::new(id(packet_id), ReasonCode::Success)));
    assert!(matches!(action, Ok(Action::Release(known)) if known == id(packet_id)));
}

#[test]
fn qos2_waits_until_its_identifier_is_on_disk() {
    let mut session = durable(v5());
    assert!(send(&mut session, kept(2, 7)));
    let (first, _) = session.changes();
    assert!(send(&mut session, kept(2, 8)));
    assert!(session.saved(first - 1, NOW).is_empty());
    assert!(written(&mut session).is_empty(), "an earlier change is on disk");
    session.saved(first, NOW);
    assert_eq!(written(&mut session), ["PUBLISH q2 #1 t '7'"]);
    save(&mut session);
    assert_eq!(written(&mut session), ["PUBLISH q2 #2 t '8'"]);
    save(&mut session);
    assert!(written(&mut session).is_empty(), "once");
}

#[test]
fn qos1_alone_goes_out_at_once() {
    let mut session = durable(v5());
    assert!(send(&mut session, kept(1, 7)));
    assert_eq!(written(&mut session), ["PUBLISH q1 #1 t '7'"]);
    save(&mut session);
    assert!(written(&mut session).is_empty(), "once");
}

#[test]
fn qos1_behind_qos2_waits_as_well_and_qos0_does_not() {
    let mut session = durable(v5());
    for delivery in [kept(1, 1), kept(2, 2), kept(1, 3), live(0, "4"), kept(2, 5)] {
        assert!(send(&mut session, delivery));
    }
    assert_eq!(written(&mut session), ["PUBLISH q1 #1 t '1'", "PUBLISH q0 t '4'"]);
    save(&mut session);
    assert_eq!(
        written(&mut session),
        ["PUBLISH q2 #2 t '2'", "PUBLISH q1 #3 t '3'", "PUBLISH q2 #4 t '5'"]
    );
    assert!(send(&mut session, kept(1, 6)));
    assert_eq!(written(&mut session), ["PUBLISH q1 #5 t '6'"], "nothing waits any more");
}

#[test]
fn what_waits_takes_its_place_of_receive_maximum() {
    let mut session = durable(receive_maximum(2));
    assert!(send(&mut session, kept(2, 1)) && send(&mut session, kept(1, 2)));
    assert!(!send(&mut session, kept(1, 3)));
    assert_eq!((session.send_quota(), session.in_flight()), (0, 2));
}

#[test]
fn pubrel_waits_until_the_disk_says_completing() {
    let mut session = durable(v5());
    assert!(send(&mut session, kept(2, 7)));
    save(&mut session);
    written(&mut session);
    let (saved, _) = session.changes();
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    session.saved(saved, NOW);
    assert!(written(&mut session).is_empty(), "that was before PUBREC");
    assert!(session.in_flight_places().0[0].completing);
    save(&mut session);
    assert_eq!(written(&mut session), ["PUBREL #1"]);
    let acked = acknowledge(&mut session, Packet::PubComp, 1, 0);
    assert_eq!(acked, Some(Source::Session(Position(7))));
}

#[test]
fn second_pubrec_adds_no_pubrel_while_the_first_waits() {
    let mut session = durable(v5());
    assert!(send(&mut session, kept(2, 7)));
    save(&mut session);
    written(&mut session);
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    assert!(written(&mut session).is_empty());
    save(&mut session);
    assert_eq!(written(&mut session), ["PUBREL #1"]);
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    assert_eq!(written(&mut session), ["PUBREL #1"], "it is on disk by now");
}

#[test]
fn pubrec_of_what_is_not_in_flight_is_answered_at_once() {
    let mut session = durable(v5());
    acknowledge(&mut session, Packet::PubRec, 9, 0);
    assert_eq!(written(&mut session), ["PUBREL #9 0x92"]);
}

#[test]
fn changes_that_the_client_has_seen_are_urgent_and_acknowledgements_are_not() {
    let mut session = durable(v5());
    assert_eq!(session.changes(), (0, 0));
    assert!(send(&mut session, live(0, "0")));
    assert_eq!(session.changes(), (0, 0), "no identifier");
    assert!(send(&mut session, kept(1, 1)));
    assert_eq!(session.changes(), (1, 1));
    assert!(send(&mut session, kept(2, 2)));
    assert_eq!(session.changes(), (2, 2));
    save(&mut session);
    acknowledge(&mut session, Packet::PubAck, 1, 0);
    assert_eq!(session.changes(), (3, 2));
    acknowledge(&mut session, Packet::PubRec, 2, 0);
    assert_eq!(session.changes(), (4, 4));
    save(&mut session);
    acknowledge(&mut session, Packet::PubComp, 2, 0);
    assert_eq!(session.changes(), (5, 4));
}

#[test]
fn session_that_is_not_durable_waits_for_nothing_and_counts_nothing() {
    let mut session = session(v5());
    assert!(send(&mut session, live(2, "a")));
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    assert_eq!(written(&mut session), ["PUBLISH q2 #1 t 'a'", "PUBREL #1"]);
    assert_eq!(session.changes(), (0, 0));
}

#[test]
fn message_found_too_large_when_it_is_written_frees_its_identifier_and_its_place() {
    let small = LinkOptions {
        client_maximum_packet_size: 20,
        client_receive_maximum: 2,
        ..v5()
    };
    let mut session = durable(small);
    let large = Delivery {
        source: Source::Session(Position(1)),
        ..live(2, "more than twenty bytes in all")
    };
    assert!(send(&mut session, large) && send(&mut session, kept(1, 2)));
    let (changes, _) = session.changes();
    assert_eq!(session.saved(changes, NOW), [Source::Session(Position(1))]);
    assert_eq!(written(&mut session), ["PUBLISH q1 #2 t '2'"]);
    assert_eq!((session.send_quota(), session.in_flight()), (1, 1));
    assert!(session.changes().0 > changes, "it is in flight on disk");
}

#[test]
fn what_waits_goes_out_past_its_expiry() {
    let mut session = durable(v5());
    assert!(send(&mut session, delivery("t", 2, "a", Some(5))));
    let (changes, _) = session.changes();
    session.saved(changes, after(100));
    assert_eq!(written(&mut session), ["PUBLISH q2 #1 t expiry=1 'a'"]);
}

#[test]
fn make_own_takes_the_messages_of_such_topics_out_of_the_log() {
    let mut session = durable(v5());
    for (topic, position) in [("t", 1), ("u", 2), ("u", 3)] {
        let source = Source::Session(Position(position));
        let text = position.to_string();
        assert!(send(
            &mut session,
            Delivery {
                source,
                ..delivery(topic, 2, &text, None)
            }
        ));
    }
    save(&mut session);
    acknowledge(&mut session, Packet::PubRec, 3, 0);
    save(&mut session);
    let (_, urgent) = session.changes();
    assert!(session.make_own(|topic| topic == "v").is_empty());
    assert_eq!(session.changes().1, urgent, "nothing has changed");
    assert_eq!(session.make_own(|topic| topic == "u"), [Position(2)]);
    assert!(
        session.changes().1 > urgent,
        "the log may let go of it once that is on disk"
    );
    let (places, _) = session.in_flight_places();
    let sources: Vec<_> = places
        .iter()
        .map(|place| (place.source, place.message.is_some()))
        .collect();
    let of_log = |position| (Source::Session(Position(position)), false);
    assert_eq!(
        sources,
        [of_log(1), (Source::Live, true), of_log(3)],
        "PUBREL needs no message"
    );
    acknowledge(&mut session, Packet::PubRec, 2, 0);
    save(&mut session);
    assert_eq!(
        acknowledge(&mut session, Packet::PubComp, 2, 0),
        None,
        "its place is done with"
    );
}

#[test]
fn pubcomp_waits_until_the_identifier_is_gone_from_the_disk() {
    let mut session = durable(v5());
    let token = publish_new(&mut session, 2, 7);
    accept(&mut session, token);
    written(&mut session);
    release(&mut session, 7);
    assert!(written(&mut session).is_empty());
    publish_again(&mut session, 2, 7);
    assert_eq!(written(&mut session), ["PUBREC #7"], "it is known until then");
    session.handle_released(id(7), true);
    assert_eq!(written(&mut session), ["PUBCOMP #7"]);
    assert_eq!(session.unacknowledged(), 0);
    session.handle_released(id(7), true);
    assert!(written(&mut session).is_empty(), "once");
    publish_new(&mut session, 2, 7);
}

#[test]
fn release_that_fails_keeps_the_identifier_and_the_client_may_ask_again() {
    let mut session = durable(v5());
    let token = publish_new(&mut session, 2, 7);
    accept(&mut session, token);
    written(&mut session);
    release(&mut session, 7);
    session.handle_released(id(7), false);
    assert!(written(&mut session).is_empty());
    publish_again(&mut session, 2, 7);
    assert_eq!(written(&mut session), ["PUBREC #7"]);
    release(&mut session, 7);
    session.handle_released(id(7), true);
    assert_eq!(written(&mut session), ["PUBCOMP #7"]);
}

#[test]
fn second_pubrel_while_the_release_is_under_way_asks_for_nothing() {
    let mut session = durable(v5());
    let token = publish_new(&mut session, 2, 7);
    accept(&mut session, token);
    written(&mut session);
    release(&mut session, 7);
    acknowledge(&mut session, Packet::PubRel, 7, 0);
    session.handle_released(id(7), true);
    assert_eq!(written(&mut session), ["PUBCOMP #7"]);
    acknowledge(&mut session, Packet::PubRel, 7, 0);
    assert_eq!(written(&mut session), ["PUBCOMP #7 0x92"]);
}
