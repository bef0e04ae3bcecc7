//! Bytes that are no packet, each with the reason code that the peer is told.

use super::{LIMITS, wire};
use crate::codec::*;
use crate::types::ReasonCode;
use crate::types::ReasonCode::{
    ClientIdentifierNotValid, MalformedPacket as Bad, ProtocolError as Wrong, TopicAliasInvalid, TopicNameInvalid,
    UnsupportedProtocolVersion,
};
use crate::types::Version::{self, V3, V5};

type Row = (&'static str, Version, &'static str, ReasonCode);

fn check(rows: &[Row], decoder: impl Fn(&[u8], Version) -> Result<bool, DecodeError>) {
    for (name, version, text, reason) in rows {
        let bytes = wire(text);
        let error = match decoder(&bytes, *version) {
            Err(error) => error,
            Ok(found) => panic!("{name}: accepted (whole: {found})"),
        };
        assert_eq!(
            (error.reason, error.version),
            (*reason, Some(*version)),
            "{name}: {error}"
        );
        for end in 0..bytes.len() {
            assert_ne!(
                decoder(&bytes[..end], *version),
                Ok(true),
                "{name}: its first {end} bytes"
            );
        }
    }
}

fn from_client(bytes: &[u8], version: Version) -> Result<bool, DecodeError> {
    decode(bytes, Some(version), &LIMITS).map(|found| found.is_some())
}

fn first(bytes: &[u8], _: Version) -> Result<bool, DecodeError> {
    decode(bytes, None, &LIMITS).map(|found| found.is_some())
}

fn from_server(bytes: &[u8], version: Version) -> Result<bool, DecodeError> {
    decode_from_server(bytes, version, &LIMITS).map(|found| found.is_some())
}

#[test]
fn fixed_header() {
    check(
        &[
            ("type 0", V5, "00 00", Bad),
            ("type 0 in v3", V3, "00 00", Bad),
            ("type 15 in v3", V3, "F0 00", Bad),
            ("flags of connect", V5, "11 ('MQTT' 05 02 003C () 'c')", Bad),
            ("flags of connack", V5, "21 (00 00 ())", Bad),
            ("flags of puback", V5, "42 02 0001", Bad),
            ("flags of pubrec", V5, "58 02 0001", Bad),
            ("flags of pubrel", V5, "60 02 0001", Bad),
            ("flags of pubrel in v3", V3, "63 02 0001", Bad),
            ("flags of pubcomp", V5, "72 02 0001", Bad),
            ("flags of subscribe", V5, "80 (000A () 'a' 01)", Bad),
            ("flags of subscribe in v3", V3, "83 (000A 'a' 01)", Bad),
            ("flags of suback", V5, "92 (000A () 01)", Bad),
            ("flags of unsubscribe", V5, "A0 (000A () 'a')", Bad),
            ("flags of unsuback", V5, "B1 (000A () 00)", Bad),
            ("flags of pingreq", V5, "C1 00", Bad),
            ("flags of pingresp", V3, "D8 00", Bad),
            ("flags of disconnect", V5, "E1 00", Bad),
            ("flags of auth", V5, "F4 00", Bad),
            ("length in two bytes that fits one", V5, "C0 80 00", Bad),
            ("length in three bytes that fits two", V5, "30 FF 80 00", Bad),
            ("length in five bytes", V5, "30 80 80 80 80 01", Bad),
            ("length of four bytes that goes on", V3, "30 FF FF FF FF", Bad),
            ("pingreq with a body", V5, "C0 01 00", Bad),
            ("pingresp with a body", V3, "D0 01 00", Bad),
        ],
        from_client,
    );
}

#[test]
fn publish_header() {
    check(
        &[
            ("qos 3", V5, "36 ('a' 0001 ())", Bad),
            ("qos 3 in v3", V3, "36 ('a' 0001)", Bad),
            ("dup at qos 0", V5, "38 ('a' ())", Bad),
            ("dup at qos 0 in v3", V3, "39 ('a')", Bad),
            ("empty body", V5, "30 00", Bad),
            ("topic past the packet", V5, "30 03 0005 61", Bad),
            ("topic with half a length", V3, "30 01 00", Bad),
            ("no property length", V5, "30 ('a')", Bad),
            ("no packet identifier", V5, "32 ('a')", Bad),
            ("half a packet identifier", V3, "32 ('a' 00)", Bad),
            ("packet identifier 0", V5, "32 ('a' 0000 ())", Bad),
            ("packet identifier 0 at qos 2", V3, "34 ('a' 0000)", Bad),
            ("topic with +", V5, "30 ('a/+' ())", TopicNameInvalid),
            ("topic with #", V3, "30 ('#')", TopicNameInvalid),
            ("topic with # inside", V5, "30 ('a#b' ())", TopicNameInvalid),
            ("topic with U+0000", V5, "30 (0003 610062 ())", Bad),
            ("topic of U+0000 alone", V3, "30 (0001 00)", Bad),
            ("topic not UTF-8", V5, "30 (0001 FF ())", Bad),
            ("topic with an overlong form", V3, "30 (0002 C080)", Bad),
            ("topic with a surrogate", V5, "30 (0003 EDA080 ())", Bad),
            ("topic beyond U+10FFFF", V5, "30 (0004 F4908080 ())", Bad),
            ("topic ends inside a character", V5, "30 (0002 61C3 ())", Bad),
            ("empty topic without alias", V5, "30 ('' ())", Wrong),
            ("empty topic in v3", V3, "30 ('' 68)", TopicNameInvalid),
        ],
        from_client,
    );
}

#[test]
fn publish_properties() {
    check(
        &[
            ("property length past the packet", V5, "30 ('a' 05 01 01)", Bad),
            ("property length not minimal", V5, "30 ('a' 80 00)", Bad),
            ("property length unfinished", V5, "30 ('a' 80)", Bad),
            ("property past the property length", V5, "30 ('a' 02 02 0000003C)", Bad),
            ("identifier without value", V5, "30 ('a' (01))", Bad),
            ("pair without its value", V5, "30 ('a' (26 'k'))", Bad),
            ("pair whose value is cut", V5, "30 ('a' (26 'k' 0002 61))", Bad),
            ("identifier 0", V5, "30 ('a' (00 00))", Bad),
            ("identifier 4 (none)", V5, "30 ('a' (04 00))", Bad),
            ("identifier 43 (none)", V5, "30 ('a' (2B 00))", Bad),
            ("identifier of two bytes", V5, "30 ('a' (81 00 00))", Bad),
            ("a property of connect", V5, "30 ('a' (21 0001))", Bad),
            ("a property of the will", V5, "30 ('a' (18 00000001))", Bad),
            ("reason string", V5, "30 ('a' (1F 'x'))", Bad),
            ("subscription identifier from a client", V5, "30 ('a' (0B 01))", Wrong),
            ("payload format twice", V5, "30 ('a' (01 01 01 01))", Wrong),
            ("expiry twice", V5, "30 ('a' (02 00000001 02 00000001))", Wrong),
            ("content type twice", V5, "30 ('a' (03 'x' 03 'x'))", Wrong),
            ("response topic twice", V5, "30 ('a' (08 'x' 26 'k' 'v' 08 'y'))", Wrong),
            ("correlation data twice", V5, "30 ('a' (09 'x' 09 'x'))", Wrong),
            ("alias twice", V5, "30 ('a' (23 0001 23 0001))", Wrong),
            ("alias 0", V5, "30 ('a' (23 0000))", TopicAliasInvalid),
            ("alias 0 without topic", V5, "30 ('' (23 0000))", TopicAliasInvalid),
            ("payload format 2", V5, "30 ('a' (01 02))", Wrong),
            ("content type not UTF-8", V5, "30 ('a' (03 0001 FF))", Bad),
            ("content type with U+0000", V5, "30 ('a' (03 0001 00))", Bad),
            ("user property name with U+0000", V5, "30 ('a' (26 0001 00 'v'))", Bad),
            ("user property value not UTF-8", V5, "30 ('a' (26 'k' 0002 C0AF))", Bad),
            ("response topic with a wildcard", V5, "30 ('a' (08 'a/+'))", Wrong),
            ("response topic empty", V5, "30 ('a' (08 ''))", Wrong),
        ],
        from_client,
    );
}

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

#[test]
fn acknowledgements() {
    check(
        &[
            ("puback empty", V5, "40 00", Bad),
            ("puback with half an identifier", V5, "40 01 00", Bad),
            ("puback 0", V5, "40 02 0000", Bad),
            ("pubrec 0", V3, "50 02 0000", Bad),
            ("pubrel 0", V5, "62 02 0000", Bad),
            ("pubcomp 0", V3, "70 02 0000", Bad),
            ("puback in v3 with a reason", V3, "40 03 0001 00", Bad),
            ("pubrel in v3 with more", V3, "62 04 0001 00 00", Bad),
            ("puback with an unknown reason", V5, "40 03 0001 01", Bad),
            ("puback with a reason of pubrel", V5, "40 03 0001 92", Bad),
            ("pubrec with a reason of connack", V5, "50 03 0001 8A", Bad),
            ("pubrel with a reason of puback", V5, "62 03 0001 10", Bad),
            ("pubcomp with an unknown reason", V5, "70 03 0001 FF", Bad),
            ("puback: properties past the packet", V5, "40 05 0001 00 05 26", Bad),
            ("puback: bytes behind the properties", V5, "40 05 0001 00 00 00", Bad),
            ("pubrec: reason string twice", V5, "50 (0001 00 (1F 'a' 1F 'a'))", Wrong),
            ("pubrel: a property of connect", V5, "62 (0001 00 (11 00000001))", Bad),
            ("pubcomp: server reference", V5, "70 (0001 00 (1C 'a'))", Bad),
            ("puback: reason string not UTF-8", V5, "40 (0001 00 (1F 0001 FF))", Bad),
        ],
        from_client,
    );
}

#[test]
fn subscribe_and_unsubscribe() {
    check(
        &[
            ("empty body", V5, "82 00", Bad),
            ("identifier 0", V5, "82 (0000 () 'a' 01)", Bad),
            ("identifier 0 in v3", V3, "82 (0000 'a' 01)", Bad),
            ("no filter", V5, "82 (000A ())", Wrong),
            ("no filter in v3", V3, "82 (000A)", Wrong),
            ("no property length", V5, "82 (000A)", Bad),
            ("filter without options", V5, "82 (000A () 'a')", Bad),
            ("second filter without options", V3, "82 (000A 'a' 01 'b')", Bad),
            ("filter past the packet", V5, "82 (000A () 0005 61 01)", Bad),
            ("filter not UTF-8", V5, "82 (000A () 0001 FF 01)", Bad),
            ("filter with U+0000", V3, "82 (000A 0001 00 01)", Bad),
            ("maximum qos 3", V5, "82 (000A () 'a' 03)", Wrong),
            ("requested qos 3 in v3", V3, "82 (000A 'a' 03)", Bad),
            ("reserved bit 6", V5, "82 (000A () 'a' 41)", Bad),
            ("reserved bit 7", V5, "82 (000A () 'a' 81)", Bad),
            ("no local in v3", V3, "82 (000A 'a' 05)", Bad),
            ("retain handling in v3", V3, "82 (000A 'a' 11)", Bad),
            ("retain handling 3", V5, "82 (000A () 'a' 31)", Wrong),
            (
                "no local on a shared subscription",
                V5,
                "82 (000A () '$share/g/a' 05)",
                Wrong,
            ),
            ("subscription identifier 0", V5, "82 (000A (0B 00) 'a' 01)", Wrong),
            (
                "subscription identifier not minimal",
                V5,
                "82 (000A (0B 8000) 'a' 01)",
                Bad,
            ),
            (
                "subscription identifier of five bytes",
                V5,
                "82 (000A (0B 8080808001) 'a' 01)",
                Bad,
            ),
            (
                "subscription identifier twice",
                V5,
                "82 (000A (0B 01 0B 02) 'a' 01)",
                Wrong,
            ),
            ("reason string", V5, "82 (000A (1F 'a') 'a' 01)", Bad),
            ("unsubscribe: empty body", V3, "A2 00", Bad),
            ("unsubscribe: identifier 0", V5, "A2 (0000 () 'a')", Bad),
            ("unsubscribe: no filter", V5, "A2 (000A ())", Wrong),
            ("unsubscribe: no filter in v3", V3, "A2 (000A)", Wrong),
            ("unsubscribe: half a filter", V5, "A2 (000A () 'a' 00)", Bad),
            ("unsubscribe: filter not UTF-8", V5, "A2 (000A () 0001 80)", Bad),
            ("unsubscribe: subscription identifier", V5, "A2 (000A (0B 01) 'a')", Bad),
        ],
        from_client,
    );
}

#[test]
fn disconnect_and_auth() {
    check(
        &[
            ("disconnect with an unknown reason", V5, "E0 01 01", Bad),
            ("disconnect with a reason of connack", V5, "E0 01 84", Bad),
            ("disconnect: bytes behind the end", V5, "E0 03 00 00 00", Bad),
            ("disconnect: properties past the packet", V5, "E0 02 00 05", Bad),
            ("disconnect in v3 with a reason", V3, "E0 01 00", Bad),
            (
                "disconnect: session expiry twice",
                V5,
                "E0 (00 (11 00000001 11 00000001))",
                Wrong,
            ),
            ("disconnect: receive maximum", V5, "E0 (00 (21 0001))", Bad),
            ("auth with an unknown reason", V5, "F0 (01 (15 'M'))", Bad),
            ("auth with a failure", V5, "F0 (87 (15 'M'))", Bad),
            ("auth continues without method", V5, "F0 01 18", Wrong),
            ("auth continues with empty properties", V5, "F0 02 19 00", Wrong),
            ("auth with data only", V5, "F0 (18 (16 'd'))", Wrong),
            (
                "auth success with properties but no method",
                V5,
                "F0 (00 (26 'k' 'v'))",
                Wrong,
            ),
            ("auth: method twice", V5, "F0 (18 (15 'M' 15 'M'))", Wrong),
            ("auth: session expiry", V5, "F0 (18 (15 'M' 11 00000001))", Bad),
            ("auth: bytes behind the end", V5, "F0 (18 (15 'M') 00)", Bad),
        ],
        from_client,
    );
}

#[test]
fn what_a_server_may_not_send() {
    check(
        &[
            ("connack empty", V5, "20 00", Bad),
            ("connack with half a header", V3, "20 01 00", Bad),
            ("connack reserved flags", V5, "20 (02 00 ())", Bad),
            ("connack without properties", V5, "20 02 00 00", Bad),
            ("connack unknown reason", V5, "20 (00 01 ())", Bad),
            ("connack reason of disconnect", V5, "20 (00 8E ())", Bad),
            ("connack unknown return code", V3, "20 02 00 06", Bad),
            ("connack with properties in v3", V3, "20 (00 00 ())", Bad),
            ("connack session present but refused", V5, "20 (01 87 ())", Wrong),
            ("connack session present but refused in v3", V3, "20 02 01 05", Wrong),
            ("connack maximum qos 2", V5, "20 (00 00 (24 02))", Wrong),
            ("connack retain available 2", V5, "20 (00 00 (25 02))", Wrong),
            ("connack wildcard available 2", V5, "20 (00 00 (28 02))", Wrong),
            ("connack identifiers available 2", V5, "20 (00 00 (29 02))", Wrong),
            ("connack shared available 2", V5, "20 (00 00 (2A 02))", Wrong),
            ("connack receive maximum 0", V5, "20 (00 00 (21 0000))", Wrong),
            ("connack maximum packet size 0", V5, "20 (00 00 (27 00000000))", Wrong),
            ("connack keep alive twice", V5, "20 (00 00 (13 0001 13 0001))", Wrong),
            ("connack data without method", V5, "20 (00 00 (16 'd'))", Wrong),
            ("connack with a property of connect", V5, "20 (00 00 (17 01))", Bad),
            ("connack bytes behind the end", V5, "20 (00 00 () 00)", Bad),
            ("publish subscription identifier 0", V5, "30 ('a' (0B 00))", Wrong),
            ("publish alias 0", V5, "30 ('a' (23 0000))", TopicAliasInvalid),
            ("suback without reasons", V5, "90 (000A ())", Wrong),
            ("suback without reasons in v3", V3, "90 (000A)", Wrong),
            ("suback identifier 0", V5, "90 (0000 () 00)", Bad),
            ("suback unknown reason", V5, "90 (000A () 03)", Bad),
            ("suback a reason of v5 in v3", V3, "90 (000A 87)", Bad),
            ("suback with a subscription identifier", V5, "90 (000A (0B 01) 00)", Bad),
            ("unsuback without reasons", V5, "B0 (000A ())", Wrong),
            ("unsuback with reasons in v3", V3, "B0 (000A 00)", Bad),
            ("unsuback reason of suback", V5, "B0 (000A () 01)", Bad),
            ("unsuback identifier 0", V3, "B0 02 0000", Bad),
        ],
        from_server,
    );
}
