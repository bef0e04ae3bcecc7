//! Bytes that are no packet, each with the reason code that the peer is told.

mod connect;
mod others;
mod properties;
mod publish;

use super::{LIMITS, wire};
use crate::codec::*;
use crate::types::{ReasonCode, Version};

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
