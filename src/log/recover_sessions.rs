//! Reads what the store keeps of durable sessions, and the retained messages.

use std::sync::Arc;

use super::RecoveredSession;
use crate::store::{
    PlaceRecord, SessionRecord, Snapshot, StoreError, SubscriptionRecord, Table, Visit, WillRecord, decode_retained,
    parse_received_key, parse_session_key,
};
use crate::types::{Message, SessionId};

/// The durable sessions of a store.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// Ascending by identifier.
    pub(crate) sessions: Vec<RecoveredSession>,
    /// An identifier above all of them.
    pub(crate) next: SessionId,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            sessions: Vec::new(),
            next: SessionId(1),
        }
    }
}

impl Sessions {
    pub(crate) fn load(snapshot: &dyn Snapshot) -> Result<Self, StoreError> {
        let mut found = Self::default();
        snapshot.upwards(Table::Sessions, &[], &mut |key, value| {
            let record = SessionRecord::decode(key, value)?;
            found.see(record.id);
            found.sessions.push(RecoveredSession {
                record,
                subscriptions: Vec::new(),
                place: None,
                received: Vec::new(),
                will: None,
            });
            Ok(Visit::More)
        })?;
        found.load_subscriptions(snapshot)?;
        found.load_places(snapshot)?;
        found.load_received(snapshot)?;
        found.load_wills(snapshot)?;
        Ok(found)
    }

    fn see(&mut self, id: SessionId) {
        self.next = self.next.max(SessionId(id.0.saturating_add(1)));
    }

    /// The session of a row. A session's rows go in one transaction, so there is none whose session is gone; if there
    /// were, it would be left out, and its identifier not be given out again.
    fn session(&mut self, id: SessionId) -> Option<&mut RecoveredSession> {
        self.see(id);
        let at = self.sessions.binary_search_by_key(&id, |session| session.record.id);
        at.ok().map(|at| &mut self.sessions[at])
    }

    fn load_subscriptions(&mut self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        snapshot.upwards(Table::Subscriptions, &[], &mut |key, value| {
            let record = SubscriptionRecord::decode(key, value)?;
            if let Some(session) = self.session(record.session) {
                session.subscriptions.push(record);
            }
            Ok(Visit::More)
        })
    }

    fn load_places(&mut self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        snapshot.upwards(Table::Places, &[], &mut |key, value| {
            let id = parse_session_key(Table::Places, key)?;
            if let Some(session) = self.session(id) {
                session.place = Some(PlaceRecord::decode(key, value)?);
            }
            Ok(Visit::More)
        })
    }

    fn load_received(&mut self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        snapshot.upwards(Table::Received, &[], &mut |key, _| {
            let (id, packet_id) = parse_received_key(key)?;
            if let Some(session) = self.session(id) {
                session.received.push(packet_id);
            }
            Ok(Visit::More)
        })
    }

    fn load_wills(&mut self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        snapshot.upwards(Table::Wills, &[], &mut |key, value| {
            let id = parse_session_key(Table::Wills, key)?;
            if let Some(session) = self.session(id) {
                session.will = Some(WillRecord::decode(key, value)?);
            }
            Ok(Visit::More)
        })
    }
}

/// The retained messages, ascending by key.
pub(crate) fn load_retained(snapshot: &dyn Snapshot) -> Result<Vec<Arc<Message>>, StoreError> {
    let mut retained = Vec::new();
    snapshot.upwards(Table::Retained, &[], &mut |key, value| {
        retained.push(Arc::new(decode_retained(key, value)?));
        Ok(Visit::More)
    })?;
    Ok(retained)
}
