//! Routing against a naive model: random subscriptions and publishes of several clients; who gets what, with which QoS,
//! RETAIN flag and subscription identifiers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rewindmq::codec::{RetainHandling, SubscribeFilter};
use rewindmq::types::QoS;

use super::client::{Client, Message, Post, filter, post, v5};
use super::server::Broker;

const CLIENTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Subscribe(usize, SubscribeFilter, Option<u32>),
    Unsubscribe(usize, String),
    Publish(usize, Publication),
    /// By a client that subscribes to nothing.
    Retain(Publication),
}

#[derive(Clone, Debug)]
struct Publication {
    topic: String,
    payload: String,
    qos: u8,
    retain: bool,
}

/// One copy that a client gets: topic, payload, QoS, RETAIN, identifiers in order.
type Copy = (String, String, QoS, bool, Vec<u32>);

/// What the broker should do, the slow way.
#[derive(Default)]
struct Model {
    subscriptions: [BTreeMap<String, (SubscribeFilter, Option<u32>)>; CLIENTS],
    retained: BTreeMap<String, Publication>,
}

impl Model {
    /// The retained messages that a SUBSCRIBE brings.
    fn subscribe(&mut self, client: usize, filter: &SubscribeFilter, id: Option<u32>) -> Vec<Copy> {
        let earlier = self.subscriptions[client].insert(filter.filter.clone(), (filter.clone(), id));
        let wanted = match filter.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => earlier.is_none(),
            RetainHandling::DoNotSend => false,
        };
        let matching = self
            .retained
            .values()
            .filter(|kept| matches(&filter.filter, &kept.topic));
        let copies = matching.map(|kept| kept.copy(filter.qos, true, id.into_iter().collect()));
        copies.filter(|_| wanted).collect()
    }

    /// What each client gets of a message.
    fn publish(&mut self, publisher: Option<usize>, message: &Publication) -> [Vec<Copy>; CLIENTS] {
        if message.retain && message.payload.is_empty() {
            self.retained.remove(&message.topic);
        } else if message.retain {
            self.retained.insert(message.topic.clone(), message.clone());
        }
        std::array::from_fn(|client| {
            let matching: Vec<_> = self.subscriptions[client]
                .values()
                .filter(|(filter, _)| matches(&filter.filter, &message.topic))
                .filter(|(filter, _)| !(filter.no_local && publisher == Some(client)))
                .collect();
            let granted = matching.iter().map(|(filter, _)| filter.qos).max();
            let retain = message.retain && matching.iter().any(|(filter, _)| filter.retain_as_published);
            let mut ids: Vec<u32> = matching.iter().filter_map(|(_, id)| *id).collect();
            ids.sort_unstable();
            let copy = granted.map(|granted| message.copy(granted, retain, ids));
            copy.into_iter().collect()
        })
    }
}

impl Publication {
    fn copy(&self, granted: QoS, retain: bool, ids: Vec<u32>) -> Copy {
        let qos = QoS::from_bits(self.qos).expect("a QoS").min(granted);
        (self.topic.clone(), self.payload.clone(), qos, retain, ids)
    }
}

/// Section 4.7, level by level.
fn matches(filter: &str, topic: &str) -> bool {
    let (filter, topic): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
    let begins_with_wildcard = filter[0] == "+" || filter[0] == "#";
    !(begins_with_wildcard && topic[0].starts_with('$')) && levels_match(&filter, &topic)
}

fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        ([first, filter @ ..], [level, topic @ ..]) => (*first == "+" || first == level) && levels_match(filter, topic),
        _ => false,
    }
}

/// The broker and its clients.
struct Stage {
    broker: Broker,
    clients: Vec<Client>,
    control: Client,
    model: Model,
}

impl Stage {
    fn new() -> Self {
        let broker = Broker::start();
        let mut clients: Vec<_> = (0..CLIENTS).map(|n| broker.connect(v5(&n.to_string()))).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.subscribe(&mark(number), 0, &[]);
        }
        let control = broker.connect(v5("control"));
        Self {
            broker,
            clients,
            control,
            model: Model::default(),
        }
    }

    fn step(&mut self, step: &Step) {
        let expected = match step {
            Step::Subscribe(client, filter, id) => {
                let ack = self.clients[*client].try_subscribe_as(std::slice::from_ref(filter), &[], *id);
                assert_eq!(ack.expect("SUBACK").reasons[0].byte(), filter.qos.bits());
                let mut expected: [Vec<Copy>; CLIENTS] = Default::default();
                expected[*client] = self.model.subscribe(*client, filter, *id);
                expected
            }
            Step::Unsubscribe(client, filter) => {
                let known = self.model.subscriptions[*client].remove(filter).is_some();
                let ack = self.clients[*client].unsubscribe(filter, &[]);
                assert_eq!(ack.reasons[0].byte(), if known { 0 } else { 0x11 });
                Default::default()
            }
            Step::Publish(client, message) => {
                publish(&mut self.clients[*client], message);
                self.model.publish(Some(*client), message)
            }
            Step::Retain(message) => {
                publish(&mut self.control, message);
                self.model.publish(None, message)
            }
        };
        for (number, mut expected) in expected.into_iter().enumerate() {
            let mut got = self.read(number);
            got.sort();
            expected.sort();
            assert_eq!(got, expected, "client {number} after {step:?}");
        }
    }

    /// Everything that a client got, up to a mark that is published after it.
    fn read(&mut self, number: usize) -> Vec<Copy> {
        let mark = mark(number);
        self.control.publish(&post(&mark, ""));
        let copies = std::iter::from_fn(|| Some(self.clients[number].take()).filter(|message| message.topic != mark));
        copies.map(|message| copy(&message)).collect()
    }
}

/// A topic that no filter of the steps matches: it has more levels, and they begin with `$`.
fn mark(number: usize) -> String {
    format!("$mark/{number}/of/the/test")
}

/// Publishes and waits until the broker has it.
fn publish(client: &mut Client, message: &Publication) {
    let packet = Post {
        qos: message.qos,
        retain: message.retain,
        ..post(&message.topic, &message.payload)
    };
    match message.qos {
        0 => {
            client.post(&packet);
            client.ping();
        }
        _ => drop(client.publish(&packet)),
    }
}

fn copy(message: &Message) -> Copy {
    let mut ids = message.subscription_ids();
    ids.sort_unstable();
    (
        message.topic.clone(),
        message.text().to_owned(),
        message.qos,
        message.retain,
        ids,
    )
}

fn topics() -> impl Strategy<Value = String> {
    let level = prop_oneof![4 => Just("a"), 3 => Just("b"), 1 => Just(""), 1 => Just("$x")];
    prop::collection::vec(level, 1..4)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a topic has a character", |topic| !topic.is_empty())
}

fn filters() -> impl Strategy<Value = String> {
    let wild = (topics(), any::<[bool; 3]>(), any::<bool>()).prop_map(|(topic, plus, hash)| {
        let levels = topic.split('/').zip(plus);
        let mut levels: Vec<_> = levels.map(|(level, plus)| if plus { "+" } else { level }).collect();
        if hash {
            levels.push("#");
        }
        levels.join("/")
    });
    prop_oneof![1 => topics(), 4 => wild, 1 => Just("#".to_owned())]
}

fn subscriptions() -> impl Strategy<Value = (SubscribeFilter, Option<u32>)> {
    let handling = prop_oneof![
        Just(RetainHandling::Send),
        Just(RetainHandling::SendIfNew),
        Just(RetainHandling::DoNotSend)
    ];
    let id = prop::option::of(1..300_u32);
    (filters(), 0..=2_u8, any::<[bool; 2]>(), handling, id).prop_map(
        |(text, qos, [no_local, published], handling, id)| {
            let wanted = SubscribeFilter {
                no_local,
                retain_as_published: published,
                retain_handling: handling,
                ..filter(&text, qos)
            };
            (wanted, id)
        },
    )
}

fn publications() -> impl Strategy<Value = Publication> {
    (topics(), 0..1000_u32, 0..=2_u8).prop_map(|(topic, number, qos)| Publication {
        topic,
        payload: number.to_string(),
        qos,
        retain: false,
    })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..CLIENTS, subscriptions()).prop_map(|(client, (filter, id))| Step::Subscribe(client, filter, id)),
        1 => (0..CLIENTS, filters()).prop_map(|(client, filter)| Step::Unsubscribe(client, filter)),
        4 => (0..CLIENTS, publications()).prop_map(|(client, message)| Step::Publish(client, message)),
        2 => (publications(), 0..4_u8).prop_map(|(message, kind)| Step::Retain(Publication {
            payload: if kind == 0 { String::new() } else { message.payload },
            retain: true,
            ..message
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn everyone_gets_what_the_naive_model_says(steps in prop::collection::vec(steps(), 1..60)) {
        let mut stage = Stage::new();
        for step in &steps {
            stage.step(step);
        }
        stage.broker.stop();
    }
}
