//! Clients: who is connected, what each stands at, and how one is sent away.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

use super::subscriptions::SubscriptionView;
use super::{ManageError, Page};
use crate::broker::Broker;
use crate::broker::client::Client;
use crate::broker::outbox::{Item, Outbox, Reply};
use crate::session::Fault;
use crate::types::{ClientId, ReasonCode, Version, rfc3339};

/// Which clients are wanted.
#[derive(Clone, Debug, Default)]
pub struct ClientFilter {
    /// Those behind this identifier.
    pub after: Option<String>,
    /// Those whose identifier begins so.
    pub prefix: String,
    /// Those that are connected, or are not.
    pub connected: Option<bool>,
    /// Those whose session survives the connection.
    pub durable: Option<bool>,
}

/// What others may see of a client without asking it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientSummary {
    /// The client identifier.
    pub client_id: String,
    /// Whether it is connected.
    pub connected: bool,
    /// The protocol version of its last connection.
    pub protocol: &'static str,
    /// Who authenticated for it.
    pub user: Option<String>,
    /// Whether its session survives its connection.
    pub durable: bool,
    /// How many messages wait for it in memory or for its acknowledgement, roughly.
    pub waiting: usize,
}

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientDetails {
    /// What the list shows as well.
    #[serde(flatten)]
    pub summary: ClientSummary,
    /// Its connection.
    pub connection: Option<Connection>,
    /// Session Expiry Interval, seconds; 4294967295 is for ever.
    pub session_expiry_seconds: u32,
    /// QoS 1 and 2 messages that were sent to it and not acknowledged.
    pub in_flight: usize,
    /// How many more it would take now (its Receive Maximum less what is in flight).
    pub send_quota: u16,
    /// Messages of its own that wait for their commit.
    pub commits_awaited: usize,
    /// The topic of its will.
    pub will_topic: Option<String>,
    /// Its subscriptions.
    pub subscriptions: Vec<SubscriptionView>,
}

/// How a client is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Where it comes from.
    pub peer: String,
    /// The listener that let it in.
    pub listener: String,
    /// Since when.
    pub since: String,
}

impl Broker {
    /// The clients that are wanted, by identifier, at most `most`; and whether there are more.
    pub fn clients(&self, filter: &ClientFilter, most: usize) -> (Vec<ClientSummary>, bool) {
        let mut page: Page<ClientId, Arc<Outbox>> = Page::new(most);
        self.sessions.each(|outbox| {
            let wanted = filter.wants(outbox) && page.wants(&outbox.client_id);
            if wanted {
                page.put(outbox.client_id.clone(), outbox.clone());
            }
        });
        let (found, more) = page.finish();
        (
            found.iter().map(|(_, outbox)| ClientSummary::of(outbox)).collect(),
            more,
        )
    }

    /// The clients that are wanted for which the most waits, the most first, at most `most`.
    pub fn clients_by_waiting(&self, filter: &ClientFilter, most: usize) -> Vec<ClientSummary> {
        let mut page: Page<(Reverse<usize>, ClientId), Arc<Outbox>> = Page::new(most);
        self.sessions.each(|outbox| {
            let key = (Reverse(outbox.load()), outbox.client_id.clone());
            if filter.wants(outbox) && page.wants(&key) {
                page.put(key, outbox.clone());
            }
        });
        let (found, _) = page.finish();
        found.iter().map(|(_, outbox)| ClientSummary::of(outbox)).collect()
    }

    /// What a client stands at.
    pub async fn client(&self, client_id: &str) -> Result<ClientDetails, ManageError> {
        let client_id = ClientId::from(client_id);
        // It may come or go between two looks.
        for _ in 0..LOOKS {
            if let Some(details) = self.sessions.with_absent(&client_id, |client| self.describe(client)) {
                return Ok(details);
            }
            let outbox = self.outbox_of(&client_id)?;
            let (asker, answer) = oneshot::channel();
            outbox.push(&mut vec![Item::Reply(Reply::Describe(asker))]);
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(details)) => return Ok(*details),
                Ok(Err(_)) | Err(_) if !outbox.is_connected() => {}
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Err(ManageError::Unavailable(
            "the client's connection is busy and did not answer in time".to_owned(),
        ))
    }

    /// Ends a client's connection (0x98, administrative action); a durable session stays.
    pub fn kick(&self, client_id: &str) -> Result<(), ManageError> {
        let outbox = self.outbox_of(&ClientId::from(client_id))?;
        if !outbox.is_connected() {
            return Err(ManageError::Conflict(format!("client {client_id:?} is not connected")));
        }
        tracing::info!(client = client_id, "an administrator ends the connection");
        outbox.order(kicked());
        Ok(())
    }

    pub(in crate::broker) fn describe(&self, client: &Client) -> ClientDetails {
        let summary = ClientSummary::of(&client.outbox);
        let reached = client.reached.as_ref().filter(|_| summary.connected);
        let mut subscriptions: Vec<_> = client.subscriptions.iter().map(SubscriptionView::of).collect();
        subscriptions.sort_by(|a, b| (&a.filter, &a.group).cmp(&(&b.filter, &b.group)));
        ClientDetails {
            connection: reached.map(|reached| Connection {
                peer: reached.peer.to_string(),
                listener: reached.gate.listener.clone(),
                since: rfc3339(reached.since),
            }),
            summary,
            session_expiry_seconds: client.session_expiry_secs,
            in_flight: client.session.in_flight(),
            send_quota: client.session.send_quota(),
            commits_awaited: client.commits_awaited,
            will_topic: client.will.as_ref().map(|will| will.topic().to_owned()),
            subscriptions,
        }
    }

    /// Whether a client of this identifier is connected or has a session.
    pub fn has_session(&self, client_id: &str) -> bool {
        self.sessions.outbox(&ClientId::from(client_id)).is_some()
    }

    pub(super) fn outbox_of(&self, client_id: &ClientId) -> Result<Arc<Outbox>, ManageError> {
        let found = self.sessions.outbox(client_id);
        found.ok_or_else(|| ManageError::NotFound(format!("there is no client or session {:?}", client_id.as_str())))
    }
}

impl ClientFilter {
    fn wants(&self, outbox: &Outbox) -> bool {
        let id = outbox.client_id.as_str();
        self.after.as_deref().is_none_or(|after| id > after)
            && id.starts_with(&self.prefix)
            && self
                .connected
                .is_none_or(|connected| connected == outbox.is_connected())
            && self.durable.is_none_or(|durable| durable == outbox.durable)
    }
}

impl ClientSummary {
    fn of(outbox: &Outbox) -> Self {
        Self {
            client_id: outbox.client_id.as_str().to_owned(),
            connected: outbox.is_connected(),
            protocol: match outbox.version() {
                Version::V5 => "5.0",
                Version::V3 => "3.1.1",
            },
            user: outbox.owner().map(|owner| owner.as_str().to_owned()),
            durable: outbox.durable,
            waiting: outbox.load(),
        }
    }
}

pub(super) fn kicked() -> Fault {
    Fault::new(
        ReasonCode::AdministrativeAction,
        "an administrator ended the connection",
    )
}

/// How often a client is looked for that comes and goes meanwhile.
pub(super) const LOOKS: usize = 4;
/// How long a client's task may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
