//! What can be wrong with bytes that came in, and with a packet that shall go out.

use thiserror::Error;

use crate::types::{ReasonCode, Version};

/// Why bytes are not a packet, with what the peer is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{what} ({})", reason.text())]
pub struct DecodeError {
    /// The reason code for CONNACK or DISCONNECT.
    pub reason: ReasonCode,
    /// Names the fault, fit for a reason string and for a log.
    pub what: &'static str,
    /// The form in which the peer understands an answer: the connection's version, or what could be read of the
    /// version in a faulty CONNECT. `None` if even that could not be read: close without an answer.
    pub version: Option<Version>,
}

impl DecodeError {
    /// 0x81: the bytes cannot be parsed (section 1.2, Malformed Packet).
    #[cold]
    pub(super) fn malformed(what: &'static str) -> Self {
        Self::new(ReasonCode::MalformedPacket, what)
    }

    /// 0x82: parsed, but not allowed (section 1.2, Protocol Error).
    #[cold]
    pub(super) fn protocol(what: &'static str) -> Self {
        Self::new(ReasonCode::ProtocolError, what)
    }

    #[cold]
    pub(super) fn new(reason: ReasonCode, what: &'static str) -> Self {
        Self {
            reason,
            what,
            version: None,
        }
    }
}

/// Why a packet has no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A string or binary data above 65,535 bytes, a variable byte integer or a packet above 268,435,455.
    #[error("{0} is too long for a packet")]
    TooLong(&'static str),
    /// The protocol version has no such packet, or no way to say this.
    #[error("{0} does not exist in this protocol version")]
    NotInVersion(&'static str),
    /// The packet may not carry this reason code.
    #[error("reason code {:#04x} is not one of {packet}", reason.byte())]
    Reason {
        /// The packet's name.
        packet: &'static str,
        /// The code that it may not carry.
        reason: ReasonCode,
    },
    /// A property that was given a value of another type.
    #[error("property {0} takes another type of value")]
    PropertyType(&'static str),
    /// A PUBLISH whose packet identifier does not go with its QoS.
    #[error("a packet identifier goes with QoS 1 and 2 and with nothing else")]
    PacketId,
}
