//! SUBSCRIBE: plain, shared, replay and group subscriptions, each filter with its reason.

use std::sync::Arc;

use super::client::{AwaitedAck, Client, GroupMembership, Subscription, SubscriptionPath};
use super::cursors::CursorKey;
use super::group::Group;
use super::replay::{ReplayCursor, ReplaySubscription};
use super::route::{Member, SubscriptionOptions, Target};
use super::{Broker, LogTag};
use crate::codec::{Packet, RetainHandling, SubAck, Subscribe, SubscribeFilter};
use crate::cursor::{ReplayOptions, Start};
use crate::log::{Command, Event, LogError, Origin, StartAt};
use crate::router::ShareGroup;
use crate::session::Source;
use crate::topic::{SubscriptionFilter, TopicFilter};
use crate::types::{QoS, ReasonCode, Sequence, Timestamp};

/// Why one filter is refused.
struct Refusal {
    reason: ReasonCode,
    why: String,
}

/// A good subscription.
struct Granted {
    qos: QoS,
    /// The subscription was not there before.
    is_new: bool,
    /// A cursor change that the SUBACK waits for.
    command: Option<Command>,
    /// For a replay subscription: whether its cursor was there before, and how many events wait.
    replay: Option<(bool, Option<u64>)>,
}

impl Granted {
    fn plain(qos: QoS, is_new: bool) -> Self {
        Self {
            qos,
            is_new,
            command: None,
            replay: None,
        }
    }
}

/// One filter of a SUBSCRIBE, taken apart.
struct Request {
    path: SubscriptionPath,
    start: Option<Start>,
    reset_cursor: bool,
    options: SubscriptionOptions,
}

impl Broker {
    /// Handles SUBSCRIBE; the SUBACK follows when every cursor that it makes is durable.
    pub(super) fn subscribe(&self, client: &mut Client, subscribe: Subscribe, now: Timestamp) {
        let mut ack = AwaitedAck::new(client, subscribe.packet_id, true);
        match ReplayOptions::from_properties(&subscribe.user_properties) {
            Err(fault) => {
                let reason = ReasonCode::ImplementationSpecificError;
                ack.packet.reasons = vec![reason; subscribe.filters.len()];
                ack.packet.reason_string = Some(fault.to_string());
            }
            Ok(options) => {
                for filter in &subscribe.filters {
                    self.subscribe_filter(client, filter, subscribe.subscription_id, &options, &mut ack, now);
                }
            }
        }
        self.finish_or_await(client, ack);
    }

    fn subscribe_filter(
        &self,
        client: &mut Client,
        filter: &SubscribeFilter,
        id: Option<u32>,
        replay: &ReplayOptions,
        ack: &mut AwaitedAck,
        now: Timestamp,
    ) {
        let granted = parse_request(filter, id, replay).and_then(|request| {
            let granted = self.grant(client, &request, now)?;
            Ok((request, granted))
        });
        match granted {
            Err(refusal) => {
                ack.packet.reasons.push(refusal.reason);
                ack.packet.reason_string.get_or_insert(refusal.why);
            }
            Ok((request, granted)) => {
                self.collect_retained(&request, filter.retain_handling, granted.is_new, ack, now);
                if let Some((resumed, pending)) = granted.replay {
                    let start = if resumed { "resumed" } else { "fresh" };
                    ack.packet.user_properties.push(("es-start".into(), start.into()));
                    let pending = pending.map(|pending| ("es-pending".into(), pending.to_string()));
                    ack.packet.user_properties.extend(pending);
                }
                if let Some(command) = granted.command {
                    ack.left += 1;
                    ack.changes.push((ack.packet.reasons.len(), request.path));
                    client
                        .turn
                        .submit(command, LogTag::Cursor(client.outbox.clone(), ack.number));
                }
                ack.packet.reasons.push(granted_reason(granted.qos));
            }
        }
    }

    fn grant(&self, client: &mut Client, request: &Request, now: Timestamp) -> Result<Granted, Refusal> {
        let known = client.subscriptions.contains_key(&request.path);
        let limit = self.config.session.max_subscriptions.unwrap_or(u64::MAX);
        if !known && client.subscriptions.len() as u64 >= limit {
            return Err(Refusal {
                reason: ReasonCode::QuotaExceeded,
                why: format!("a session may have {limit} subscriptions (session.max_subscriptions)"),
            });
        }
        match (&request.start, &request.path.group) {
            (None, None) => Ok(self.subscribe_live(client, request)),
            (None, Some(group)) => Ok(self.subscribe_share(client, request, group)),
            (Some(start), None) => self.subscribe_replay(client, request, start, now),
            (Some(start), Some(group)) => self.subscribe_group(client, request, group, start, now),
        }
    }

    fn subscribe_live(&self, client: &mut Client, request: &Request) -> Granted {
        let known = matches!(client.subscriptions.get(&request.path), Some(Subscription::Live));
        if !known {
            self.leave(client, &request.path);
        }
        let target = Target::Live(client.outbox.clone(), request.options);
        self.router
            .insert(&request.path.filter, client.outbox.subscriber, target);
        client.subscriptions.insert(request.path.clone(), Subscription::Live);
        Granted::plain(request.options.qos, !known)
    }

    fn subscribe_share(&self, client: &mut Client, request: &Request, name: &str) -> Granted {
        let known = matches!(client.subscriptions.get(&request.path), Some(Subscription::Share));
        if !known {
            self.leave(client, &request.path);
        }
        let member = Member {
            outbox: client.outbox.clone(),
            options: request.options,
        };
        self.groups.join_share(
            name,
            &request.path.filter,
            member,
            |subscriber| {
                let group = Arc::new(ShareGroup::new(self.strategy(name)));
                self.router
                    .insert(&request.path.filter, subscriber, Target::Share(group.clone()));
                group
            },
            &self.router,
        );
        client.subscriptions.insert(request.path.clone(), Subscription::Share);
        Granted::plain(request.options.qos, !known)
    }

    fn subscribe_replay(
        &self,
        client: &mut Client,
        request: &Request,
        start: &Start,
        now: Timestamp,
    ) -> Result<Granted, Refusal> {
        let filter = &request.path.filter;
        if let (Some(Subscription::Replay(key)), false) =
            (client.subscriptions.get(&request.path), request.reset_cursor)
        {
            if let Some(replay) = client.replays.iter_mut().find(|replay| replay.key == *key) {
                replay.options = request.options;
                let pending = replay.pending(&self.reader);
                return Ok(Granted {
                    qos: request.options.qos,
                    is_new: false,
                    command: None,
                    replay: Some((true, pending)),
                });
            }
        }
        let cursor_key = CursorKey::client(client.session.client_id(), filter);
        let own = client.session.client_id().clone();
        let no_local = request.options.no_local;
        let deliverable =
            |event: &Event| !event.message.is_expired(now) && !(no_local && event.message.publisher() == Some(&own));
        let is_new = !client.subscriptions.contains_key(&request.path);
        self.leave(client, &request.path);
        let (saved, command, resumed) = self.open_cursor(
            &cursor_key,
            filter,
            start,
            request.reset_cursor,
            deliverable,
            client,
            now,
        )?;
        let key = client.new_key();
        let cursor = ReplayCursor::new(cursor_key, saved);
        self.router.insert(
            filter,
            client.outbox.subscriber,
            Target::Replay(client.outbox.clone(), key),
        );
        // Whatever was routed before the router knew of the lane is committed by now: the log has it.
        client.outbox.open_lane(key, self.reader.watermark());
        let replay = ReplaySubscription::new(key, filter, cursor, request.options, &self.reader);
        let pending = replay.pending(&self.reader);
        client.replays.push(replay);
        client
            .subscriptions
            .insert(request.path.clone(), Subscription::Replay(key));
        Ok(Granted {
            qos: request.options.qos,
            is_new,
            command,
            replay: Some((resumed, pending)),
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
        if let (Some(Subscription::Group(key)), false) = (client.subscriptions.get(&request.path), request.reset_cursor)
        {
            if let Some(membership) = client.groups.iter_mut().find(|membership| membership.key == *key) {
                membership.options = options;
                return Ok(Granted {
                    qos: options.qos,
                    is_new: false,
                    command: None,
                    replay: Some((true, None)),
                });
            }
        }
        let filter = &request.path.filter;
        let cursor_key = CursorKey::group(name, filter);
        self.leave(client, &request.path);
        let mut command = None;
        let mut resumed = true;
        let group = self.groups.join_replay(
            &cursor_key,
            &client.outbox,
            request.reset_cursor,
            |subscriber| {
                let alive = |event: &Event| !event.message.is_expired(now);
                let (saved, create, was_there) =
                    self.open_cursor(&cursor_key, filter, start, request.reset_cursor, alive, client, now)?;
                (command, resumed) = (create, was_there);
                let max_bytes =
                    usize::try_from(self.config.session.max_queued_bytes.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
                let group = Group::new(
                    subscriber,
                    cursor_key.clone(),
                    filter,
                    saved,
                    self.strategy(name),
                    max_bytes,
                    &self.reader,
                );
                self.router.insert(filter, subscriber, Target::Group(group.clone()));
                group.routed(self.reader.watermark());
                Ok(group)
            },
            &self.router,
        )?;
        let Some(group) = group else {
            return Err(Refusal::other(
                "the group has other members: its cursor cannot be reset while they are subscribed",
            ));
        };
        let key = client.new_key();
        client.groups.push(GroupMembership { key, group, options });
        client
            .subscriptions
            .insert(request.path.clone(), Subscription::Group(key));
        Ok(Granted {
            qos: options.qos,
            is_new: true,
            command,
            replay: Some((resumed, None)),
        })
    }

    /// The saved cursor, or a fresh one that starts where `start` says, with the command that makes it durable.
    #[allow(clippy::too_many_arguments)]
    fn open_cursor(
        &self,
        key: &CursorKey,
        filter: &TopicFilter,
        start: &Start,
        reset: bool,
        mut deliverable: impl FnMut(&Event) -> bool,
        client: &Client,
        now: Timestamp,
    ) -> Result<(super::cursors::Saved, Option<Command>, bool), Refusal> {
        if reset && let Some(command) = self.cursors.remove(key) {
            self.submit(vec![(command, LogTag::None)]);
        }
        if let Some(saved) = self.cursors.take(key, now) {
            return Ok((saved, None, true));
        }
        if !self.cursors.has_room(&key.owner) {
            return Err(Refusal {
                reason: ReasonCode::QuotaExceeded,
                why: "too many cursors (store.max_cursors, store.max_cursors_per_client)".into(),
            });
        }
        let origin = self.resolve(filter, start, now, &mut deliverable).map_err(|fault| {
            tracing::error!(client = %client.client_id(), filter = filter.as_str(), %fault, "replay start not found");
            Refusal::other(format!("the event store cannot be read: {fault}"))
        })?;
        let (saved, [origin, cursor]) = self.cursors.create(key.clone(), origin, now);
        self.submit(vec![(origin, LogTag::None)]);
        Ok((saved, Some(cursor), false))
    }

    fn resolve(
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

    /// Retained messages come after the SUBACK and before the replay.
    fn collect_retained(
        &self,
        request: &Request,
        handling: RetainHandling,
        is_new: bool,
        ack: &mut AwaitedAck,
        now: Timestamp,
    ) {
        let wanted = match handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        if !wanted || request.path.group.is_some() {
            return;
        }
        for message in self.retained.matching(&request.path.filter, now) {
            let mut delivery = request.options.delivery(&message, Source::Retained);
            delivery.retain = true;
            ack.retained.push(delivery);
        }
    }

    /// Writes the acknowledgement, or keeps it until its cursor changes are durable.
    pub(super) fn finish_or_await(&self, client: &mut Client, ack: AwaitedAck) {
        if ack.left == 0 {
            self.finish_ack(client, ack);
        } else {
            client.acks.push(ack);
        }
    }

    /// A cursor change of a SUBACK or UNSUBACK is durable, or failed.
    pub(super) fn cursor_changed(&self, client: &mut Client, number: u64, outcome: Result<(), String>) {
        let Some(index) = client.acks.iter().position(|ack| ack.number == number) else {
            return;
        };
        let ack = &mut client.acks[index];
        ack.left -= 1;
        if let Err(why) = outcome {
            ack.packet.reason_string.get_or_insert(why);
            let changes = std::mem::take(&mut ack.changes);
            for (filter, _) in &changes {
                ack.packet.reasons[*filter] = ReasonCode::ImplementationSpecificError;
            }
            for (_, path) in changes {
                self.leave(client, &path);
            }
        }
        if client.acks[index].left == 0 {
            let ack = client.acks.remove(index);
            self.finish_ack(client, ack);
        }
    }

    fn finish_ack(&self, client: &mut Client, ack: AwaitedAck) {
        client.write(if ack.is_subscribe {
            Packet::SubAck(ack.packet)
        } else {
            Packet::UnsubAck(ack.packet)
        });
        client.waiting.extend(ack.retained);
        self.count_subscriptions();
    }
}

impl AwaitedAck {
    /// An acknowledgement without reasons yet.
    pub(super) fn new(client: &mut Client, packet_id: crate::types::PacketId, is_subscribe: bool) -> Self {
        client.next_ack += 1;
        let packet = SubAck {
            packet_id,
            reasons: Vec::new(),
            reason_string: None,
            user_properties: Vec::new(),
        };
        Self {
            number: client.next_ack,
            left: 0,
            is_subscribe,
            packet,
            changes: Vec::new(),
            retained: Vec::new(),
        }
    }
}

impl Refusal {
    fn other(why: impl Into<String>) -> Self {
        Self {
            reason: ReasonCode::ImplementationSpecificError,
            why: why.into(),
        }
    }
}

fn parse_request(filter: &SubscribeFilter, id: Option<u32>, replay: &ReplayOptions) -> Result<Request, Refusal> {
    let parsed = SubscriptionFilter::parse(&filter.filter).map_err(|fault| Refusal {
        reason: fault.reason_code(),
        why: fault.to_string(),
    })?;
    let replay = replay
        .with_prefix(&parsed)
        .map_err(|fault| Refusal::other(fault.to_string()))?;
    if replay.selector.is_some() {
        return Err(Refusal::other(
            "selector: message selectors are not available in this version",
        ));
    }
    let options = SubscriptionOptions {
        qos: filter.qos,
        no_local: filter.no_local,
        retain_as_published: filter.retain_as_published,
        id,
    };
    let path = SubscriptionPath {
        group: parsed.group,
        filter: parsed.filter,
    };
    Ok(Request {
        path,
        start: replay.start,
        reset_cursor: replay.reset_cursor,
        options,
    })
}

fn granted_reason(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}
