//! UNSUBSCRIBE, and every other way in which a subscription ends.

use std::sync::Arc;

use super::ack::AwaitedAck;
use super::client::Client;
use super::group::Group;
use super::outbox::Item;
use super::subscription::{Subscription, SubscriptionPath};
use super::{Broker, LogTag};
use crate::codec::Unsubscribe;
use crate::cursor::keep_cursor;
use crate::log::{Command, SubscriptionKind};
use crate::session::{Source, SubscriptionKey};
use crate::topic::SubscriptionFilter;
use crate::types::ReasonCode;

/// What happens to the cursor of a subscription that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CursorFate {
    /// It stays where it stands.
    Kept,
    /// It is deleted; of a group, if nobody else is subscribed.
    Deleted,
}

impl Broker {
    /// Handles UNSUBSCRIBE; the UNSUBACK follows when every deleted cursor is gone from the disk.
    pub(super) fn unsubscribe(&self, client: &mut Client, unsubscribe: Unsubscribe) {
        let mut ack = AwaitedAck::new(client, unsubscribe.packet_id, false);
        match keep_cursor(&unsubscribe.user_properties) {
            Err(fault) => {
                ack.packet.reasons = vec![ReasonCode::ImplementationSpecificError; unsubscribe.filters.len()];
                ack.packet.reason_string = Some(fault.to_string());
            }
            Ok(keep) => {
                let fate = if keep { CursorFate::Kept } else { CursorFate::Deleted };
                for filter in &unsubscribe.filters {
                    self.unsubscribe_filter(client, filter, fate, &mut ack);
                }
            }
        }
        self.finish_or_await(client, ack);
    }

    fn unsubscribe_filter(&self, client: &mut Client, filter: &str, fate: CursorFate, ack: &mut AwaitedAck) {
        let parsed = match SubscriptionFilter::parse(filter) {
            Ok(parsed) => parsed,
            Err(fault) => {
                ack.packet.reasons.push(fault.reason_code());
                ack.packet.reason_string.get_or_insert(fault.to_string());
                return;
            }
        };
        let path = SubscriptionPath {
            group: parsed.group.map(Box::new),
            filter: parsed.filter,
        };
        let Some(subscription) = client.subscriptions.remove(&path) else {
            ack.packet.reasons.push(ReasonCode::NoSubscriptionExisted);
            return;
        };
        if let Some(command) = self.end_subscription(client, &path, &subscription, fate) {
            ack.submit(client, &path, command);
        }
        if let Some(id) = client.durable_id() {
            ack.submit(client, &path, Command::DeleteSubscription(id, subscription.key.0));
        }
        ack.packet.reasons.push(ReasonCode::Success);
    }

    /// Ends a subscription that another kind replaces, or that could not be made; a cursor stays.
    pub(super) fn leave(&self, client: &mut Client, path: &SubscriptionPath) {
        let Some(subscription) = client.subscriptions.remove(path) else {
            return;
        };
        let command = self.end_subscription(client, path, &subscription, CursorFate::Kept);
        let id = client.durable_id();
        let row = id.map(|id| Command::DeleteSubscription(id, subscription.key.0));
        client.turn.submit_unawaited(command.into_iter().chain(row));
    }

    /// Ends all subscriptions of a session that is over.
    pub(super) fn leave_all(&self, client: &mut Client) {
        // A cursor under an identifier that nobody can come back with serves nobody.
        let fate = if client.assigned_id && client.session_expiry_secs == 0 {
            CursorFate::Deleted
        } else {
            CursorFate::Kept
        };
        for (path, subscription) in client.subscriptions.take_all() {
            let fate = if path.group.is_some() { CursorFate::Kept } else { fate };
            if let Some(command) = self.end_subscription(client, &path, &subscription, fate) {
                client.turn.submit(command, LogTag::None);
            }
        }
    }

    fn end_subscription(
        &self,
        client: &mut Client,
        path: &SubscriptionPath,
        subscription: &Subscription,
        fate: CursorFate,
    ) -> Option<Command> {
        let subscriber = client.outbox.subscriber;
        match subscription.kind {
            SubscriptionKind::Live => {
                self.router.remove(&path.filter, subscriber);
                client.keep_in_flight(&path.filter);
                client.plain_changed();
                None
            }
            SubscriptionKind::Share => self.leave_share(client, subscription.key, path),
            SubscriptionKind::Replay => {
                self.router.remove(&path.filter, subscriber);
                self.end_replay(client, subscription.key, fate)
            }
            SubscriptionKind::Group => self.end_membership(client, subscription.key, path, fate),
        }
    }

    fn end_replay(&self, client: &mut Client, key: SubscriptionKey, fate: CursorFate) -> Option<Command> {
        client.outbox.close_lane(key);
        let index = client.replays.iter().position(|replay| replay.key == key)?;
        let replay = client.replays.remove(index);
        let cursor = replay.cursor();
        match fate {
            CursorFate::Kept => self.cursors.put_back(cursor.key(), cursor.record(), self.clock.now()),
            CursorFate::Deleted => self.cursors.remove(cursor.key()),
        }
    }

    /// Leaves a group with a cursor.
    pub(super) fn end_membership(
        &self,
        client: &mut Client,
        key: SubscriptionKey,
        path: &SubscriptionPath,
        fate: CursorFate,
    ) -> Option<Command> {
        let index = client.groups.iter().position(|membership| membership.key == key)?;
        let group = client.groups.remove(index).group;
        client
            .session
            .forget_in_flight(|source| matches!(source, Source::Group(other, _) if other == key));
        let mut command = None;
        let subscriber = client.outbox.subscriber;
        let last = |group: &Arc<Group>| {
            command = match fate {
                CursorFate::Kept => self.cursors.put_back(group.key(), group.record(), self.clock.now()),
                CursorFate::Deleted => self.cursors.remove(group.key()),
            };
        };
        let wake = self.groups.leave(&group, path, subscriber, &self.router, last);
        if let Some(outbox) = wake {
            client.turn.push(&outbox, Item::Wake);
        }
        command
    }
}
