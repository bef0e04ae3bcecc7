//! All other packets that are none, from clients and from servers.

use super::{check, from_client, from_server};
use crate::types::ReasonCode::{MalformedPacket as Bad, ProtocolError as Wrong, TopicAliasInvalid};
use crate::types::Version::{V3, V5};

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
