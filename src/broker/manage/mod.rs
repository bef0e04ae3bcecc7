//! What the administration sees of a running broker and may do to it. Stops no worker: it reads what is shared, and asks
//! each session through its mailbox.

mod channels;
mod clients;
mod cursors;
mod groups;
mod lags;
mod most_behind;
mod publish;
mod reset;
mod retained;
mod sessions;
mod subscriptions;
mod why;

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::promise::Promise;
use super::turn::Turn;
use super::{Broker, LogTag};
use crate::log::Command;

pub use channels::{ChannelDetails, ChannelSummary, Channels};
pub use clients::{ClientDetails, ClientFilter, ClientSummary, Connection};
pub use cursors::{CursorFilter, CursorView, Lag};
pub use groups::{GroupView, MemberView};
pub use lags::{Behind, FURTHEST, LagSums, Lags};
pub use publish::{Published, ToPublish};
pub(super) use reset::CursorReset;
pub use retained::RetainedView;
pub use sessions::SessionView;
pub use subscriptions::SubscriptionView;
pub use why::{DropView, Finding, Verdict, Why};

/// Why the administration does not get what it asked for; the text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManageError {
    /// What was asked cannot be.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It is in a state that does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The store or the broker cannot do it now.
    #[error("{0}")]
    Unavailable(String),
}

/// What the broker stands at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Connected clients.
    pub connections: u64,
    /// Sessions, with a connection or without.
    pub sessions: usize,
    /// Subscriptions, of which a group counts as one.
    pub subscriptions: usize,
    /// Channels of stored events, empty ones too.
    pub channels: usize,
    /// Cursors of clients and groups.
    pub cursors: usize,
    /// Retained messages.
    pub retained: usize,
    /// The last position of the event store.
    pub position: u64,
    /// Bytes that wait to be committed.
    pub queued_bytes: u64,
    /// Whether the broker is about to end.
    pub stopping: bool,
}

impl Broker {
    /// What the broker stands at.
    pub fn overview(&self) -> Overview {
        Overview {
            connections: self.connection_count(),
            sessions: self.sessions.len(),
            subscriptions: self.router.len(),
            channels: self.reader.channel_count(),
            cursors: self.cursors.len(),
            retained: self.retained.len(),
            position: self.reader.watermark().0,
            queued_bytes: self.log.queued_bytes(),
            stopping: self.is_stopping(),
        }
    }

    /// Whether the broker lets nobody in any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits until the log has carried out everything before; the text is the fault if it writes nothing any more.
    pub async fn check_store(&self) -> Result<(), String> {
        self.carry_out(vec![Command::Flush])
            .await
            .map_err(|fault| fault.to_string())
    }

    /// Hands commands to the log and waits for the last of them.
    async fn carry_out(&self, mut commands: Vec<Command>) -> Result<(), ManageError> {
        let Some(last) = commands.pop() else { return Ok(()) };
        let mut turn = Turn::default();
        turn.submit_unawaited(commands);
        let (promise, kept) = Promise::new();
        turn.submit(last, LogTag::Awaited(promise));
        self.flush(&mut turn);
        drop(turn);
        match kept.await {
            Ok(outcome) => outcome.map_err(ManageError::Unavailable),
            Err(_) => Err(ManageError::Unavailable("the broker is stopping".to_owned())),
        }
    }
}

/// Keeps of many the first few by their key, so that a page of a long table takes no copy of it.
pub(super) struct Page<K: Ord, T> {
    most: usize,
    found: std::collections::BTreeMap<K, T>,
    cut: bool,
}

impl<K: Ord, T> Page<K, T> {
    /// A page of at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            found: std::collections::BTreeMap::new(),
            cut: false,
        }
    }

    /// Whether one of this key would be on the page.
    pub(super) fn wants(&mut self, key: &K) -> bool {
        let full = self.found.len() >= self.most;
        let wanted = !full || self.found.last_key_value().is_some_and(|(last, _)| key < last);
        self.cut |= !wanted;
        wanted
    }

    /// Puts one on the page.
    pub(super) fn put(&mut self, key: K, value: T) {
        self.found.insert(key, value);
        if self.found.len() > self.most {
            self.found.pop_last();
            self.cut = true;
        }
    }

    /// What is on the page in order, and whether there is more.
    pub(super) fn finish(self) -> (Vec<(K, T)>, bool) {
        (self.found.into_iter().collect(), self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_first_by_key_and_knows_of_more() {
        let mut page = Page::new(2);
        for key in [5, 1, 4, 3] {
            if page.wants(&key) {
                page.put(key, ());
            }
        }
        assert_eq!(page.finish(), (vec![(1, ()), (3, ())], true));
        let mut page = Page::new(2);
        page.put(1, ());
        assert_eq!(page.finish(), (vec![(1, ())], false));
    }
}
