//! From what waits for a client to its output, as far as the client takes it.

use std::sync::Arc;

use super::access::{LIVE, may};
use super::client::Client;
use super::queue::{Queue, Queued};
use super::replay::metric_reason;
use super::{Broker, OUTPUT_LIMIT};
use crate::acl::Rights;
use crate::codec::{self, DecodeLimits, Packet, Run};
use crate::metrics::DeliveryKind;
use crate::session::{Delivery, Sent, Source};
use crate::types::{Message, MessageParts, QoS, Timestamp};

impl Broker {
    /// Sends what was handed out to the client and waits for it.
    pub(super) fn pump_waiting(&self, client: &mut Client, now: Timestamp) {
        let guard = self.guard(client);
        let guard = guard.as_deref();
        while client.session.output().len() < OUTPUT_LIMIT {
            let from_blocked = client
                .blocked
                .front()
                .is_some_and(|queued| client.can_send_first(queued));
            let next = if from_blocked {
                client.blocked.used().and_then(Queue::pop_front)
            } else {
                client.waiting.pop_front()
            };
            let Some(queued) = next else { break };
            if !client.has_room(&queued) {
                // What is in the output is written first.
                client.queue(from_blocked).push_front(queued);
                break;
            }
            if !from_blocked
                && queued.qos() != QoS::AtMostOnce
                && !client.is_read(&queued)
                && (!client.blocked.is_empty() || !client.can_send_first(&queued))
            {
                client.blocked.push_back(queued);
                continue;
            }
            let unsent = match queued {
                Queued::One(delivery) => self.pump_one(client, delivery, guard, now),
                Queued::Run(run) if guard.is_none() && client.session.takes_runs(run.version()) => {
                    self.pump_run(client, run)
                }
                Queued::Run(run) => self.pump_apart(client, run, from_blocked, guard, now),
            };
            if let Some(unsent) = unsent {
                client.blocked.push_front(unsent);
                break;
            }
        }
    }

    /// Sends one message; gives it back if the client takes no more.
    fn pump_one(
        &self,
        client: &mut Client,
        delivery: Delivery,
        guard: Option<&Rights>,
        now: Timestamp,
    ) -> Option<Queued> {
        let position = match delivery.source {
            Source::Session(position) => Some(position),
            _ => None,
        };
        if position.is_some_and(|position| client.has_read(position)) {
            // The reader came upon it before it was queued, or will.
            return None;
        }
        if !may(guard, LIVE, delivery.message.topic()) {
            self.count_denied(&client.outbox.client_id, delivery.message.topic());
            client.passed(position, false);
            return None;
        }
        let kind = if delivery.source == Source::Retained {
            DeliveryKind::Retained
        } else {
            DeliveryKind::Live
        };
        let (qos, bytes) = (delivery.qos, delivery.message.payload().len());
        match client.session.send(delivery, now) {
            Sent::Written => {
                client.tally.sent(kind, qos, bytes);
                client.passed(position, true);
            }
            Sent::Dropped(reason, delivery) => {
                let id = client.session.client_id();
                self.drops.count(id, metric_reason(reason), delivery.message.topic(), 1);
                client.passed(position, false);
            }
            Sent::Blocked(delivery) => return Some(delivery.into()),
        }
        None
    }

    /// Sends a run; gives back what the client does not take.
    fn pump_run(&self, client: &mut Client, run: Run) -> Option<Queued> {
        let qos = run.qos();
        let (sent, left) = client.session.send_run(run);
        client
            .tally
            .sent_many(DeliveryKind::Live, qos, sent.messages, sent.payload_bytes);
        left.map(Queued::Run)
    }

    /// Sends the first message of a run by itself, as the client wants it: with an alias, or only if it is not too large.
    fn pump_apart(
        &self,
        client: &mut Client,
        mut run: Run,
        from_blocked: bool,
        guard: Option<&Rights>,
        now: Timestamp,
    ) -> Option<Queued> {
        let delivery = take_first(&mut run, now)?;
        if run.packets() > 0 {
            client.queue(from_blocked).push_front(Queued::Run(run));
        }
        self.pump_one(client, delivery, guard, now)
    }
}

/// Takes the first packet out of a run, as the message that it was made of.
fn take_first(run: &mut Run, now: Timestamp) -> Option<Delivery> {
    let limits = DecodeLimits {
        max_packet_size: u32::MAX,
    };
    let first = run.first()?;
    let Ok(Some((Packet::Publish(publish), len))) = codec::decode_from_server(first.bytes, run.version(), &limits)
    else {
        debug_assert!(false, "a run holds PUBLISH packets of our own");
        return None;
    };
    let mut properties = Vec::new();
    let subscription_ids = codec::take_subscription_ids(publish.properties, &mut properties);
    let parts = MessageParts {
        topic: publish.topic,
        properties: &properties,
        payload: publish.payload,
        qos: run.qos(),
        retain: false,
        expiry_secs: None,
        received: now,
    };
    let delivery = Delivery {
        message: Arc::new(Message::new(parts, None)),
        qos: run.qos(),
        retain: false,
        subscription_ids: subscription_ids.into(),
        source: Source::Live,
        event: None,
    };
    let payload_bytes = publish.payload.len();
    run.advance(len, payload_bytes);
    Some(delivery)
}
