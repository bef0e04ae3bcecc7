//! Why a connection has to end, in the words of the specification. Knows no socket.

use std::borrow::Cow;

use crate::types::ReasonCode;

/// A reason to close a connection, and what to tell the client about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} ({})", reason.text())]
pub struct Fault {
    /// The reason code of the DISCONNECT.
    pub reason: ReasonCode,
    /// What was wrong, for the log and the reason string.
    pub what: Cow<'static, str>,
}

impl Fault {
    /// A fault with a fixed text.
    pub const fn new(reason: ReasonCode, what: &'static str) -> Self {
        Self {
            reason,
            what: Cow::Borrowed(what),
        }
    }

    /// A fault whose text is made when it happens.
    pub fn because(reason: ReasonCode, what: String) -> Self {
        Self {
            reason,
            what: Cow::Owned(what),
        }
    }

    /// A protocol error (0x82).
    pub const fn protocol(what: &'static str) -> Self {
        Self::new(ReasonCode::ProtocolError, what)
    }
}
