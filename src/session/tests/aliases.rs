//! Topic aliases, both ways (section 3.3.2.3.4).

use super::*;

fn aliases(ours: u16, theirs: u16) -> LinkOptions {
    LinkOptions {
        server_topic_alias_maximum: ours,
        client_topic_alias_maximum: theirs,
        ..v5()
    }
}

/// What topic the session takes a PUBLISH with an alias for.
fn incoming(session: &mut Session, topic: &'static str, alias: u16) -> Result<String, ReasonCode> {
    let Packet::Publish(publish) = publish(0, 0) else {
        unreachable!("a PUBLISH")
    };
    let publish = Publish {
        topic,
        topic_alias: Some(alias),
        ..publish
    };
    match session.handle_packet(Packet::Publish(publish)) {
        Ok(Action::Publish(incoming)) => Ok(incoming.topic.to_string()),
        Ok(other) => panic!("not published: {other:?}"),
        Err(fault) => Err(fault.reason),
    }
}

#[test]
fn clients_alias_stands_for_the_topic_it_was_given_last() {
    let mut session = session(aliases(2, 0));
    for (topic, alias, expected) in [
        ("a", 1, "a"),
        ("b", 2, "b"),
        ("", 1, "a"),
        ("c", 1, "c"),
        ("", 1, "c"),
        ("", 2, "b"),
    ] {
        assert_eq!(incoming(&mut session, topic, alias), Ok(expected.to_owned()));
    }
}

#[test]
fn clients_alias_of_zero_or_above_the_maximum_is_0x94() {
    for alias in [0, 3, u16::MAX] {
        let mut session = session(aliases(2, 0));
        assert_eq!(incoming(&mut session, "a", alias), Err(ReasonCode::TopicAliasInvalid));
    }
    let mut none = session(aliases(0, 9));
    assert_eq!(incoming(&mut none, "a", 1), Err(ReasonCode::TopicAliasInvalid));
}

#[test]
fn clients_alias_that_was_never_set_is_a_protocol_error() {
    let mut session = session(aliases(2, 0));
    assert_eq!(incoming(&mut session, "", 1), Err(ReasonCode::ProtocolError));
}

#[test]
fn clients_aliases_end_with_the_connection() {
    let mut session = session(aliases(2, 0));
    assert!(incoming(&mut session, "a", 1).is_ok());
    session.connection_lost();
    session.resume(aliases(2, 0));
    assert_eq!(incoming(&mut session, "", 1), Err(ReasonCode::ProtocolError));
}

#[test]
fn topic_goes_out_with_its_alias_once_and_as_the_alias_afterwards() {
    let mut session = session(aliases(0, 2));
    for topic in ["a", "b", "c", "a", "b", "c"] {
        assert!(send(&mut session, delivery(topic, 0, "x", None)));
    }
    assert_eq!(
        written(&mut session),
        [
            "PUBLISH q0 a alias=1 'x'",
            "PUBLISH q0 b alias=2 'x'",
            "PUBLISH q0 c 'x'",
            "PUBLISH q0 alias=1 'x'",
            "PUBLISH q0 alias=2 'x'",
            "PUBLISH q0 c 'x'"
        ]
    );
}

#[test]
fn no_alias_goes_out_to_a_client_that_takes_none() {
    for options in [aliases(9, 0), v3()] {
        let mut session = session(options);
        for _ in 0..2 {
            assert!(send(&mut session, live(0, "x")));
        }
        assert_eq!(written(&mut session), ["PUBLISH q0 t 'x'"; 2]);
    }
}

#[test]
fn our_aliases_end_with_the_connection() {
    let mut session = session(aliases(0, 2));
    assert!(send(&mut session, live(1, "x")));
    written(&mut session);
    session.connection_lost();
    session.resume(aliases(0, 2));
    session.resend(NOW, usize::MAX);
    assert!(send(&mut session, live(0, "y")));
    assert_eq!(
        written(&mut session),
        ["PUBLISH q1 #1 dup t alias=1 'x'", "PUBLISH q0 alias=1 'y'"]
    );
}

#[test]
fn alias_is_not_taken_by_a_message_that_is_not_sent() {
    let mut session = session(LinkOptions {
        client_receive_maximum: 1,
        client_maximum_packet_size: 20,
        ..aliases(0, 1)
    });
    assert!(send(&mut session, delivery("a", 1, "x", None)));
    assert!(!send(&mut session, delivery("b", 1, "x", None)), "blocked");
    let mut session = self::session(LinkOptions {
        client_maximum_packet_size: 20,
        ..aliases(0, 1)
    });
    let large = delivery("a", 0, "more than twenty bytes", None);
    assert_eq!(dropped(&mut session, large, NOW), Some(DropReason::TooLarge));
    assert!(send(&mut session, delivery("b", 0, "x", None)));
    assert_eq!(written(&mut session), ["PUBLISH q0 b alias=1 'x'"]);
}
