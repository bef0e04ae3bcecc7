//! Runs of packets: as many as the client takes, each under an identifier of the session's own.

use super::*;
use crate::codec::{Run, RunBuilder};

fn run(qos: u8, payloads: &[&str]) -> Run {
    let mut builder = RunBuilder::new(Version::V5, QoS::from_bits(qos).expect("a QoS"));
    for payload in payloads {
        builder.push(b"t", &[], payload.as_bytes(), &[]);
    }
    builder.finish(false)
}

#[test]
fn qos0_goes_out_whole_behind_what_is_there() {
    let mut session = session(v5());
    let (sent, left) = session.send_run(run(0, &["a", "bc"]));
    assert_eq!((sent.messages, sent.payload_bytes, left.is_none()), (2, 3, true));
    session.send_run(run(0, &["d"]));
    assert_eq!(
        written(&mut session),
        ["PUBLISH q0 t 'a'", "PUBLISH q0 t 'bc'", "PUBLISH q0 t 'd'"]
    );
    assert_eq!(session.take_packets_written(), 3);
}

#[test]
fn a_run_that_others_have_is_copied() {
    let (mut first, mut second) = (session(v5()), session(v5()));
    let shared = run(0, &["a"]);
    first.send_run(shared.clone());
    second.send_run(shared);
    assert_eq!(written(&mut first), written(&mut second));
}

#[test]
fn qos1_goes_out_as_far_as_receive_maximum_allows() {
    let mut session = session(receive_maximum(2));
    let (sent, left) = session.send_run(run(1, &["a", "b", "cd"]));
    assert_eq!((sent.messages, sent.payload_bytes), (2, 2));
    assert_eq!(written(&mut session), ["PUBLISH q1 #1 t 'a'", "PUBLISH q1 #2 t 'b'"]);
    assert_eq!((session.in_flight(), session.send_quota()), (2, 0));
    let (sent, left) = session.send_run(left.expect("one is left"));
    assert_eq!(sent.messages, 0);
    assert_eq!(acknowledge(&mut session, Packet::PubAck, 2, 0), None);
    let (sent, left) = session.send_run(left.expect("it is still left"));
    assert_eq!((sent.messages, sent.payload_bytes, left.is_none()), (1, 2, true));
    assert_eq!(written(&mut session), ["PUBLISH q1 #3 t 'cd'"]);
}

#[test]
fn identifiers_of_runs_and_of_other_messages_do_not_meet() {
    let mut session = session(receive_maximum(u16::MAX));
    assert!(send(&mut session, live(1, "single")));
    let many = vec![""; 65_534];
    let (sent, left) = session.send_run(run(1, &many));
    assert_eq!((sent.messages, left.is_none()), (65_534, true));
    assert_eq!(session.in_flight(), 65_535);
    let (sent, left) = session.send_run(run(1, &["one more"]));
    assert_eq!((sent.messages, left.map(|run| run.packets())), (0, Some(1)));
    session.output().clear();
    acknowledge(&mut session, Packet::PubAck, 700, 0);
    session.send_run(run(1, &["one more"]));
    assert_eq!(written(&mut session), ["PUBLISH q1 #700 t 'one more'"]);
}

#[test]
fn quota_is_not_given_back_twice() {
    let mut session = session(receive_maximum(2));
    session.send_run(run(1, &["a"]));
    acknowledge(&mut session, Packet::PubAck, 1, 0);
    acknowledge(&mut session, Packet::PubAck, 1, 0);
    assert_eq!((session.in_flight(), session.send_quota()), (0, 2));
}

#[test]
fn puback_of_a_run_may_refuse() {
    let mut session = session(receive_maximum(1));
    session.send_run(run(1, &["a"]));
    acknowledge(&mut session, Packet::PubAck, 1, 0x97);
    assert_eq!(session.send_quota(), 1);
}

#[test]
fn who_uses_aliases_or_takes_not_every_size_gets_messages_one_by_one() {
    assert!(session(v5()).takes_runs(Version::V5));
    assert!(!session(v5()).takes_runs(Version::V3));
    assert!(session(v3()).takes_runs(Version::V3));
    let aliases = LinkOptions {
        client_topic_alias_maximum: 1,
        ..v5()
    };
    let small = LinkOptions {
        client_maximum_packet_size: 1_000_000,
        ..v5()
    };
    assert!(!session(aliases).takes_runs(Version::V5) && !session(small).takes_runs(Version::V5));
}

#[test]
fn a_message_is_answered_at_once_unless_one_before_it_waits() {
    let mut session = session(v5());
    assert!(session.answers_at_once());
    session.answer(id(7), ReasonCode::Success);
    session.answer(id(8), ReasonCode::NoMatchingSubscribers);
    assert_eq!(written(&mut session), ["PUBACK #7", "PUBACK #8 0x10"]);
    let token = publish_new(&mut session, 1, 9);
    assert!(!session.answers_at_once());
    accept(&mut session, token);
    assert!(session.answers_at_once());
    let token = publish_new(&mut session, 2, 9);
    accept(&mut session, token);
    assert!(!session.answers_at_once(), "PUBREL is still to come");
}

#[test]
fn an_answer_that_the_client_does_not_take_is_left_out() {
    let tiny = LinkOptions {
        client_maximum_packet_size: 4,
        ..v5()
    };
    let mut session = session(tiny);
    session.answer(id(7), ReasonCode::NoMatchingSubscribers);
    session.answer(id(7), ReasonCode::Success);
    assert_eq!(written(&mut session), ["PUBACK #7"]);
}
