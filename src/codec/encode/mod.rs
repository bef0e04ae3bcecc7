//! Packets to bytes: which encoder a packet takes. Refuses only what bytes cannot say, so that a test can say nonsense.

mod auth;
mod connect;
mod publish;
mod stored;
mod subscribe;

pub use stored::{MAX_PLAIN_PUBACK, MAX_STORED_ACK, StoredAck, encode_plain_puback, encode_stored_ack};

use bytes::{BufMut, BytesMut};

use super::border;
use super::error::EncodeError;
use super::packet::{Ack, Disconnect, Packet};
use super::properties::{put_variable, variable_len};
use super::{MAX_REMAINING_LENGTH, MAX_STRING_LENGTH};
use crate::types::{PacketId, ReasonCode, Version};

/// Appends the packet. A CONNECT is written in its own version.
///
/// Reason strings and user properties of what a server sends are cut to 65,535 bytes on a character boundary.
/// A 3.1.1 server has no DISCONNECT: in that version only a client's normal one (reason Success) can be written.
///
/// # Errors
/// If bytes cannot say it: something is too long, the version has no such packet, or the packet no such reason code.
/// A CONNACK whose reason has no 3.1.1 return code is such a case; then the server closes without an answer
/// [MQTT-3.2.2-6 of 3.1.1]. Nothing is appended then.
pub fn encode(packet: &Packet<'_>, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let start = out.len();
    let result = append(packet, version, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// The length that [`encode`] would append, bytes; exact, and cheap for PUBLISH and for acknowledgements.
///
/// # Errors
/// As [`encode`].
pub fn encoded_len(packet: &Packet<'_>, version: Version) -> Result<usize, EncodeError> {
    match packet {
        Packet::Publish(publish) => publish::len(publish, version),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) if is_plain(ack) => {
            Ok(4)
        }
        Packet::PingReq | Packet::PingResp => Ok(2),
        _ => {
            let mut scratch = BytesMut::new();
            append(packet, version, &mut scratch)?;
            Ok(scratch.len())
        }
    }
}

fn append(packet: &Packet<'_>, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    match packet {
        Packet::Publish(publish) => publish::encode(publish, version, out),
        Packet::PubAck(ack) => acknowledge(0x40, ack, version, out, border::puback),
        Packet::PubRec(ack) => acknowledge(0x50, ack, version, out, border::pubrec),
        Packet::PubRel(ack) => acknowledge(0x62, ack, version, out, border::pubrel),
        Packet::PubComp(ack) => acknowledge(0x70, ack, version, out, border::pubcomp),
        Packet::PingReq => put(&[0xC0, 0], out),
        Packet::PingResp => put(&[0xD0, 0], out),
        Packet::Connect(connect) => connect::encode(connect, out),
        Packet::ConnAck(connack) => border::connack(connack, version, out),
        Packet::Subscribe(packet) => subscribe::subscribe(packet, version, out),
        Packet::SubAck(suback) => border::suback(suback, version, out),
        Packet::Unsubscribe(packet) => subscribe::unsubscribe(packet, version, out),
        Packet::UnsubAck(unsuback) => border::unsuback(unsuback, version, out),
        Packet::Disconnect(disconnect) => end(disconnect, version, out),
        Packet::Auth(auth) => auth::encode(auth, version, out),
    }
}

fn put(bytes: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    out.extend_from_slice(bytes);
    Ok(())
}

type AckEncoder = fn(&Ack, &mut BytesMut) -> Result<(), EncodeError>;

/// An acknowledgement: four bytes where it says no more than its packet identifier, which is nearly always.
#[inline]
fn acknowledge(
    first: u8,
    ack: &Ack,
    version: Version,
    out: &mut BytesMut,
    full: AckEncoder,
) -> Result<(), EncodeError> {
    if version == Version::V3 {
        if ack.reason.is_error() && ack.reason != ReasonCode::PacketIdentifierNotFound {
            // 3.1.1 can only say that all is well. That is what it says to an identifier it does not know; a PUBLISH
            // that failed must not be acknowledged like that.
            return Err(EncodeError::NotInVersion("a negative acknowledgement"));
        }
        return put_plain(first, ack.packet_id, out);
    }
    if is_plain(ack) {
        return put_plain(first, ack.packet_id, out);
    }
    full(ack, out)
}

#[inline]
fn is_plain(ack: &Ack) -> bool {
    ack.reason == ReasonCode::Success && ack.reason_string.is_none() && ack.user_properties.is_empty()
}

#[inline]
fn put_plain(first: u8, packet_id: PacketId, out: &mut BytesMut) -> Result<(), EncodeError> {
    let [high, low] = packet_id.get().to_be_bytes();
    put(&[first, 2, high, low], out)
}

fn end(disconnect: &Disconnect, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    match version {
        Version::V5 => border::disconnect(disconnect, out),
        // 3.1.1, section 3.14: the client's only, without a reason.
        Version::V3 if disconnect.reason == ReasonCode::Success => put(&[0xE0, 0], out),
        Version::V3 => Err(EncodeError::NotInVersion("DISCONNECT with a reason")),
    }
}

/// Appends a packet of this first byte and body.
fn put_packet(first: u8, body: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    let body_len = checked_body_len(body.len())?;
    out.reserve(1 + variable_len(body_len) + body_len);
    out.put_u8(first);
    put_variable(body_len, out);
    out.extend_from_slice(body);
    Ok(())
}

fn checked_body_len(len: usize) -> Result<usize, EncodeError> {
    if len > MAX_REMAINING_LENGTH {
        return Err(EncodeError::TooLong("the packet"));
    }
    Ok(len)
}

/// Appends a string or binary data with its length; `what` names it in the error.
fn put_string(bytes: &[u8], what: &'static str, out: &mut impl BufMut) -> Result<(), EncodeError> {
    if bytes.len() > MAX_STRING_LENGTH {
        return Err(EncodeError::TooLong(what));
    }
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
    Ok(())
}

/// Appends properties with their length.
fn put_properties(properties: &[u8], out: &mut impl BufMut) -> Result<(), EncodeError> {
    put_variable(checked_body_len(properties.len())?, out);
    out.put_slice(properties);
    Ok(())
}
