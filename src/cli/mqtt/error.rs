//! What can go wrong between this client and a broker, told so that a person can act on it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::codec::{ConnAck, DecodeError, Disconnect, EncodeError};
use crate::config::show_duration;
use crate::net::dial::{DialError, TrustError};
use crate::types::ReasonCode;

/// Why a command could not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum MqttError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The files for TLS cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A file that is named cannot be read.
    #[error("{}: cannot be read: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    /// The standard input cannot be read.
    #[error("the standard input cannot be read: {0}")]
    Input(io::Error),
    /// What is to be sent is too large for MQTT, or to be read at once.
    #[error("{0} is larger than an MQTT packet can be (256 MiB)")]
    TooLarge(String),
    /// The standard output takes nothing.
    #[error("the standard output cannot be written: {0}")]
    Output(io::Error),
    /// The password of a file is no UTF-8 line.
    #[error("{}: its first line is to be the password, and it is empty", .0.display())]
    NoPassword(PathBuf),
    /// CONNACK with a refusal.
    #[error("{0}")]
    Refused(String),
    /// The broker takes less than is asked for.
    #[error("{0}")]
    Less(String),
    /// Nothing came for too long.
    #[error("{url} did not answer for {}", show_duration(*.after))]
    Silent { url: String, after: Duration },
    /// The connection broke.
    #[error("the connection to {0} broke: {1}")]
    Broken(String, io::Error),
    /// The broker closed without a word.
    #[error("{0} closed the connection without telling why")]
    Closed(String),
    /// DISCONNECT came.
    #[error("{0}")]
    Disconnected(String),
    /// What came is no MQTT.
    #[error("{url} does not speak MQTT 5: {fault}")]
    Decode { url: String, fault: DecodeError },
    /// What shall go out cannot be said.
    #[error("{0}")]
    Encode(#[from] EncodeError),
    /// There are no threads or sockets.
    #[error("the system refuses what this command needs: {0}")]
    Runtime(io::Error),
    /// The other client cannot do that.
    #[error("{0}")]
    NotExplained(String),
}

impl MqttError {
    /// A CONNACK that lets nobody in, with what may help.
    pub(super) fn refused(url: &str, connack: &ConnAck) -> Self {
        let reason = reason(connack.reason, connack.reason_string.as_deref());
        let hint = match connack.reason {
            ReasonCode::BadUserNameOrPassword => "; give --username and --password-file",
            ReasonCode::NotAuthorized => {
                "; this client may not come in: give --username and --password-file, or --cert and --key"
            }
            ReasonCode::ClientIdentifierNotValid => "; give another --client-id",
            ReasonCode::UnsupportedProtocolVersion => "; the listener does not take MQTT 5",
            _ => "",
        };
        Self::Refused(format!("{url} refused the connection: {reason}{hint}"))
    }

    /// A DISCONNECT.
    pub(super) fn disconnected(url: &str, disconnect: &Disconnect) -> Self {
        let reason = reason(disconnect.reason, disconnect.reason_string.as_deref());
        Self::Disconnected(format!("{url} ended the connection: {reason}"))
    }
}

/// A reason code with its number and its text, and what the broker says beside it.
pub(super) fn reason(code: ReasonCode, said: Option<&str>) -> String {
    let text = format!("{} (0x{:02X})", code.text(), code.byte());
    match said {
        Some(said) if !said.is_empty() => format!("{text}: {}", super::view::printable(said.as_bytes())),
        _ => text,
    }
}
