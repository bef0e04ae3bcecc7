//! Every property on every packet that a client may send, against the table of section 2.2.2.2.

use super::wire;
use crate::codec::tests::LIMITS;
use crate::codec::*;
use crate::types::ReasonCode::{self, MalformedPacket as Bad, ProtocolError as Wrong};
use crate::types::Version;

/// Identifier with a good value, and the letters of the packets that may carry it.
const PROPERTIES: [(&str, &str); 27] = [
    ("01 01", "pw"),
    ("02 00000001", "pw"),
    ("03 't'", "pw"),
    ("08 'r'", "pw"),
    ("09 'd'", "pw"),
    ("0B 01", "s"),
    ("11 00000001", "cd"),
    ("12 'i'", ""),
    ("13 0001", ""),
    ("15 'M'", "ca"),
    ("16 'd'", "ca"),
    ("17 01", "c"),
    ("18 00000001", "w"),
    ("19 01", "c"),
    ("1A 'i'", ""),
    ("1C 's'", "d"),
    ("1F 'why'", "1234da"),
    ("21 0001", "c"),
    ("22 0001", "c"),
    ("23 0001", "p"),
    ("24 01", ""),
    ("25 01", ""),
    ("26 'k' 'v'", "cwp1234suda"),
    ("27 00000100", "c"),
    ("28 01", ""),
    ("29 01", ""),
    ("2A 01", ""),
];

/// A packet with these properties. AUTH and authentication data need a method.
fn packet(letter: char, properties: &str) -> String {
    let method = if properties.starts_with("15") { "" } else { "15 'M' " };
    match letter {
        'c' if properties.starts_with("16") => format!("10 ('MQTT' 05 02 003C ({method}{properties}) 'c')"),
        'c' => format!("10 ('MQTT' 05 02 003C ({properties}) 'c')"),
        'w' => format!("10 ('MQTT' 05 06 003C () 'c' ({properties}) 'w' 'x')"),
        'p' => format!("30 ('a' ({properties}))"),
        '1' => format!("40 (0001 00 ({properties}))"),
        '2' => format!("50 (0001 00 ({properties}))"),
        '3' => format!("62 (0001 00 ({properties}))"),
        '4' => format!("70 (0001 00 ({properties}))"),
        's' => format!("82 (0001 ({properties}) 'a' 00)"),
        'u' => format!("A2 (0001 ({properties}) 'a')"),
        'd' => format!("E0 (00 ({properties}))"),
        _ => format!("F0 (18 ({method}{properties}))"),
    }
}

fn refusal(letter: char, properties: &str) -> Option<ReasonCode> {
    let version = (!matches!(letter, 'c' | 'w')).then_some(Version::V5);
    match decode(&wire(&packet(letter, properties)), version, &LIMITS) {
        Ok(found) => {
            assert!(found.is_some(), "{letter} {properties}: not whole");
            None
        }
        Err(error) => Some(error.reason),
    }
}

#[test]
fn each_property_is_taken_where_it_belongs_and_nowhere_else() {
    for (property, allowed) in PROPERTIES {
        for letter in "cwp1234suda".chars() {
            let refusal = refusal(letter, property);
            // A Subscription Identifier on PUBLISH is for servers alone [MQTT-3.3.4-6].
            let expected = match allowed.contains(letter) {
                true => None,
                false if letter == 'p' && property == "0B 01" => Some(Wrong),
                false => Some(Bad),
            };
            assert_eq!(refusal, expected, "{property} on {letter}");
        }
    }
}

#[test]
fn each_property_but_the_users_comes_once() {
    for (property, allowed) in PROPERTIES {
        let expected = (property != "26 'k' 'v'").then_some(Wrong);
        for letter in allowed.chars() {
            let twice = format!("{property} {property}");
            assert_eq!(refusal(letter, &twice), expected, "{property} twice on {letter}");
        }
    }
}
