//! What a member of a live group leaves behind when its session ends goes to the others (section 4.8.2).

use std::sync::Arc;

use super::Broker;
use super::access::LIVE;
use super::client::Client;
use super::outbox::Item;
use super::queue::Queued;
use super::subscription::SubscriptionPath;
use super::turn::Turn;
use crate::router::hash_topic;
use crate::session::{Delivery, Source};
use crate::types::{Message, QoS};

/// Messages that were a member's, in the order in which it got them, and how many others nobody gets.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    messages: Vec<(SubscriptionPath, Arc<Message>)>,
    pub lost: usize,
}

impl Broker {
    /// Takes what the ended session of a client had not acknowledged, or not got. A QoS 2 message whose delivery has begun is
    /// nobody else's [MQTT-4.8.2-5].
    pub(super) fn take_unfinished(client: &mut Client) -> Inheritance {
        let mut inheritance = Inheritance::default();
        for delivery in client.session.take_shared() {
            inheritance.add(client, &delivery);
        }
        inheritance.lost += client.session.in_flight_without_cursor();
        let mut queued = client.outbox.take_rest();
        while let Some(queued) = queued.pop_front() {
            match queued {
                Queued::One(delivery) if delivery.qos > QoS::AtMostOnce => inheritance.add(client, &delivery),
                other => inheritance.lost += other.messages(),
            }
        }
        inheritance
    }

    /// Hands it to members that are left.
    pub(super) fn inherit(&self, inheritance: Inheritance, turn: &mut Turn) {
        for (path, message) in inheritance.messages {
            let group = path.group.and_then(|name| self.groups.live_share(&name, &path.filter));
            let heir = group.and_then(|group| {
                group.with_chosen(
                    || hash_topic(message.topic_bytes()),
                    || fastrand::u64(..),
                    |member| self.access.may(&member.outbox, LIVE, message.topic()),
                    |member| (member.outbox.clone(), member.delivery(&message)),
                )
            });
            match heir {
                Some((outbox, delivery)) => turn.push(&outbox, Item::Live(delivery)),
                None => self.count_session_ended(1),
            }
        }
    }
}

impl Inheritance {
    fn add(&mut self, client: &Client, delivery: &Delivery) {
        let path = match delivery.source {
            Source::Shared(key) => client
                .subscriptions
                .iter()
                .find(|(_, subscription)| subscription.key == key),
            _ => None,
        };
        match path {
            Some((path, _)) => self.messages.push((path.clone(), delivery.message.clone())),
            None => self.lost += 1,
        }
    }
}
