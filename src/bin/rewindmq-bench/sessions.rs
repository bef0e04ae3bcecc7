//! The durable sessions of a run: clients that subscribe at QoS 1 to everything that is published, and go away.

use std::net::SocketAddr;

use rewindmq::types::QoS;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::error::BenchError;

/// What a row of figures is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// What was measured.
    pub step: Step,
    /// Why the messages were on disk.
    pub kept: Kept,
    /// How many sessions were away.
    pub absent: u64,
}

/// A step in the life of a backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It is published.
    Ingest,
    /// The broker is killed and comes back to it.
    Restart,
    /// A session comes back and takes it.
    Drain,
}

/// Why the broker keeps a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// A rule of the event store wants it, whoever subscribes.
    Stored,
    /// Only for the sessions that are away; without any it is not kept.
    Held,
}

impl Step {
    /// Its name in figures.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Restart => "restart",
            Self::Drain => "drain",
        }
    }
}

impl Kept {
    /// Its name in figures.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Held => "held",
        }
    }
}

impl Sessions {
    /// The scenario in words, such as `held for 10 sessions: restart`.
    pub fn scenario(&self, what: &str) -> String {
        let sessions = match self.absent {
            1 => "1 session".to_owned(),
            absent => format!("{absent} sessions"),
        };
        match (self.kept, self.absent) {
            (Kept::Held, 0) => format!("not kept, {sessions}: {what}"),
            (Kept::Held, _) => format!("held for {sessions}: {what}"),
            (Kept::Stored, _) => format!("stored, {sessions}: {what}"),
        }
    }

    /// How many of the published messages the broker has to keep.
    pub fn backlog(&self, messages: u64) -> u64 {
        match (self.kept, self.absent) {
            (Kept::Held, 0) => 0,
            _ => messages,
        }
    }
}

/// Connects with a session of this number, new or not; says whether the broker had it.
///
/// # Errors
/// If the broker cannot be reached or refuses the client.
pub async fn resume(broker: SocketAddr, index: u64) -> Result<(Connection, bool), BenchError> {
    Connection::resume(broker, &format!("session-{index}"), EXPIRY_SECS).await
}

/// Begins this many sessions, each with its subscription, and leaves them.
///
/// # Errors
/// If the broker refuses something, or knows a session already.
pub async fn park(broker: SocketAddr, sessions: u64) -> Result<(), BenchError> {
    let mut tasks = JoinSet::new();
    for first in 0..sessions.min(AT_A_TIME) {
        tasks.spawn(async move {
            for index in (first..sessions).step_by(AT_A_TIME as usize) {
                park_one(broker, index).await?;
            }
            Ok::<(), BenchError>(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}

async fn park_one(broker: SocketAddr, index: u64) -> Result<(), BenchError> {
    let (mut connection, session_present) = resume(broker, index).await?;
    if session_present {
        return Err(BenchError::OldSession { index });
    }
    connection.subscribe(FILTER, QoS::AtLeastOnce, Vec::new()).await?;
    connection.leave().await
}

/// Matches the topics of all channels.
const FILTER: &str = "bench/channel/#";
/// Session Expiry Interval: longer than any run.
const EXPIRY_SECS: u32 = 3_600;
/// How many sessions are begun side by side, so that their commits are shared and file descriptors are few.
const AT_A_TIME: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;

    #[test]
    fn only_held_messages_without_sessions_are_not_kept() {
        let backlog = |kept, absent| {
            let sessions = Sessions {
                step: Step::Ingest,
                kept,
                absent,
            };
            (sessions.backlog(5), sessions.scenario("x"))
        };
        assert_eq!(backlog(Kept::Held, 0), (0, "not kept, 0 sessions: x".to_owned()));
        assert_eq!(backlog(Kept::Held, 1), (5, "held for 1 session: x".to_owned()));
        assert_eq!(backlog(Kept::Stored, 0), (5, "stored, 0 sessions: x".to_owned()));
    }

    #[test]
    fn the_filter_matches_the_topics_of_all_channels() {
        let events = Events {
            messages: 1,
            channels: 2,
            publishers: 1,
            payload: 8,
        };
        let level = FILTER.strip_suffix('#').expect("ends with all levels below");
        assert!(events.topics().iter().all(|topic| topic.starts_with(level)));
    }
}
