//! Shared subscriptions without a start option: live while no member is durable, with a cursor from then on.

use std::sync::Arc;

use super::Broker;
use super::client::{Client, GroupMembership};
use super::cursors::CursorKey;
use super::grant::Opened;
use super::groups::Joining;
use super::route::{Member, Target};
use super::subscribe::{Granted, Refusal, Request};
use super::subscription::{Subscription, SubscriptionOptions, SubscriptionPath};
use super::unsubscribe::CursorFate;
use crate::cursor::Start;
use crate::log::{Command, Origin, StartRule, SubscriptionKind};
use crate::router::ShareGroup;
use crate::session::SubscriptionKey;
use crate::topic::TopicFilter;
use crate::types::{QoS, Timestamp};

impl Broker {
    pub(super) fn subscribe_share(
        &self,
        client: &mut Client,
        request: &Request,
        name: &Arc<str>,
        now: Timestamp,
    ) -> Result<Granted, Refusal> {
        let known = client.subscription(&request.path, SubscriptionKind::Share);
        if known.is_none() {
            let joining = Joining {
                outbox: &client.outbox,
                selector: request.selector.as_ref(),
                router: &self.router,
            };
            // A refusal leaves the subscription that is there as it is.
            self.groups.check_share(name, &request.path.filter, &joining)?;
            self.leave(client, &request.path);
        }
        let key = known.as_ref().map_or_else(|| client.new_key(), |known| known.key);
        let (options, before, awaited) = self.join_share(client, request, name, key, now)?;
        client.turn.submit_unawaited(before);
        let subscription = Subscription::new(key, SubscriptionKind::Share, options, request.selector.clone());
        client.subscriptions.insert(request.path.clone(), subscription);
        Ok(Granted {
            command: awaited,
            ..Granted::plain(options.qos, known.is_none())
        })
    }

    /// Joins the group. Returns the options as granted, and the commands that make a new cursor durable: those before, and
    /// the one to wait for.
    pub(super) fn join_share(
        &self,
        client: &mut Client,
        request: &Request,
        name: &Arc<str>,
        key: SubscriptionKey,
        now: Timestamp,
    ) -> Result<(SubscriptionOptions, Vec<Command>, Option<Command>), Refusal> {
        let filter = &request.path.filter;
        let cursor_key = CursorKey::share(name, filter);
        let (mut before, mut awaited) = (Vec::new(), None);
        let live = |subscriber| {
            let group = Arc::new(ShareGroup::new(self.strategy(name), self.reader.watermark()));
            group.set_selector(request.selector.clone());
            self.router.insert(filter, subscriber, Target::Share(group.clone()));
            group
        };
        let keep = |subscriber, live: Option<&ShareGroup<Member>>| {
            let opened = match live {
                Some(live) => self.open_behind(live, &cursor_key, now)?,
                None => self.open_cursor(&cursor_key, request, &Start::New, &mut |_| true, now)?,
            };
            (before, awaited) = (opened.before, opened.awaited);
            Ok(self.make_group(subscriber, &cursor_key, name, request, opened.saved, &client.outbox))
        };
        let member = Member {
            outbox: client.outbox.clone(),
            options: request.options,
            key,
        };
        let joining = Joining {
            outbox: &client.outbox,
            selector: request.selector.as_ref(),
            router: &self.router,
        };
        let joined = self.groups.join_share(name, filter, member, joining, live, keep)?;
        let Some(group) = joined else {
            return Ok((request.options, before, awaited));
        };
        // A QoS 2 message would have to stay with a member that may never come back [MQTT-4.8.2-4], [MQTT-4.8.2-5].
        let options = SubscriptionOptions {
            qos: request.options.qos.min(QoS::AtLeastOnce),
            ..request.options
        };
        match client.groups.iter_mut().find(|membership| membership.key == key) {
            Some(membership) => membership.options = options,
            None => client.groups.push(GroupMembership { key, group, options }),
        }
        Ok((options, before, awaited))
    }

    /// A cursor for what a live group has not handed out; what is in the log may still be on its way to the group.
    fn open_behind(&self, live: &ShareGroup<Member>, key: &CursorKey, now: Timestamp) -> Result<Opened, Refusal> {
        self.check_room(key)?;
        let taken_at = live.end().max(self.handed_out());
        let origin = Origin {
            taken_at,
            first: taken_at.next(),
            rule: StartRule::Everything,
        };
        let (saved, [origin, cursor]) = self.cursors.create(key.clone(), origin, now);
        Ok(Opened {
            saved,
            before: vec![origin],
            awaited: Some(cursor),
            resumed: false,
        })
    }

    /// The live group that this session is a member of has become one with a cursor.
    pub(super) fn follow_share(&self, client: &mut Client, name: &Arc<str>, filter: &TopicFilter) {
        let path = SubscriptionPath {
            group: Some(Box::new(name.clone())),
            filter: filter.clone(),
        };
        let Some(subscription) = client.subscription(&path, SubscriptionKind::Share) else {
            return;
        };
        let request = Request {
            path,
            start: None,
            reset_cursor: false,
            options: subscription.options,
            selector: subscription.selector.clone(),
            guard: None,
        };
        let joined = self.join_share(client, &request, name, subscription.key, self.clock.now());
        match joined {
            Ok((_, before, awaited)) => {
                client.turn.submit_unawaited(before.into_iter().chain(awaited));
            }
            Err(refusal) => {
                tracing::error!(group = %name, reason = refusal.why, "a member of a shared subscription gets no more messages");
            }
        }
    }

    pub(super) fn leave_share(
        &self,
        client: &mut Client,
        key: SubscriptionKey,
        path: &SubscriptionPath,
    ) -> Option<Command> {
        if client.groups.iter().any(|membership| membership.key == key) {
            return self.end_membership(client, key, path, CursorFate::Deleted);
        }
        let name = path.group.as_ref()?;
        let subscriber = client.outbox.subscriber;
        self.groups.leave_share(name, &path.filter, subscriber, &self.router);
        None
    }
}
