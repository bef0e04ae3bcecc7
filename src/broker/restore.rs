//! From what the log recovered to sessions that wait for their clients, and to their clients when they come.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::client::{Client, GroupMembership};
use super::connect::new_client;
use super::cursors::CursorKey;
use super::disconnect::{due_time, expiry_time};
use super::durable::Durable;
use super::groups::Joining;
use super::outbox::Outbox;
use super::replay::{ReplayCursor, ReplaySubscription};
use super::route::Target;
use super::subscribe::{Refusal, Request};
use super::subscription::{Subscription, SubscriptionOptions, SubscriptionPath};
use super::turn::Turn;
use super::will::Will;
use super::{Broker, LogTag};
use crate::auth::Identity;
use crate::log::{Command, Event, LogError, PlaceRecord, RecoveredSession, SubscriptionKind, SubscriptionRecord};
use crate::session::{Delivery, EventPlace, InFlightPlace, LinkOptions, Session, Source, SubscriptionKey};
use crate::topic::TopicFilter;
use crate::types::{ClientId, Message, Position, Timestamp};

impl Broker {
    /// Takes in what the store held: retained messages, and sessions that wait for their clients. Returns what that
    /// leaves to be done.
    pub(super) fn restore(&self, sessions: Vec<RecoveredSession>, retained: Vec<Arc<Message>>) -> Turn {
        let now = self.clock.now();
        tracing::info!(
            sessions = sessions.len(),
            retained = retained.len(),
            cursors = self.cursors.len(),
            channels = self.reader.channel_count(),
            position = self.reader.watermark().0,
            "store opened"
        );
        let mut turn = Turn::default();
        for message in retained {
            if message.is_expired(now) {
                turn.submit(Command::DeleteRetained(message.topic().into()), LogTag::None);
            } else {
                self.retained.publish(&message);
            }
        }
        let mut over = Vec::new();
        for session in sessions {
            over.extend(self.restore_session(session, now, &mut turn));
        }
        // Only now: a will goes to all that are there.
        for (client, will) in over {
            self.end_session(client, will, now, &mut turn);
        }
        turn.submit_unawaited(self.cursors.remove_unused_shares());
        turn
    }

    /// Returns a session that has ended with the broker, and its will.
    fn restore_session(
        &self,
        found: RecoveredSession,
        now: Timestamp,
        turn: &mut Turn,
    ) -> Option<(Client, Option<Will>)> {
        let record = found.record;
        let client_id: ClientId = record.client_id.as_str().into();
        let subscriber = self.router.new_subscriber_id();
        let outbox = Outbox::new(client_id.clone(), subscriber, self.outbox_limits(), true);
        outbox.set_connected(false);
        if let Some(owner) = &record.owner {
            let owner = Identity::from(owner.as_str());
            outbox.access.set_identity(Some(owner.clone()), false);
            outbox.own(owner);
        }
        let floor = self.reader.watermark();
        let place = found.place.unwrap_or_else(|| PlaceRecord {
            session: record.id,
            floor,
            acked: Vec::new(),
            sent: floor,
            last_packet_id: 0,
            in_flight: Vec::new(),
        });
        let mut session = Session::new(client_id.clone(), LinkOptions::default());
        session.make_durable();
        session.restore(found.received, place.last_packet_id);
        let mut durable = Durable::restore(record.id, record.created, &place);
        durable.has_will = found.will.is_some();
        outbox.set_floor(durable.place.floor());
        outbox.open_place(floor);
        let mut client = new_client(session, outbox);
        client.session_expiry_secs = record.expiry_secs;
        client.next_key = highest_key(&found.subscriptions, &durable.parked);
        client.durable = Some(Box::new(durable));
        for subscription in found.subscriptions {
            self.restore_subscription(&mut client, subscription, now);
        }
        self.restore_replays_in_flight(&mut client);
        // A client that was connected when the broker ended so suddenly is away since now.
        let since = record.disconnected.unwrap_or(now);
        if record.disconnected.is_none() {
            client.turn.submit_unawaited(client.session_command(Some(since)));
        }
        turn.take_over(&mut client.turn);
        let will = found.will.map(|will| Will::restore(will, client_id));
        if record.expiry_secs == 0 {
            return Some((client, will));
        }
        let expires = expiry_time(record.expiry_secs, since);
        let will = will.map(|will| (due_time(will.delay(), expires, since), will));
        self.sessions.park(client, expires, will);
        None
    }

    fn restore_subscription(&self, client: &mut Client, record: SubscriptionRecord, now: Timestamp) {
        let Ok(filter) = TopicFilter::parse(&record.filter) else {
            tracing::error!(
                client = client.client_id(),
                filter = record.filter,
                "a saved filter is none"
            );
            return;
        };
        let options = SubscriptionOptions {
            qos: record.qos,
            no_local: record.no_local,
            retain_as_published: record.retain_as_published,
            id: record.id.and_then(NonZeroU32::new),
        };
        let selector = record.selector.as_deref().map(|text| self.selectors.compile(text));
        let selector = match selector.transpose() {
            Ok(selector) => selector,
            Err(fault) => {
                tracing::error!(client = client.client_id(), filter = record.filter, %fault, "a saved selector is none");
                return;
            }
        };
        let subscription = Subscription {
            key: SubscriptionKey(record.number),
            kind: record.kind,
            options,
            selector,
            since: record.since,
        };
        let path = SubscriptionPath {
            group: record.group.as_deref().map(|group| Box::new(group.into())),
            filter,
        };
        let restored = match (record.kind, &path.group) {
            (SubscriptionKind::Live, _) => {
                let target = Target::live(&client.outbox, options, subscription.selector.as_ref());
                self.router.insert(&path.filter, client.outbox.subscriber, target);
                true
            }
            (SubscriptionKind::Replay, _) => self.restore_replay(client, &path.filter, &subscription, now),
            (SubscriptionKind::Share, Some(_)) => self.restore_share(client, &path, &subscription, now),
            (SubscriptionKind::Group, Some(name)) => {
                self.restore_group(client, &path, &name.clone(), &subscription, now)
            }
            (SubscriptionKind::Share | SubscriptionKind::Group, None) => false,
        };
        if restored {
            client.subscriptions.insert(path, subscription);
            return;
        }
        tracing::warn!(
            client = client.client_id(),
            filter = record.filter,
            "its cursor is gone, and so is the subscription"
        );
        let command = Command::DeleteSubscription(record.session, record.number);
        client.turn.submit(command, LogTag::None);
    }

    fn restore_replay(
        &self,
        client: &mut Client,
        filter: &TopicFilter,
        subscription: &Subscription,
        now: Timestamp,
    ) -> bool {
        let key = |user| CursorKey::client(client.session.client_id(), user, filter);
        // A session that was nobody's when it subscribed has kept its cursor when a user took it over.
        let keys = [client.outbox.owner(), None].map(key);
        let Some((key, saved)) = keys
            .into_iter()
            .find_map(|key| Some((key.clone(), self.cursors.take(&key, now)?)))
        else {
            return false;
        };
        let cursor = ReplayCursor::new(key, saved);
        let holder = Arc::downgrade(&cursor);
        self.cursors.hold(cursor.key(), holder);
        let selector = subscription.selector.clone();
        let target = Target::replay(&client.outbox, subscription.key, selector.as_ref());
        self.router.insert(filter, client.outbox.subscriber, target);
        client.outbox.open_lane(subscription.key, self.reader.watermark());
        let options = subscription.options;
        let replay = ReplaySubscription::new(subscription.key, filter, cursor, options, selector, &self.reader);
        client.replays.push(replay);
        true
    }

    fn restore_share(
        &self,
        client: &mut Client,
        path: &SubscriptionPath,
        subscription: &Subscription,
        now: Timestamp,
    ) -> bool {
        let Some(name) = path.group.clone() else { return false };
        let request = request_again(path, subscription);
        match self.join_share(client, &request, &name, subscription.key, now) {
            Ok((_, before, awaited)) => {
                client.turn.submit_unawaited(before.into_iter().chain(awaited));
                true
            }
            Err(_) => false,
        }
    }

    fn restore_group(
        &self,
        client: &mut Client,
        path: &SubscriptionPath,
        name: &str,
        subscription: &Subscription,
        now: Timestamp,
    ) -> bool {
        let key = CursorKey::group(name, &path.filter);
        let request = request_again(path, subscription);
        let make = |subscriber| {
            let saved = self.cursors.take(&key, now);
            let saved = saved.ok_or_else(|| Refusal::other("its cursor is gone"))?;
            Ok(self.make_group(subscriber, &key, name, &request, saved, &client.outbox))
        };
        let joining = Joining {
            outbox: &client.outbox,
            selector: request.selector.as_ref(),
            router: &self.router,
        };
        let joined = self.groups.join_replay(&key, joining, false, make);
        let Ok(Some(group)) = joined else { return false };
        client.groups.push(GroupMembership {
            key: subscription.key,
            group,
            options: subscription.options,
        });
        true
    }

    /// Events of replay subscriptions that were in flight are not read again; those acknowledged since are done.
    fn restore_replays_in_flight(&self, client: &mut Client) {
        let Client { durable, replays, .. } = client;
        let Some(durable) = durable else { return };
        // In the order of the log, which is how a cursor counts.
        let mut in_flight: Vec<_> = durable.parked.iter().filter_map(replay_place).collect();
        in_flight.sort_unstable();
        in_flight.retain(|(key, position)| {
            let replay = replays.iter().find(|replay| replay.key == *key);
            replay.is_some_and(|replay| replay.cursor().restore_sent(*position, &self.cursors))
        });
        durable.parked.retain(|place| {
            let replay = replay_place(place);
            place.completing || replay.is_none_or(|found| in_flight.binary_search(&found).is_ok())
        });
        for replay in replays {
            replay.fall_behind();
        }
    }

    /// Brings the messages that are in flight back from the log; what is gone from there is given up.
    pub(super) fn load_in_flight(&self, client: &mut Client) -> Result<(), LogError> {
        let Some(durable) = &mut client.durable else {
            return Ok(());
        };
        let positions: Vec<Position> = durable.parked.iter().filter_map(position_to_read).collect();
        let mut found = self.reader.events_at(&positions)?.into_iter();
        let mut gone = Vec::new();
        for place in std::mem::take(&mut durable.parked) {
            let delivery = match position_to_read(&place) {
                Some(_) => found.next().flatten().map(|event| resent_event(&place, event)),
                None => place.message.clone().map(|message| resent(&place, message)),
            };
            if delivery.is_none() && !place.completing {
                gone.push(place.source);
                continue;
            }
            client.session.load(place, delivery);
        }
        for source in gone {
            self.acknowledged(client, source);
        }
        Ok(())
    }
}

/// What a subscription that was saved asked for.
fn request_again(path: &SubscriptionPath, subscription: &Subscription) -> Request {
    Request {
        path: path.clone(),
        start: None,
        reset_cursor: false,
        options: subscription.options,
        selector: subscription.selector.clone(),
        guard: None,
    }
}

fn replay_place(place: &InFlightPlace) -> Option<(SubscriptionKey, Position)> {
    match place.source {
        Source::Replay(key, position) => Some((key, position)),
        _ => None,
    }
}

/// Where the message of a packet in flight is read; nowhere if only PUBREL is sent again, or if it is no log's.
fn position_to_read(place: &InFlightPlace) -> Option<Position> {
    match place.source {
        _ if place.completing => None,
        Source::Session(position) | Source::Replay(_, position) => Some(position),
        Source::Live | Source::Shared(_) | Source::Retained | Source::Group(..) => None,
    }
}

fn resent_event(place: &InFlightPlace, event: Event) -> Delivery {
    let as_event = EventPlace {
        sequence: event.sequence,
        time: event.time,
        redelivered: false,
    };
    Delivery {
        event: replay_place(place).map(|_| as_event),
        ..resent(place, event.message)
    }
}

fn resent(place: &InFlightPlace, message: Arc<Message>) -> Delivery {
    Delivery {
        message,
        qos: place.qos,
        retain: place.retain,
        subscription_ids: place.subscription_ids.clone(),
        source: place.source,
        event: None,
    }
}

fn highest_key(subscriptions: &[SubscriptionRecord], parked: &[InFlightPlace]) -> u32 {
    let numbers = subscriptions.iter().map(|record| record.number);
    let in_flight = parked.iter().filter_map(|place| match place.source {
        Source::Replay(key, _) => Some(key.0),
        _ => None,
    });
    numbers.chain(in_flight).max().unwrap_or(0)
}
