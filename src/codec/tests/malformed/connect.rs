//! CONNECT that is none.

use super::{check, first};
use crate::codec::tests::{LIMITS, wire};
use crate::codec::*;
use crate::types::ReasonCode;
use crate::types::ReasonCode::{
    ClientIdentifierNotValid, MalformedPacket as Bad, ProtocolError as Wrong, TopicNameInvalid,
    UnsupportedProtocolVersion,
};
use crate::types::Version::{self, V3, V5};

#[test]
fn connect() {
    check(
        &[
            ("empty body", V5, "10 ('MQTT' 05)", Bad),
            ("ends behind the flags", V5, "10 ('MQTT' 05 02)", Bad),
            ("ends inside keep alive", V3, "10 ('MQTT' 04 02 00)", Bad),
            ("no property length", V5, "10 ('MQTT' 05 02 003C)", Bad),
            ("no client identifier", V5, "10 ('MQTT' 05 02 003C ())", Bad),
            ("no client identifier in v3", V3, "10 ('MQTT' 04 02 003C)", Bad),
            ("client identifier not UTF-8", V3, "10 ('MQTT' 04 02 003C 0001 FF)", Bad),
            (
                "client identifier with U+0000",
                V5,
                "10 ('MQTT' 05 02 003C () 0001 00)",
                Bad,
            ),
            ("bytes behind the end", V5, "10 ('MQTT' 05 02 003C () 'c' 00)", Bad),
            ("bytes behind the end in v3", V3, "10 ('MQTT' 04 02 003C 'c' 'x')", Bad),
            ("reserved flag", V5, "10 ('MQTT' 05 03 003C () 'c')", Bad),
            ("reserved flag in v3", V3, "10 ('MQTT' 04 03 003C 'c')", Bad),
            ("will qos without will", V5, "10 ('MQTT' 05 0A 003C () 'c')", Bad),
            ("will qos 3 without will", V3, "10 ('MQTT' 04 1A 003C 'c')", Bad),
            ("will retain without will", V3, "10 ('MQTT' 04 22 003C 'c')", Bad),
            ("will qos 3", V5, "10 ('MQTT' 05 1E 003C () 'c' () 'w' 'x')", Bad),
            ("will missing", V5, "10 ('MQTT' 05 06 003C () 'c')", Bad),
            ("will without payload", V3, "10 ('MQTT' 04 06 003C 'c' 'w')", Bad),
            (
                "will topic with a wildcard",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' () 'w/#' 'x')",
                TopicNameInvalid,
            ),
            (
                "will topic with a wildcard in v3",
                V3,
                "10 ('MQTT' 04 06 003C 'c' '+' 'x')",
                TopicNameInvalid,
            ),
            (
                "will topic empty",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' () '' 'x')",
                TopicNameInvalid,
            ),
            ("user name missing", V5, "10 ('MQTT' 05 82 003C () 'c')", Bad),
            ("user name not UTF-8", V3, "10 ('MQTT' 04 82 003C 'c' 0001 C3)", Bad),
            ("password missing", V5, "10 ('MQTT' 05 C2 003C () 'c' 'u')", Bad),
            (
                "password without user name in v3",
                V3,
                "10 ('MQTT' 04 42 003C 'c' 'p')",
                Bad,
            ),
            ("user name without its flag", V3, "10 ('MQTT' 04 02 003C 'c' 'u')", Bad),
            (
                "empty identifier, clean session 0, v3",
                V3,
                "10 ('MQTT' 04 00 003C '')",
                ClientIdentifierNotValid,
            ),
        ],
        first,
    );
}

#[test]
fn connect_properties() {
    check(
        &[
            (
                "properties past the packet",
                V5,
                "10 ('MQTT' 05 02 003C 7F 11 0000)",
                Bad,
            ),
            (
                "session expiry twice",
                V5,
                "10 ('MQTT' 05 02 003C (11 00000001 11 00000001) 'c')",
                Wrong,
            ),
            ("receive maximum 0", V5, "10 ('MQTT' 05 02 003C (21 0000) 'c')", Wrong),
            (
                "receive maximum twice",
                V5,
                "10 ('MQTT' 05 02 003C (21 0001 21 0001) 'c')",
                Wrong,
            ),
            (
                "maximum packet size 0",
                V5,
                "10 ('MQTT' 05 02 003C (27 00000000) 'c')",
                Wrong,
            ),
            (
                "maximum packet size twice",
                V5,
                "10 ('MQTT' 05 02 003C (27 00000010 27 00000010) 'c')",
                Wrong,
            ),
            (
                "alias maximum twice",
                V5,
                "10 ('MQTT' 05 02 003C (22 0000 22 0000) 'c')",
                Wrong,
            ),
            (
                "request response information 2",
                V5,
                "10 ('MQTT' 05 02 003C (19 02) 'c')",
                Wrong,
            ),
            (
                "request response information twice",
                V5,
                "10 ('MQTT' 05 02 003C (19 01 19 01) 'c')",
                Wrong,
            ),
            (
                "request problem information 255",
                V5,
                "10 ('MQTT' 05 02 003C (17 FF) 'c')",
                Wrong,
            ),
            (
                "request problem information twice",
                V5,
                "10 ('MQTT' 05 02 003C (17 00 17 00) 'c')",
                Wrong,
            ),
            ("method twice", V5, "10 ('MQTT' 05 02 003C (15 'M' 15 'M') 'c')", Wrong),
            (
                "data twice",
                V5,
                "10 ('MQTT' 05 02 003C (15 'M' 16 'd' 16 'd') 'c')",
                Wrong,
            ),
            ("data without method", V5, "10 ('MQTT' 05 02 003C (16 'd') 'c')", Wrong),
            (
                "a property of the will",
                V5,
                "10 ('MQTT' 05 02 003C (18 00000001) 'c')",
                Bad,
            ),
            ("a property of connack", V5, "10 ('MQTT' 05 02 003C (25 01) 'c')", Bad),
            ("reason string", V5, "10 ('MQTT' 05 02 003C (1F 'x') 'c')", Bad),
            ("topic alias", V5, "10 ('MQTT' 05 02 003C (23 0001) 'c')", Bad),
            (
                "will delay twice",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' (18 00000001 18 00000001) 'w' 'x')",
                Wrong,
            ),
            (
                "will expiry twice",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' (02 00000001 02 00000001) 'w' 'x')",
                Wrong,
            ),
            (
                "will payload format 2",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' (01 02) 'w' 'x')",
                Wrong,
            ),
            (
                "will response topic with a wildcard",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' (08 '#') 'w' 'x')",
                Wrong,
            ),
            (
                "alias in the will",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' (23 0001) 'w' 'x')",
                Bad,
            ),
            (
                "session expiry in the will",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' (11 00000001) 'w' 'x')",
                Bad,
            ),
            (
                "subscription identifier in the will",
                V5,
                "10 ('MQTT' 05 06 003C () 'c' (0B 01) 'w' 'x')",
                Bad,
            ),
        ],
        first,
    );
}

#[test]
fn other_protocols_are_told_in_a_form_they_know() {
    let rows: &[(&str, &str, ReasonCode, Option<Version>)] = &[
        (
            "3.1",
            "10 ('MQIsdp' 03 02 003C 'c')",
            UnsupportedProtocolVersion,
            Some(V3),
        ),
        (
            "level 3",
            "10 ('MQTT' 03 02 003C 'c')",
            UnsupportedProtocolVersion,
            Some(V3),
        ),
        (
            "level 0",
            "10 ('MQTT' 00 02 003C 'c')",
            UnsupportedProtocolVersion,
            Some(V3),
        ),
        (
            "level 6",
            "10 ('MQTT' 06 02 003C () 'c')",
            UnsupportedProtocolVersion,
            Some(V5),
        ),
        (
            "a bridge",
            "10 ('MQTT' 84 02 003C 'c')",
            UnsupportedProtocolVersion,
            Some(V3),
        ),
        (
            "lower case",
            "10 ('mqtt' 04 02 003C 'c')",
            UnsupportedProtocolVersion,
            None,
        ),
        ("empty name", "10 ('' 04 02 003C 'c')", UnsupportedProtocolVersion, None),
        (
            "MQIsdp with level 4",
            "10 ('MQIsdp' 04 02 003C 'c')",
            UnsupportedProtocolVersion,
            Some(V3),
        ),
        ("name past the packet", "10 04 0010 4D51", Bad, None),
        ("no level", "10 ('MQTT')", Bad, None),
        ("no body", "10 00", Bad, None),
        ("not a connect", "30 ('a' ())", Wrong, None),
        ("a ping first", "C0 00", Wrong, None),
        ("type 0 first", "00", Bad, None),
        ("HTTP", "47 45 54 20 2F", Wrong, None),
        ("TLS", "16 03 01 02 00", Bad, None),
    ];
    for (name, text, reason, version) in rows {
        let error = decode(&wire(text), None, &LIMITS).expect_err(name);
        assert_eq!((error.reason, error.version), (*reason, *version), "{name}: {error}");
    }
}

#[test]
fn a_connect_that_is_too_large_is_answered_in_its_version_if_that_has_arrived() {
    let limits = DecodeLimits { max_packet_size: 20 };
    let bytes = wire("10 30 'MQTT' 05 02");
    for (end, version) in [(2, None), (8, None), (9, Some(V5)), (10, Some(V5))] {
        let error = decode(&bytes[..end], None, &limits).expect_err("too large");
        assert_eq!(
            (error.reason, error.version),
            (ReasonCode::PacketTooLarge, version),
            "{end} bytes"
        );
    }
}
