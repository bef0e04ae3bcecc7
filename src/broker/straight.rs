//! Messages that nobody keeps go straight from the packet they came in to the packets that go out: encoded once for all
//! who get the same, without a message in between.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::Broker;
use super::batches::Batches;
use super::client::Client;
use super::drops::Drops;
use super::live_target::Granted;
use super::outbox::{Item, Outbox, Refused};
use super::publish::asked_by_property;
use super::route::{Pass, Route};
use super::rules::Keep;
use super::select::{Passes, Subject};
use crate::acl::Action;
use crate::codec::{Publish, RunBuilder};
use crate::router::SubscriberId;
use crate::types::{QoS, ReasonCode, Version};

/// Messages of one turn by the session they are for, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Messages {
    batches: Batches,
    shared: Option<Shared>,
    last: Option<Last>,
}

/// Packets that all targets of a route get.
#[derive(Debug)]
struct Shared {
    route: Arc<Route>,
    qos: QoS,
    /// One for each kind of target.
    runs: Vec<RunBuilder>,
}

/// Where the last message went. No rule stores what has this topic.
#[derive(Debug)]
struct Last {
    topic: String,
    generation: u64,
    route: Arc<Route>,
}

impl Messages {
    /// Adds an item behind all others for this session.
    pub fn push(&mut self, outbox: &Arc<Outbox>, item: Item) {
        self.close();
        self.batches.push(outbox, item);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.shared.is_none() && self.batches.is_empty()
    }

    /// Hands everything over. Returns how many messages did not fit.
    pub fn deliver(&mut self, drops: &Drops) -> Refused {
        self.close();
        self.last = None;
        self.batches.deliver(drops)
    }

    /// Hands over what several get.
    fn close(&mut self) {
        let Some(Shared { route, runs, .. }) = self.shared.take() else {
            return;
        };
        let runs: Vec<_> = runs.into_iter().map(|run| run.finish(false)).collect();
        for (outbox, kind) in route.of_kinds() {
            // None for those whose selector nothing has passed.
            if runs[kind].packets() > 0 {
                self.batches.push(outbox, Item::Run(runs[kind].clone()));
            }
        }
    }

    /// Whether the route of a topic is known now.
    #[inline]
    fn find_route(&mut self, topic: &str, generation: u64, look_up: impl FnOnce() -> Option<Arc<Route>>) -> bool {
        let is_last = |last: &Last| last.generation == generation && *last.topic == *topic;
        if self.last.as_ref().is_some_and(is_last) {
            return true;
        }
        let Some(route) = look_up() else { return false };
        match &mut self.last {
            Some(last) => {
                last.topic.clear();
                last.topic.push_str(topic);
                (last.generation, last.route) = (generation, route);
            }
            None => {
                self.last = Some(Last {
                    topic: topic.to_owned(),
                    generation,
                    route,
                });
            }
        }
        true
    }

    /// Adds a packet for everyone whom the route names. `None`: it has to go another way.
    #[inline]
    fn pass(&mut self, packet: &Straight<'_>) -> Option<ReasonCode> {
        let route = &self.last.as_ref()?.route;
        let pass = route.pass(packet.publish.qos, packet.from);
        if pass == Pass::Not {
            return None;
        }
        let passes = if route.selects() { packet.select(route) } else { None };
        let passes = passes.as_ref();
        match pass {
            Pass::Not => return None,
            Pass::Each => {
                if self.shared.is_some() {
                    self.close();
                }
                let route = &self.last.as_ref()?.route;
                for (outbox, granted) in route.each() {
                    if passes.is_some_and(|passes| !passes.of(granted.selector)) {
                        continue;
                    }
                    let qos = granted.qos.min(packet.publish.qos);
                    packet.add_to(self.batches.packets(outbox, granted.version, qos), &granted.ids);
                }
                if route.is_empty() {
                    return Some(ReasonCode::NoMatchingSubscribers);
                }
            }
            Pass::Member if !route.group_wants(passes) => {}
            Pass::Member => self.choose(packet)?,
            Pass::Shared => self.share(packet, passes)?,
        }
        Some(ReasonCode::Success)
    }

    /// Adds a packet for one member of a group.
    fn choose(&mut self, packet: &Straight<'_>) -> Option<()> {
        if self.shared.is_some() {
            self.close();
        }
        let (route, batches) = (&self.last.as_ref()?.route, &mut self.batches);
        route.with_member(packet.publish.topic, |member| {
            let outbox = &member.outbox;
            let run = batches.packets(outbox, outbox.version(), QoS::AtMostOnce);
            packet.add_to(run, member.options.id.map(NonZeroU32::get).as_slice());
        })
    }

    /// Adds a packet for all targets of the route.
    fn share(&mut self, packet: &Straight<'_>, passes: Option<&Passes>) -> Option<()> {
        let route = &self.last.as_ref()?.route;
        let qos = packet.publish.qos;
        let is_same = |shared: &Shared| Arc::ptr_eq(&shared.route, route) && shared.qos == qos;
        if !self.shared.as_ref().is_some_and(is_same) {
            self.close();
        }
        let route = &self.last.as_ref()?.route;
        let shared = self.shared.get_or_insert_with(|| Shared::new(route, qos));
        for (run, kind) in shared.runs.iter_mut().zip(route.kinds()) {
            if passes.is_some_and(|passes| !passes.of(kind.selector)) {
                continue;
            }
            packet.add_to(run, &kind.ids);
        }
        Some(())
    }
}

impl Shared {
    fn new(route: &Arc<Route>, qos: QoS) -> Self {
        let run = |kind: &Granted| RunBuilder::new(kind.version, kind.qos.min(qos));
        Self {
            route: route.clone(),
            qos,
            runs: route.kinds().iter().map(run).collect(),
        }
    }
}

/// A packet that came in.
struct Straight<'a> {
    publish: &'a Publish<'a>,
    /// All its bytes, and the version they are of.
    wire: &'a [u8],
    version: Version,
    from: SubscriberId,
    broker: &'a Broker,
}

impl Straight<'_> {
    /// Which selectors of a route the message passes.
    fn select(&self, route: &Route) -> Option<Passes> {
        let subject = Subject::packet(self.publish, self.broker.clock.now());
        route.select(&subject, &self.broker.metrics)
    }

    #[inline]
    fn add_to(&self, run: &mut RunBuilder, subscription_ids: &[u32]) {
        let publish = self.publish;
        if subscription_ids.is_empty() && run.is_of(self.version, publish.qos) {
            run.push_wire(self.wire, publish.payload.len());
        } else {
            run.push(
                publish.topic.as_bytes(),
                publish.properties,
                publish.payload,
                subscription_ids,
            );
        }
    }
}

impl Broker {
    /// Hands out a message that nobody keeps and answers it, if nothing about it needs more than that. Otherwise nothing
    /// has happened: it has to go another way.
    #[inline]
    pub(super) fn publish_straight(&self, client: &mut Client, publish: &Publish<'_>, wire: &[u8]) -> bool {
        let plain = !publish.retain && !publish.has_hop_properties && !publish.topic.starts_with('$');
        let answers = match publish.qos {
            QoS::AtMostOnce => true,
            QoS::AtLeastOnce => client.session.answers_at_once(),
            QoS::ExactlyOnce => false,
        };
        if !plain || !answers || client.commits_awaited > 0 {
            return false;
        }
        if publish.has_user_properties && !matches!(asked_by_property(publish), Ok(false)) {
            return false;
        }
        let outbox = &client.outbox;
        let look_up = || {
            let passes = self.rules.load().decide(publish.topic, false) == Keep::No && self.topic_fits(publish.topic);
            // A refusal goes the other way. What changes the rules makes the router's generation another.
            let passes = passes && self.access.may(outbox, &[Action::Publish], publish.topic);
            passes.then(|| self.route_of(publish.topic))
        };
        let (from, version) = (client.outbox.subscriber, client.version());
        let messages = client.turn.messages();
        if !messages.find_route(publish.topic, self.router.generation(), look_up) {
            return false;
        }
        let packet = Straight {
            publish,
            wire,
            version,
            from,
            broker: self,
        };
        let Some(reason) = messages.pass(&packet) else {
            return false;
        };
        client.tally.received(publish.qos, publish.payload.len());
        if let Some(packet_id) = publish.packet_id {
            client.session.answer(packet_id, reason);
        }
        true
    }
}
