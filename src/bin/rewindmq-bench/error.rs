//! Why a scenario could not be measured. A message that went wrong is no error but a fault in the row.

use std::time::Duration;

use rewindmq::codec::{DecodeError, EncodeError, Packet};
use rewindmq::types::ReasonCode;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The operating system refuses something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The broker sent something that is no packet.
    #[error("the broker sent a malformed packet: {0}")]
    Decode(#[from] DecodeError),
    /// A packet that cannot be said, such as an event that is too large.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The broker closed a connection.
    #[error("the broker closed the connection of {client}")]
    Closed {
        /// Whose connection.
        client: String,
    },
    /// The broker refuses something.
    #[error("the broker refuses {what}: {}", reason.text())]
    Refused {
        /// What it refuses.
        what: &'static str,
        /// Its reason.
        reason: ReasonCode,
    },
    /// A packet that does not belong there.
    #[error("expected {expected}, got {packet}")]
    Unexpected {
        /// What should have come.
        expected: String,
        /// What came.
        packet: String,
    },
    /// A durable session from an earlier run: what it is owed cannot be told from the load.
    #[error("the broker knows session {index} already; use an empty data folder")]
    OldSession {
        /// Which one.
        index: u64,
    },
    /// Nothing came for too long.
    #[error("nothing came for {} s while waiting for {what}", after.as_secs())]
    Stalled {
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// The scenario did not end in time.
    #[error("not done after {} s", .0.as_secs())]
    Timeout(Duration),
    /// A task of a client ended in a panic.
    #[error("a client failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A file under /proc or a file of rows that does not read as it should.
    #[error("{file} does not read as it should: {what}")]
    Format {
        /// Which file.
        file: String,
        /// What is wrong.
        what: String,
    },
}

impl BenchError {
    /// For `map_err`: what was tried when the system refused.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            what: what.into(),
            source,
        }
    }

    /// A packet that does not belong there.
    pub fn unexpected(expected: impl Into<String>, packet: &Packet<'_>) -> Self {
        Self::Unexpected {
            expected: expected.into(),
            packet: format!("{packet:?}"),
        }
    }
}
