//! What a good SUBSCRIBE filter becomes: a plain, shared, replay or group subscription, with its cursor.

use std::sync::{Arc, Weak};

use super::Broker;
use super::access::{self, REPLAY};
use super::client::{Client, GroupMembership};
use super::cursors::{CursorKey, Saved};
use super::group::Group;
use super::groups::Joining;
use super::outbox::Outbox;
use super::replay::{ReplayCursor, ReplaySubscription};
use super::route::Target;
use super::select::{Subject, passes};
use super::subscribe::{Granted, Refusal, Request};
use super::subscription::{Subscription, SubscriptionOptions};
use crate::cursor::Start;
use crate::log::{Command, Event, LogError, Origin, StartAt, SubscriptionKind};
use crate::metrics::Limit;
use crate::router::SubscriberId;
use crate::topic::TopicFilter;
use crate::types::{QoS, ReasonCode, Sequence, Timestamp};

/// A cursor taken into use.
pub(super) struct Opened {
    pub saved: Saved,
    /// Changes that go to disk before the one that is awaited, in this order.
    pub before: Vec<Command>,
    /// The change that the SUBACK waits for.
    pub awaited: Option<Command>,
    /// Whether it was there before.
    pub resumed: bool,
}

impl Broker {
    pub(super) fn grant(&self, client: &mut Client, request: &Request, now: Timestamp) -> Result<Granted, Refusal> {
        let known = client.subscriptions.contains_key(&request.path);
        let limit = self.config().session.max_subscriptions.unwrap_or(u64::MAX);
        if !known && client.subscriptions.len() as u64 >= limit {
            self.metrics.limited.of(Limit::Subscriptions).increment(1);
            return Err(Refusal {
                reason: ReasonCode::QuotaExceeded,
                why: format!("a session may have {limit} subscriptions (session.max_subscriptions)"),
            });
        }
        match (&request.start, &request.path.group) {
            (None, None) => Ok(self.subscribe_live(client, request)),
            (None, Some(group)) => self.subscribe_share(client, request, group, now),
            (Some(start), None) => self.subscribe_replay(client, request, start, now),
            (Some(start), Some(group)) => self.subscribe_group(client, request, group, start, now),
        }
    }

    fn subscribe_live(&self, client: &mut Client, request: &Request) -> Granted {
        let known = client.subscription(&request.path, SubscriptionKind::Live);
        if known.is_none() {
            self.leave(client, &request.path);
        }
        // Before the router knows of it: whatever is kept because of it comes later.
        let now = self.reader.watermark();
        let kept = known.as_ref().filter(|known| known.options.qos > QoS::AtMostOnce);
        let subscription = Subscription {
            key: known.as_ref().map_or_else(|| client.new_key(), |known| known.key),
            kind: SubscriptionKind::Live,
            options: request.options,
            selector: request.selector.clone(),
            since: kept.map_or(now, |kept| kept.since),
        };
        let target = Target::live(&client.outbox, request.options, request.selector.as_ref());
        self.router
            .insert(&request.path.filter, client.outbox.subscriber, target);
        client.subscriptions.insert(request.path.clone(), subscription);
        if request.options.qos == QoS::AtMostOnce {
            client.keep_in_flight(&request.path.filter);
        }
        client.plain_changed();
        Granted::plain(request.options.qos, known.is_none())
    }

    fn subscribe_replay(
        &self,
        client: &mut Client,
        request: &Request,
        start: &Start,
        now: Timestamp,
    ) -> Result<Granted, Refusal> {
        let filter = &request.path.filter;
        if !request.reset_cursor
            && let Some(known) = client.subscription(&request.path, SubscriptionKind::Replay)
            && let Some(replay) = client.replays.iter_mut().find(|replay| replay.key == known.key)
        {
            replay.options = request.options;
            if known.selector != request.selector {
                replay.selector.clone_from(&request.selector);
                // What is in the lane is looked at again; what comes from now on is chosen by the new one.
                let target = Target::replay(&client.outbox, known.key, request.selector.as_ref());
                self.router.insert(filter, client.outbox.subscriber, target);
            }
            let pending = replay.pending(&self.reader);
            client.note_options(&request.path, request.options, request.selector.clone());
            return Ok(Granted {
                qos: request.options.qos,
                is_new: false,
                command: None,
                replay: Some((true, pending)),
            });
        }
        let cursor_key = CursorKey::client(client.session.client_id(), client.outbox.owner(), filter);
        let own = client.session.client_id().clone();
        let no_local = request.options.no_local;
        let mut deliverable = |event: &Event| {
            !event.message.is_expired(now)
                && (!no_local || event.message.publisher() != Some(&own))
                && self.selects(request, event)
        };
        let is_new = !client.subscriptions.contains_key(&request.path);
        // Opened first: a refusal leaves the subscription that is there as it is.
        let opened = self.open_cursor(&cursor_key, request, start, &mut deliverable, now)?;
        self.leave(client, &request.path);
        client.turn.submit_unawaited(opened.before);
        let key = client.new_key();
        let cursor = ReplayCursor::new(cursor_key, opened.saved);
        let holder: Weak<ReplayCursor> = Arc::downgrade(&cursor);
        self.cursors.hold(cursor.key(), holder);
        self.router.insert(
            filter,
            client.outbox.subscriber,
            Target::replay(&client.outbox, key, request.selector.as_ref()),
        );
        // Whatever was routed before the router knew of the lane is committed by now: the log has it.
        client.outbox.open_lane(key, self.reader.watermark());
        let selector = request.selector.clone();
        let replay = ReplaySubscription::new(key, filter, cursor, request.options, selector.clone(), &self.reader);
        let pending = replay.pending(&self.reader);
        client.replays.push(replay);
        let subscription = Subscription::new(key, SubscriptionKind::Replay, request.options, selector);
        client.subscriptions.insert(request.path.clone(), subscription);
        Ok(Granted {
            qos: request.options.qos,
            is_new,
            command: opened.awaited,
            replay: Some((opened.resumed, pending)),
        })
    }

    fn subscribe_group(
        &self,
        client: &mut Client,
        request: &Request,
        name: &str,
        start: &Start,
        now: Timestamp,
    ) -> Result<Granted, Refusal> {
        let options = SubscriptionOptions {
            qos: request.options.qos.min(QoS::AtLeastOnce),
            ..request.options
        };
        if !request.reset_cursor
            && let Some(known) = client.subscription(&request.path, SubscriptionKind::Group)
            && let Some(membership) = client.groups.iter_mut().find(|membership| membership.key == known.key)
        {
            self.groups.choose_selector(
                &membership.group,
                &client.outbox,
                request.selector.as_ref(),
                &self.router,
            )?;
            membership.options = options;
            client.note_options(&request.path, options, request.selector.clone());
            return Ok(Granted {
                qos: options.qos,
                is_new: false,
                command: None,
                replay: Some((true, None)),
            });
        }
        let filter = &request.path.filter;
        let cursor_key = CursorKey::group(name, filter);
        let in_use =
            || Refusal::other("the group has other members: its cursor is not reset while they are subscribed");
        if request.reset_cursor && self.groups.has_others(&cursor_key, client.outbox.subscriber) {
            return Err(in_use());
        }
        self.check_room(&cursor_key)?;
        let outbox = client.outbox.clone();
        let joining = Joining {
            outbox: &outbox,
            selector: request.selector.as_ref(),
            router: &self.router,
        };
        // A refusal leaves the subscription that is there as it is.
        self.groups.check_replay(&cursor_key, &joining)?;
        self.leave(client, &request.path);
        let (mut before, mut awaited, mut resumed) = (Vec::new(), None, true);
        let make = |subscriber| {
            let mut alive = |event: &Event| !event.message.is_expired(now) && self.selects(request, event);
            let opened = self.open_cursor(&cursor_key, request, start, &mut alive, now)?;
            (before, awaited, resumed) = (opened.before, opened.awaited, opened.resumed);
            Ok(self.make_group(subscriber, &cursor_key, name, request, opened.saved, &client.outbox))
        };
        let group = self
            .groups
            .join_replay(&cursor_key, joining, request.reset_cursor, make)?
            .ok_or_else(in_use)?;
        client.turn.submit_unawaited(before);
        let key = client.new_key();
        client.groups.push(GroupMembership { key, group, options });
        let subscription = Subscription::new(key, SubscriptionKind::Group, options, request.selector.clone());
        client.subscriptions.insert(request.path.clone(), subscription);
        Ok(Granted {
            qos: options.qos,
            is_new: true,
            command: awaited,
            replay: Some((resumed, None)),
        })
    }

    /// Makes a group and routes it. Its first member is there before any message is.
    pub(super) fn make_group(
        &self,
        subscriber: SubscriberId,
        key: &CursorKey,
        name: &str,
        request: &Request,
        saved: Saved,
        first: &Arc<Outbox>,
    ) -> Arc<Group> {
        let filter = &request.path.filter;
        let max_bytes = self.outbox_limits().max_bytes;
        let group = Group::new(
            subscriber,
            key.clone(),
            filter,
            saved,
            self.strategy(name),
            max_bytes,
            &self.reader,
        );
        group.set_selector(request.selector.clone());
        group.subscribe(first);
        self.router.insert(filter, subscriber, Target::Group(group.clone()));
        group.routed(self.reader.watermark());
        let holder: Weak<Group> = Arc::downgrade(&group);
        self.cursors.hold(key, holder);
        group
    }

    /// The saved cursor, or a fresh one that starts where `start` says.
    pub(super) fn open_cursor(
        &self,
        key: &CursorKey,
        request: &Request,
        start: &Start,
        deliverable: &mut dyn FnMut(&Event) -> bool,
        now: Timestamp,
    ) -> Result<Opened, Refusal> {
        self.check_room(key)?;
        let mut before = Vec::new();
        if request.reset_cursor {
            before.extend(self.cursors.remove(key));
        }
        if let Some(saved) = self.cursors.take(key, now) {
            return Ok(Opened {
                saved,
                before,
                awaited: None,
                resumed: true,
            });
        }
        let filter = &request.path.filter;
        let origin = self.resolve(filter, start, now, deliverable).map_err(|fault| {
            tracing::error!(filter = filter.as_str(), %fault, "replay start not found");
            Refusal::other(format!("the event store cannot be read: {fault}"))
        })?;
        let (saved, [origin, cursor]) = self.cursors.create(key.clone(), origin, now);
        before.push(origin);
        Ok(Opened {
            saved,
            before,
            awaited: Some(cursor),
            resumed: false,
        })
    }

    /// Whether the client may have a record, and it passes the selector that is asked for.
    fn selects(&self, request: &Request, event: &Event) -> bool {
        if !access::may(request.guard.as_deref(), REPLAY, event.message.topic()) {
            return false;
        }
        let selector = request.selector.as_ref();
        selector.is_none_or(|selector| passes(selector, &Subject::record(event), &self.metrics))
    }

    pub(super) fn check_room(&self, key: &CursorKey) -> Result<(), Refusal> {
        if self.cursors.has_room(key) {
            return Ok(());
        }
        self.metrics.limited.of(Limit::Cursors).increment(1);
        Err(Refusal {
            reason: ReasonCode::QuotaExceeded,
            why: "too many cursors (store.max_cursors, store.max_cursors_per_client)".into(),
        })
    }

    pub(super) fn resolve(
        &self,
        filter: &TopicFilter,
        start: &Start,
        now: Timestamp,
        deliverable: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<Origin, LogError> {
        let at = match *start {
            Start::New => StartAt::New,
            Start::First => StartAt::First,
            Start::Last(count) => StartAt::Last(count),
            Start::Sequence(sequence) => StartAt::Sequence(Sequence(sequence)),
            Start::Time(time) => StartAt::Time(time),
            Start::Delta(delta) => StartAt::Time(now.saturating_sub(delta)),
        };
        self.reader.resolve(filter, at, now, deliverable)
    }
}
