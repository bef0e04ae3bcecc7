//! Fixed headers and PUBLISH that are none.

use super::{check, from_client};
use crate::types::ReasonCode::{MalformedPacket as Bad, ProtocolError as Wrong, TopicAliasInvalid, TopicNameInvalid};
use crate::types::Version::{V3, V5};

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
