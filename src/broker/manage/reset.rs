//! Moves a cursor to a start option: one that nobody uses, one of a session, one of a group.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use super::channels::unreadable;
use super::clients::{LOOKS, PATIENCE};
use super::cursors::{THOROUGH, owner};
use super::{CursorView, ManageError};
use crate::broker::Broker;
use crate::broker::client::Client;
use crate::broker::cursors::CursorKey;
use crate::broker::group::Group;
use crate::broker::outbox::{Item, Reply};
use crate::broker::subscribe::Request;
use crate::broker::subscription::SubscriptionPath;
use crate::broker::turn::Turn;
use crate::cursor::Start;
use crate::log::{Command, CursorOwner, Event, SubscriptionKind};
use crate::topic::TopicFilter;
use crate::types::{ClientId, Timestamp};

/// The order to a session to begin a replay subscription anew.
#[derive(Debug)]
pub struct CursorReset {
    filter: TopicFilter,
    start: Start,
    done: oneshot::Sender<Result<Command, ManageError>>,
}

impl Broker {
    /// Lets a cursor begin anew where `start` says. Its number is another one then.
    pub async fn reset_cursor(&self, id: u64, start: Start) -> Result<CursorView, ManageError> {
        let found = self.listed(id)?;
        let key = found.key;
        let filter = TopicFilter::parse(&key.filter)
            .map_err(|fault| ManageError::Conflict(format!("its filter cannot be read: {fault}")))?;
        let commands = match (&key.owner, found.in_use) {
            (CursorOwner::Share(_), _) => return Err(ManageError::Conflict(NO_HISTORY.to_owned())),
            (CursorOwner::Client(client) | CursorOwner::User { client, .. }, true) => {
                vec![self.reset_in_use(client, &filter, start).await?]
            }
            (CursorOwner::Client(_) | CursorOwner::User { .. } | CursorOwner::Group(_), _) => {
                self.reset_here(&key, &filter, start)?
            }
        };
        tracing::info!(cursor = id, filter = key.filter, %start, "an administrator resets a cursor");
        self.carry_out(commands).await?;
        let listed = self.cursors.find(&key).ok_or_else(changed)?;
        Ok(self.cursor_view(&listed, THOROUGH))
    }

    /// Of a group, or of nobody now.
    fn reset_here(&self, key: &CursorKey, filter: &TopicFilter, start: Start) -> Result<Vec<Command>, ManageError> {
        let now = self.clock().now();
        let mut alive = |event: &Event| !event.message.is_expired(now);
        let origin = self.resolve(filter, &start, now, &mut alive).map_err(unreadable)?;
        let mut turn = Turn::default();
        let commands = self.groups.with_replay(key, |group| {
            let removed = match group {
                Some(_) => self.cursors.remove(key),
                None => self.cursors.remove_unused(key),
            };
            let removed = removed.ok_or_else(changed)?;
            let (saved, [origin, cursor]) = self.cursors.create(key.clone(), origin, now);
            let mut commands = vec![removed, origin];
            match group {
                Some(group) => {
                    let holder: Weak<Group> = Arc::downgrade(group);
                    self.cursors.hold(key, holder);
                    let (_, name) = owner(&key.owner);
                    for outbox in group.reset(saved, self.strategy(name)) {
                        turn.push(&outbox, Item::Wake);
                    }
                    commands.push(cursor);
                }
                None => commands.extend(self.cursors.put_back(key, saved.record, now)),
            }
            Ok(commands)
        });
        let commands = commands?;
        self.flush(&mut turn);
        Ok(commands)
    }

    /// Of a session, which begins the subscription anew itself.
    async fn reset_in_use(&self, client: &str, filter: &TopicFilter, start: Start) -> Result<Command, ManageError> {
        let client_id = ClientId::from(client);
        for _ in 0..LOOKS {
            let now = self.clock().now();
            let reset = self
                .sessions
                .with_absent(&client_id, |client| self.begin_anew(client, filter, start, now));
            if let Some(reset) = reset {
                return reset;
            }
            let outbox = self.outbox_of(&client_id)?;
            let (done, answer) = oneshot::channel();
            let reset = CursorReset {
                filter: filter.clone(),
                start,
                done,
            };
            outbox.push(&mut vec![Item::Reply(Reply::Reset(Box::new(reset)))]);
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(done)) => return done,
                Ok(Err(_)) | Err(_) if !outbox.is_connected() => {}
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Err(ManageError::Unavailable(
            "the client's connection is busy and did not answer in time; the reset may still happen".to_owned(),
        ))
    }

    pub(in crate::broker) fn reset_of_client(&self, client: &mut Client, reset: CursorReset, now: Timestamp) {
        let done = self.begin_anew(client, &reset.filter, reset.start, now);
        // What it submits goes before what the administration waits for.
        self.end_turn(client);
        let _ = reset.done.send(done);
    }

    fn begin_anew(
        &self,
        client: &mut Client,
        filter: &TopicFilter,
        start: Start,
        now: Timestamp,
    ) -> Result<Command, ManageError> {
        let path = SubscriptionPath {
            group: None,
            filter: filter.clone(),
        };
        let known = client
            .subscription(&path, SubscriptionKind::Replay)
            .ok_or_else(changed)?;
        let request = Request {
            path,
            start: Some(start),
            reset_cursor: true,
            options: known.options,
            selector: known.selector,
            guard: self.guard(client),
        };
        let granted = self
            .grant(client, &request, now)
            .map_err(|refusal| ManageError::Conflict(refusal.why))?;
        let mut turn = std::mem::take(&mut client.turn);
        turn.submit_unawaited(granted.command);
        turn.submit_unawaited(client.save_subscription(&request.path));
        self.flush(&mut turn);
        client.turn = turn;
        Ok(Command::Flush)
    }
}

fn changed() -> ManageError {
    ManageError::Conflict("the cursor's subscription changed meanwhile; look at it again".to_owned())
}

const NO_HISTORY: &str =
    "a shared subscription without a start option holds messages, not a place in the history: it cannot be reset";
