//! Durable sessions: what each waits for, and its end.

use serde::Serialize;

use super::clients::{LOOKS, PATIENCE, kicked};
use super::{ClientDetails, ManageError};
use crate::broker::Broker;
use crate::broker::turn::Turn;
use crate::types::{ClientId, rfc3339};

/// A session that survives its connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// What its client stands at.
    #[serde(flatten)]
    pub client: ClientDetails,
    /// When it ends if nobody comes back; of one without a connection that ends at all.
    pub expires: Option<String>,
    /// When its will is published if nobody comes back.
    pub will_due: Option<String>,
}

impl Broker {
    /// What a durable session stands at.
    pub async fn session(&self, client_id: &str) -> Result<SessionView, ManageError> {
        let client = self.client(client_id).await?;
        if !client.summary.durable {
            return Err(ManageError::NotFound(format!(
                "the session of {client_id:?} ends with its connection: it is no durable one"
            )));
        }
        let (expires, will_due) = self.sessions.times_of(&ClientId::from(client_id));
        Ok(SessionView {
            client,
            expires: expires.map(rfc3339),
            will_due: will_due.map(rfc3339),
        })
    }

    /// Ends a durable session: its connection, its subscriptions, what waits for it. Its will is published.
    pub async fn delete_session(&self, client_id: &str) -> Result<(), ManageError> {
        let client_id = ClientId::from(client_id);
        for _ in 0..LOOKS {
            if let Some(absent) = self.sessions.take_absent(&client_id) {
                tracing::info!(client = client_id.as_str(), "an administrator ends the session");
                let outbox = absent.client.outbox.clone();
                let mut turn = Turn::default();
                let now = self.clock().now();
                let will = absent.will.map(|(_, will)| will);
                self.end_session(absent.client, will, now, &mut turn);
                self.flush(&mut turn);
                drop(turn);
                self.sessions.release(&client_id);
                outbox.released().notify_waiters();
                return self.carry_out(vec![crate::log::Command::Flush]).await;
            }
            let outbox = self.outbox_of(&client_id)?;
            if !outbox.durable {
                return Err(ManageError::NotFound(format!(
                    "the session of {:?} ends with its connection; kick the client instead",
                    client_id.as_str()
                )));
            }
            let released = outbox.released().notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if self.sessions.is_online(&client_id, &outbox) {
                outbox.order(kicked());
                // One that is not gone in time is looked at again.
                let _ = tokio::time::timeout(PATIENCE, released).await;
            }
        }
        Err(ManageError::Conflict(
            "the client comes back faster than its session can be ended; stop the client first".to_owned(),
        ))
    }
}
