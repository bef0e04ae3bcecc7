//! Gathers what one turn of work leaves for others, so that each is locked and woken once.

use std::sync::Arc;
use std::thread::LocalKey;

use super::batches::Batches;
use super::drops::Drops;
use super::lent::{Lent, Spare, Spares};
use super::outbox::{Item, Outbox, Refused};
use super::straight::Messages;
use super::{LogTag, Submissions};
use crate::log::{Command, Submission};

/// What one read, one commit or one tick has to hand over.
#[derive(Debug, Default)]
pub struct Turn {
    gathered: Lent<Gathered>,
    /// Whether anybody traces, as it was when the turn began.
    pub(super) traced: bool,
}

#[derive(Debug, Default)]
struct Gathered {
    messages: Messages,
    replies: Batches,
    submissions: Submissions,
}

impl Spare for Gathered {
    fn spare() -> &'static LocalKey<Spares<Self>> {
        &SPARE
    }
}

thread_local! {
    static SPARE: Spares<Gathered> = const { Spares::new(Vec::new()) };
}

impl Turn {
    /// One that is traced, or not.
    pub fn new(traced: bool) -> Self {
        Self {
            traced,
            ..Self::default()
        }
    }

    /// Leaves an item for a session.
    pub fn push(&mut self, outbox: &Arc<Outbox>, item: Item) {
        let gathered = self.gathered.take();
        match item {
            Item::Reply(_) => gathered.replies.push(outbox, item),
            Item::Live(_) | Item::Packets(_) | Item::Run(_) | Item::Lane(..) | Item::Wake => {
                gathered.messages.push(outbox, item)
            }
        }
    }

    /// The messages that are left for sessions.
    pub(super) fn messages(&mut self) -> &mut Messages {
        &mut self.gathered.take().messages
    }

    /// Whether something but replies is left for sessions.
    pub fn has_messages(&mut self) -> bool {
        self.gathered
            .used()
            .is_some_and(|gathered| !gathered.messages.is_empty())
    }

    /// Leaves a command for the log.
    pub fn submit(&mut self, command: Command, tag: LogTag) {
        self.gathered.take().submissions.push(Submission { command, tag });
    }

    /// Leaves commands for the log that nobody waits for.
    pub fn submit_unawaited(&mut self, commands: impl IntoIterator<Item = Command>) {
        for command in commands {
            self.submit(command, LogTag::None);
        }
    }

    /// Leaves what another turn has left for the log, behind what is left already.
    pub fn take_over(&mut self, other: &mut Self) {
        for Submission { command, tag } in other.take_submissions() {
            self.submit(command, tag);
        }
    }

    /// The commands for the log; the caller hands them over.
    pub fn take_submissions(&mut self) -> Submissions {
        let gathered = self.gathered.used();
        gathered.map_or_else(Vec::new, |gathered| std::mem::take(&mut gathered.submissions))
    }

    /// Hands every batch over. Returns how many messages did not fit.
    ///
    /// Messages before replies: a publisher that has its reply may hand out its next message at once, and that one must
    /// not come before those that are handed out here [MQTT-4.6.0-6].
    pub fn deliver(&mut self, drops: &Drops) -> Refused {
        let Some(gathered) = self.gathered.used() else {
            return Refused::default();
        };
        let refused = gathered.messages.deliver(drops);
        gathered.replies.deliver(drops);
        if gathered.submissions.is_empty() {
            self.gathered.give_back();
        }
        refused
    }
}
