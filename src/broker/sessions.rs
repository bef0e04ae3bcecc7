//! Which sessions there are, and who holds each. A session is with its connection, or here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::AHashMap;

use super::client::Client;
use super::outbox::Outbox;
use super::will::Will;
use crate::types::{ClientId, Timestamp};

/// All sessions by client identifier.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    slots: AHashMap<ClientId, Slot>,
    deadlines: BTreeSet<(Timestamp, ClientId)>,
}

#[derive(Debug)]
enum Slot {
    /// A connection has it.
    Online(Arc<Outbox>),
    /// It waits for its client.
    Absent(Box<Absent>),
}

/// A session without a connection.
#[derive(Debug)]
pub(super) struct Absent {
    pub client: Client,
    /// When it ends; `None` is never.
    pub expires: Option<Timestamp>,
    /// Its will, and when that is due.
    pub will: Option<(Timestamp, Will)>,
}

impl Slot {
    fn outbox(&self) -> &Arc<Outbox> {
        match self {
            Self::Online(outbox) => outbox,
            Self::Absent(absent) => &absent.client.outbox,
        }
    }
}

impl Absent {
    /// Whether it has ended, though nobody has noticed yet.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// What a newcomer finds under its client identifier.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing; the newcomer has the identifier now.
    Nothing,
    /// A session without a connection; the newcomer has the identifier now.
    Absent(Box<Absent>),
    /// A connection has it.
    Online(Arc<Outbox>),
    /// It belongs to another user, and stays there.
    Foreign,
    /// Nothing, and there are as many sessions as there may be.
    Full,
}

/// What came due of a session. Its identifier is in use until it is parked again or released: nobody can be back before
/// that is done.
#[derive(Debug)]
pub(super) enum Due {
    /// The will's delay is over.
    Will(Box<Absent>, Will),
    /// The session is over; with its will, if that was still waiting.
    Expired(Box<Client>, Option<Will>),
}

impl Sessions {
    /// Claims a client identifier for a connection with this mailbox; a new session only if there are fewer than `max`.
    pub fn claim(&self, client_id: &ClientId, outbox: &Arc<Outbox>, max: Option<u64>) -> Found {
        let mut inner = self.lock();
        let there = inner.slots.get(client_id).map(Slot::outbox);
        if there.is_some_and(|there| !there.may_be_taken_by(outbox)) {
            return Found::Foreign;
        }
        match inner.slots.remove(client_id) {
            Some(Slot::Online(other)) => {
                inner.slots.insert(client_id.clone(), Slot::Online(other.clone()));
                Found::Online(other)
            }
            Some(Slot::Absent(absent)) => {
                inner.forget_deadlines(client_id, &absent);
                // A resumed session keeps its own mailbox: messages wait in it.
                inner
                    .slots
                    .insert(client_id.clone(), Slot::Online(absent.client.outbox.clone()));
                Found::Absent(absent)
            }
            None if max.is_some_and(|max| inner.slots.len() as u64 >= max) => Found::Full,
            None => {
                inner.slots.insert(client_id.clone(), Slot::Online(outbox.clone()));
                Found::Nothing
            }
        }
    }

    /// Replaces the mailbox under a claimed identifier: the session in it was discarded.
    pub fn replace(&self, client_id: &ClientId, outbox: &Arc<Outbox>) {
        self.lock()
            .slots
            .insert(client_id.clone(), Slot::Online(outbox.clone()));
    }

    /// Whether this very connection still has the identifier.
    pub fn is_online(&self, client_id: &ClientId, outbox: &Arc<Outbox>) -> bool {
        matches!(self.lock().slots.get(client_id), Some(Slot::Online(other)) if Arc::ptr_eq(other, outbox))
    }

    /// The connection is gone and its session stays until `expires`; its will waits.
    pub fn park(&self, client: Client, expires: Option<Timestamp>, will: Option<(Timestamp, Will)>) {
        let mut inner = self.lock();
        let client_id = client.session.client_id().clone();
        if let Some(at) = expires {
            inner.deadlines.insert((at, client_id.clone()));
        }
        if let Some((at, _)) = &will {
            inner.deadlines.insert((*at, client_id.clone()));
        }
        inner
            .slots
            .insert(client_id, Slot::Absent(Box::new(Absent { client, expires, will })));
    }

    /// The session is over; the identifier is free.
    pub fn release(&self, client_id: &ClientId) {
        self.lock().slots.remove(client_id);
    }

    /// Takes out the next session of which something is due by `now`.
    pub fn next_due(&self, now: Timestamp) -> Option<Due> {
        let mut inner = self.lock();
        loop {
            let (_, client_id) = inner.deadlines.first().filter(|(at, _)| *at <= now).cloned()?;
            inner.deadlines.pop_first();
            if let Some(due) = inner.come_due(&client_id, now) {
                return Some(due);
            }
        }
    }

    /// Calls `look` for sessions without a connection, beginning at the one of a number, until it has seen all or says
    /// false. None can come or go meanwhile.
    pub fn each_absent(&self, begin_at: usize, mut look: impl FnMut(&mut Client) -> bool) {
        let mut inner = self.lock();
        let absent = inner.slots.values_mut().filter_map(|slot| match slot {
            Slot::Absent(absent) => Some(absent),
            Slot::Online(_) => None,
        });
        let mut absent: Vec<&mut Box<Absent>> = absent.collect();
        if absent.is_empty() {
            return;
        }
        let middle = begin_at % absent.len();
        absent.rotate_left(middle);
        for absent in absent {
            if !look(&mut absent.client) {
                break;
            }
        }
    }

    /// The mailboxes of all sessions.
    pub fn each_outbox(&self) -> Vec<Arc<Outbox>> {
        let inner = self.lock();
        inner.slots.values().map(Slot::outbox).cloned().collect()
    }

    /// The mailboxes of all connected clients.
    pub fn online(&self) -> Vec<Arc<Outbox>> {
        let inner = self.lock();
        let online = inner.slots.values().filter_map(|slot| match slot {
            Slot::Online(outbox) => Some(outbox.clone()),
            Slot::Absent(_) => None,
        });
        online.collect()
    }

    /// Calls `look` with the mailbox of every session.
    pub fn each(&self, mut look: impl FnMut(&Arc<Outbox>)) {
        self.lock().slots.values().for_each(|slot| look(slot.outbox()));
    }

    /// The mailbox of a session.
    pub fn outbox(&self, client_id: &ClientId) -> Option<Arc<Outbox>> {
        self.lock().slots.get(client_id).map(|slot| slot.outbox().clone())
    }

    /// Calls `look` with a session without a connection, which cannot come back meanwhile.
    pub fn with_absent<R>(&self, client_id: &ClientId, look: impl FnOnce(&mut Client) -> R) -> Option<R> {
        match self.lock().slots.get_mut(client_id)? {
            Slot::Absent(absent) => Some(look(&mut absent.client)),
            Slot::Online(_) => None,
        }
    }

    /// When a session without a connection ends, and when its will is due.
    pub fn times_of(&self, client_id: &ClientId) -> (Option<Timestamp>, Option<Timestamp>) {
        match self.lock().slots.get(client_id) {
            Some(Slot::Absent(absent)) => (absent.expires, absent.will.as_ref().map(|(at, _)| *at)),
            _ => (None, None),
        }
    }

    /// Takes a session without a connection out. Its identifier is in use until it is released.
    pub fn take_absent(&self, client_id: &ClientId) -> Option<Absent> {
        let mut inner = self.lock();
        let slot = inner.slots.get_mut(client_id)?;
        let Slot::Absent(absent) = slot else { return None };
        let online = Slot::Online(absent.client.outbox.clone());
        let Slot::Absent(absent) = std::mem::replace(slot, online) else {
            return None;
        };
        inner.forget_deadlines(client_id, &absent);
        Some(*absent)
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.lock().slots.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget_deadlines(&mut self, client_id: &ClientId, absent: &Absent) {
        let times = absent
            .expires
            .into_iter()
            .chain(absent.will.as_ref().map(|(at, _)| *at));
        for at in times {
            self.deadlines.remove(&(at, client_id.clone()));
        }
    }

    fn come_due(&mut self, client_id: &ClientId, now: Timestamp) -> Option<Due> {
        let slot = self.slots.get_mut(client_id)?;
        let Slot::Absent(absent) = slot else { return None };
        let is_over = absent.is_over(now);
        if !is_over && absent.will.as_ref().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let online = Slot::Online(absent.client.outbox.clone());
        let Slot::Absent(mut absent) = std::mem::replace(slot, online) else {
            return None;
        };
        self.forget_deadlines(client_id, &absent);
        let will = absent.will.take().map(|(_, will)| will);
        match will {
            Some(will) if !is_over => Some(Due::Will(absent, will)),
            will => Some(Due::Expired(Box::new(absent.client), will)),
        }
    }
}
