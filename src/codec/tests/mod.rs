//! Tests of the codec as a whole: tables of bytes, round trips, the border to mqttbytes, and a mutation fuzz.

mod border;
mod delivery;
mod fuzz;
mod good;
mod malformed;
mod round_trip;
mod samples;

use super::*;
use crate::types::{PacketId, Version};

const LIMITS: DecodeLimits = DecodeLimits {
    max_packet_size: MAX_PACKET_SIZE as u32,
};

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("a packet identifier in a test is not 0")
}

fn encoded(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    encode(packet, version, &mut out).unwrap_or_else(|error| panic!("{error}: {packet:?}"));
    assert_eq!(encoded_len(packet, version), Ok(out.len()), "{packet:?}");
    out.to_vec()
}

/// Bytes from a shorthand: hex digits, `'text'` for a string with its two length bytes, `(...)` for a part with its
/// one length byte in front. Blanks separate.
fn wire(text: &str) -> Vec<u8> {
    let mut open = vec![Vec::new()];
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            ' ' => {}
            '(' => open.push(Vec::new()),
            ')' => {
                let part = open.pop().expect("an open part");
                assert!(part.len() < 128, "one length byte is enough: {text}");
                let outer = open.last_mut().expect("a part inside another");
                outer.push(part.len() as u8);
                outer.extend(part);
            }
            '\'' => {
                let string: String = chars.by_ref().take_while(|char| *char != '\'').collect();
                let part = open.last_mut().expect("a part");
                part.extend((string.len() as u16).to_be_bytes());
                part.extend(string.bytes());
            }
            high => {
                let pair: String = [high, chars.next().expect("two digits")].iter().collect();
                let byte = u8::from_str_radix(&pair, 16).unwrap_or_else(|_| panic!("{pair} in {text}"));
                open.last_mut().expect("a part").push(byte);
            }
        }
    }
    assert_eq!(open.len(), 1, "unbalanced: {text}");
    open.remove(0)
}

#[test]
fn the_shorthand_of_these_tables_means_what_it_says() {
    assert_eq!(
        wire("10 ('ab' (21 0001)) FF"),
        [0x10, 8, 0, 2, b'a', b'b', 3, 0x21, 0, 1, 0xFF]
    );
}
