//! Cuts packets out of bytes: the fixed header (section 2.1) and which packet it is. Knows no socket and no session.

mod acks;
mod connack;
mod connect;
mod disconnect;
mod publish;
mod subscribe;

use super::error::DecodeError;
use super::packet::Packet;
use super::properties::Place;
use super::reader::{Reader, variable};
use crate::types::{ReasonCode, Version};

/// Limits for decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The longest packet accepted, from its first byte to its last, bytes.
    pub max_packet_size: u32,
}

/// Cuts the first packet off what a client sent.
///
/// `Ok(None)`: more bytes are needed. `Ok(Some((packet, len)))`: the packet borrows from `bytes` and took `len` of
/// them. `version` is `None` until CONNECT was seen; then only CONNECT is allowed [MQTT-3.1.0-1]. Packets that only a
/// server may send are decoded as well: who may send what, and when, is for the session to say.
///
/// # Errors
/// The first fault found, as soon as the bytes that show it are there.
pub fn decode<'a>(
    bytes: &'a [u8],
    version: Option<Version>,
    limits: &DecodeLimits,
) -> Result<Option<(Packet<'a>, usize)>, DecodeError> {
    cut(bytes, version, Place::Publish, limits).map_err(|error| DecodeError {
        version: error.version.or(version),
        ..error
    })
}

/// Cuts the first packet off what a server sent, as [`decode`] does: a PUBLISH may carry Subscription Identifiers here.
///
/// # Errors
/// As [`decode`].
pub fn decode_from_server<'a>(
    bytes: &'a [u8],
    version: Version,
    limits: &DecodeLimits,
) -> Result<Option<(Packet<'a>, usize)>, DecodeError> {
    cut(bytes, Some(version), Place::PublishFromServer, limits).map_err(|error| DecodeError {
        version: error.version.or(Some(version)),
        ..error
    })
}

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBREL: u8 = 6;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const AUTH: u8 = 15;

#[inline]
fn cut<'a>(
    bytes: &'a [u8],
    version: Option<Version>,
    publish: Place,
    limits: &DecodeLimits,
) -> Result<Option<(Packet<'a>, usize)>, DecodeError> {
    let Some((&first, behind)) = bytes.split_first() else {
        return Ok(None);
    };
    check_first_byte(first, version)?;
    let Some((body_len, len_len)) = variable(behind)? else {
        return Ok(None);
    };
    let (start, end) = (1 + len_len, 1 + len_len + body_len as usize);
    if end > limits.max_packet_size as usize {
        return Err(too_large(first, &bytes[start..]));
    }
    let Some(body) = bytes.get(start..end) else {
        return Ok(None);
    };
    let body = Reader::new(body);
    let packet = match version {
        Some(version) => packet(first, body, version, publish)?,
        None => connect::decode(body)?,
    };
    Ok(Some((packet, end)))
}

/// Type and flags (sections 2.1.2 and 2.1.3), before anything else has arrived.
#[inline]
fn check_first_byte(first: u8, version: Option<Version>) -> Result<(), DecodeError> {
    let (kind, flags) = (first >> 4, first & 0x0F);
    if kind == 0 || (kind == AUTH && version == Some(Version::V3)) {
        return Err(DecodeError::malformed("a reserved packet type"));
    }
    if version.is_none() && kind != CONNECT {
        return Err(DecodeError::protocol("the first packet is not CONNECT"));
    }
    let right = match kind {
        PUBLISH => return publish::check_flags(flags),
        PUBREL | SUBSCRIBE | UNSUBSCRIBE => 0b0010,
        _ => 0,
    };
    if flags != right {
        // [MQTT-2.1.3-1]
        return Err(DecodeError::malformed("reserved flags in the fixed header"));
    }
    Ok(())
}

#[cold]
fn too_large(first: u8, body: &[u8]) -> DecodeError {
    DecodeError {
        version: (first >> 4 == CONNECT).then(|| connect::answer_version(body)).flatten(),
        ..DecodeError::new(ReasonCode::PacketTooLarge, "larger than the maximum packet size")
    }
}

#[inline]
fn packet(first: u8, body: Reader<'_>, version: Version, publish: Place) -> Result<Packet<'_>, DecodeError> {
    match first >> 4 {
        CONNECT => connect::decode(body),
        2 => connack::decode(body, version),
        PUBLISH => publish::decode(first & 0x0F, body, version, publish),
        4 => acks::decode(body, version, Place::PubAck).map(Packet::PubAck),
        5 => acks::decode(body, version, Place::PubRec).map(Packet::PubRec),
        PUBREL => acks::decode(body, version, Place::PubRel).map(Packet::PubRel),
        7 => acks::decode(body, version, Place::PubComp).map(Packet::PubComp),
        SUBSCRIBE => subscribe::subscribe(body, version),
        9 => acks::suback(body, version),
        UNSUBSCRIBE => subscribe::unsubscribe(body, version),
        11 => acks::unsuback(body, version),
        12 => body.finish().map(|()| Packet::PingReq),
        13 => body.finish().map(|()| Packet::PingResp),
        14 => disconnect::disconnect(body, version),
        _ => disconnect::auth(body),
    }
}
