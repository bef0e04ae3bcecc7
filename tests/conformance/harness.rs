//! Tests of the runner itself: what should fail fails, at the line that is wrong.

use super::report::Outcome;
use super::script::{self, Version};
use super::virtual_time::run_case;
use super::{decode, encode, text};

/// The line at which a case of MQTT 5.0 fails, and what came; `None` if it holds.
fn failure(steps: &str) -> Option<(usize, String)> {
    let text = format!("== a_case\nversions: 5\n{steps}");
    let cases = script::parse("folder/file", &text).expect("a script");
    match run_case(&cases[0], Version::V5) {
        Outcome::Failed(failure) => Some((failure.line - 2, failure.came)),
        _ => None,
    }
}

const HEAD: &str = "join s\nsub s {T}/#\njoin p\n";

#[track_caller]
fn fails(steps: &str, line: usize, came: &str) {
    let (found, what) = failure(&format!("{HEAD}{steps}")).expect("it fails");
    assert_eq!(found, line + 3, "{what}");
    assert!(what.contains(came), "{what}");
}

#[test]
fn a_right_case_holds() {
    let steps = "pub p {T}/a payload=m user=a:1\n< s PUBLISH topic={T}/a payload=m user=a:1\n< s nothing\nleave p";
    assert_eq!(failure(&format!("{HEAD}{steps}")), None);
}

#[test]
fn what_differs_fails_at_its_line() {
    fails("pub p {T}/a payload=m\n< s PUBLISH payload=n", 2, "payload is m");
    fails("pub p {T}/a payload=m\n< s PUBLISH topic={T}/b", 2, "topic is t0/a");
    fails("pub p {T}/a payload=m\n< s PUBLISH retain", 2, "retain is 0");
    fails("pub p {T}/a payload=m\n< s PUBLISH topic_alias=*", 2, "no topic_alias");
    fails("pub p {T}/a payload=m\n< s PINGRESP", 2, "no PINGRESP");
    fails(
        "> p SUBSCRIBE id=1 filter={T}\n< p SUBACK id=1 codes=1",
        1 + 1,
        "codes are 0",
    );
    fails(
        "> p SUBSCRIBE id=1 filter={T}\n< p SUBACK id=1 codes=0,0",
        2,
        "codes are 0",
    );
}

#[test]
fn what_no_argument_names_fails() {
    fails("pub p {T}/a user=a:1\n< s PUBLISH topic={T}/a", 2, "user properties");
    fails(
        "pub p {T}/a content_type=t\n< s PUBLISH topic={T}/a",
        2,
        "content_type=t",
    );
    fails(
        "sub s {T}/a subscription_id=7\npub p {T}/a\n< s PUBLISH topic={T}/a",
        3,
        "identifiers",
    );
    fails("> p PUBLISH topic={T}/+ qos=1 id=1\n< p PUBACK id=1", 2, "no PUBACK");
}

#[test]
fn what_comes_unasked_fails() {
    fails("pub p {T}/a payload=m\n< s nothing", 2, "PUBLISH topic=t0/a");
    fails("pub p {T}/a payload=m", 1, "s got: [PUBLISH");
    fails("> p bytes 00 00", 1, "the connection of p ended");
    fails("> p CONNECT\n< p ends 0x81", 2, "DISCONNECT code=130");
    fails("> p CONNECT\n< p closed", 2, "DISCONNECT code=130");
}

#[test]
fn what_does_not_come_fails() {
    fails("leave p\n< p PINGRESP", 2, "the connection ended");
    fails("< s ends", 1, "the connection stays");
}

#[test]
fn a_script_with_a_fault_is_not_read() {
    for (text, why) in [
        ("> c PINGREQ", "begins with =="),
        ("== Name\nversions: 5\n> c PINGREQ", "small letters"),
        ("== a\n> c PINGREQ", "has a version and steps"),
        ("== a\nversions: 5", "has a version and steps"),
        ("== a\nversions: 4", "no version: 4"),
        ("== a\nversions: 5\nneeds: luck", "no runner offers luck"),
        ("== a\nversions: 5\nwait c", "no step begins with wait"),
        ("== a\nversions: 5\n+5m", "no time"),
        ("== a\nversions: 5\n> c PUBLISH topic=\"x", "not closed"),
    ] {
        let fault = script::parse("folder/file", text).expect_err(text);
        assert!(fault.contains(why), "{fault}");
    }
}

#[test]
fn a_line_that_cannot_be_written_fails() {
    fails("> p PUBLISH topic={nothing}", 1, "nothing was kept as nothing");
    fails("> p PUBLISH topics=a", 1, "no argument of a packet is called topics");
    fails("> p PUBLISH topic=a qos=1", 1, "names its id");
    fails("> p PUBLISHED", 1, "no packet is called PUBLISHED");
}

#[test]
fn malformed_packets_are_written_as_asked() {
    let bytes = |version, line: &str| {
        let args = text::args(line).expect("arguments");
        encode::packet(version, &args[0].name, &args[1..]).expect("a packet")
    };
    let rows: &[(&str, &[u8])] = &[
        ("PINGREQ flags=3 length_bytes=2", &[0xC3, 0x80, 0x00]),
        ("PUBACK id=1 append=hex:00", &[0x40, 3, 0, 1, 0]),
        ("PUBLISH topic=ab cut=1", &[0x30, 4, 0, 2, b'a', b'b']),
        ("PUBLISH topic=a length=9", &[0x30, 9, 0, 1, b'a', 0]),
        ("PUBLISH topic=a property_length=5", &[0x30, 4, 0, 1, b'a', 5]),
        ("DISCONNECT code=0 session_expiry=1", &[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 1]),
        (
            "SUBSCRIBE id=1 filter=a qos=1 rap rh=2 no_local",
            &[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x2D],
        ),
    ];
    for (line, expected) in rows {
        assert_eq!(bytes(Version::V5, line), *expected, "{line}");
    }
    assert_eq!(
        bytes(Version::V3, "UNSUBSCRIBE id=1 filter=a"),
        [0xA2, 5, 0, 1, 0, 1, b'a']
    );
}

#[test]
fn malformed_packets_of_a_server_are_seen() {
    let rows: &[(&[u8], &str)] = &[
        (&[0xD1, 0], "reserved flags"),
        (&[0xD0, 0x80, 0], "more bytes than it needs"),
        (&[0xD0, 1, 0], "behind its end"),
        (&[0x20, 3, 2, 0, 0], "reserved flags"),
        (&[0x20, 3, 0, 1, 0], "reason code"),
        (&[0x20, 6, 0, 0, 3, 0x23, 0, 1], "does not belong there"),
        (&[0x20, 9, 0, 0, 6, 0x22, 0, 1, 0x22, 0, 1], "twice"),
        (&[0x20, 6, 0, 0, 3, 0x21, 0, 0], "receive_maximum=0"),
        (&[0x30, 5, 0, 2, 0xC0, 0x80, 0], "string"),
        (&[0x30, 4, 0, 1, b'+', 0], "wildcard"),
        (&[0x36, 6, 0, 1, b'a', 0, 1, 0], "flags"),
        (&[0x38, 4, 0, 1, b'a', 0], "flags"),
        (&[0x40, 2, 0, 0], "packet identifier 0"),
        (&[0x90, 4, 0, 1, 0, 3], "reason code"),
        (&[0xC0, 0], "no server sends"),
    ];
    for (bytes, why) in rows {
        let fault = decode::packet(Version::V5, bytes).expect_err("malformed");
        assert!(fault.contains(why), "{bytes:02X?}: {fault}");
    }
    assert!(decode::packet(Version::V3, &[0xE0, 0]).is_err());
    assert_eq!(decode::packet(Version::V5, &[0x20, 3, 0, 0]), Ok(None));
}
