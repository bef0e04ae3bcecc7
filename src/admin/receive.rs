//! A synchronous subscriber: subscribes, waits for messages, answers with them, and is gone. An explicit acknowledgement
//! keeps it until the token of the answer comes back.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use bytes::Buf;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer::{Answer, Json, Problem};
use super::api::{MessageView, body_of, qos_of};
use super::query::{JsonBody, PathPart, Query, read_filter};
use super::site::Site;
use crate::broker::{Arrival, Broker, Cause, Client, Pumped};
use crate::codec::{
    Ack, Connect, DecodeLimits, Disconnect, MAX_PACKET_SIZE, Packet, Publish, RetainHandling, SubAck, Subscribe,
    SubscribeFilter, decode_from_server,
};
use crate::session::Fault;
use crate::types::{PacketId, ReasonCode, Timestamp, Version, rfc3339};

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Receive {
    filter: String,
    /// The start option; without one only what comes from now on, and retained messages.
    start: Option<String>,
    group: Option<String>,
    selector: Option<String>,
    client_id: Option<String>,
    #[serde(default = "one")]
    qos: u8,
    #[serde(default = "one")]
    count: u16,
    #[serde(default)]
    wait_ms: u64,
    #[serde(default)]
    ack: AckMode,
    #[serde(default = "thirty_seconds")]
    ack_wait_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AckMode {
    /// Before the answer is sent.
    #[default]
    Auto,
    /// When the token comes back.
    Explicit,
}

#[derive(Serialize)]
struct Received {
    messages: Vec<ReceivedMessage>,
    /// What acknowledges them, if that is still to be done.
    token: Option<String>,
}

#[derive(Serialize)]
struct ReceivedMessage {
    topic: String,
    qos: u8,
    retain: bool,
    sequence: Option<u64>,
    time: Option<String>,
    redelivered: bool,
    #[serde(flatten)]
    body: MessageView,
}

/// Subscribers that wait for a token, and how many there are of either kind.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    waiting: Mutex<HashMap<String, oneshot::Sender<Settle>>>,
    under_way: AtomicUsize,
}

/// What is to become of the messages of a token.
#[derive(Debug)]
enum Settle {
    Acknowledge(oneshot::Sender<Result<(), String>>),
    Release(oneshot::Sender<Result<(), String>>),
}

/// Counts a subscriber for as long as it is there.
struct Place(Arc<Receipts>);

impl Place {
    fn take(receipts: &Arc<Receipts>) -> Result<Self, Problem> {
        let place = Self(receipts.clone());
        if receipts.under_way.fetch_add(1, Ordering::AcqRel) >= MOST_UNDER_WAY {
            return Err(Problem::too_many(format!("{MOST_UNDER_WAY} receives are under way")).hint("try again later"));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Subscribes, waits, answers.
pub(super) async fn receive(State(site): State<Site>, query: Query, JsonBody(body): JsonBody<Receive>) -> Answer {
    query.only(&[])?;
    body.check()?;
    let place = Place::take(&site.receipts)?;
    let mut subscriber = Subscriber::connect(&site, &body, place).await?;
    subscriber.subscribe(&body)?;
    subscriber.fill(&body).await?;
    let messages = std::mem::take(&mut subscriber.messages);
    let mut token = None;
    if body.ack == AckMode::Explicit && !messages.is_empty() {
        let name = new_token()?;
        let (settle, settled) = oneshot::channel();
        site.receipts.lock().insert(name.clone(), settle);
        let (receipts, patience) = (site.receipts.clone(), Duration::from_millis(body.ack_wait_ms));
        let held = name.clone();
        tokio::spawn(async move {
            subscriber
                .hold(settled, patience, || receipts.lock().remove(&held))
                .await;
        });
        token = Some(name);
    } else {
        subscriber.acknowledge();
        subscriber.leave().await?;
    }
    Ok(Json::ok(&Received { messages, token }))
}

/// Acknowledges the messages of a token.
pub(super) async fn acknowledge(State(site): State<Site>, PathPart(token): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    settle(&site, &token, Settle::Acknowledge).await
}

/// Gives the messages of a token back: they are delivered again.
pub(super) async fn release(State(site): State<Site>, PathPart(token): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    settle(&site, &token, Settle::Release).await
}

async fn settle(site: &Site, token: &str, how: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Settle) -> Answer {
    let unknown = || {
        Problem::not_found("no messages wait for this token")
            .hint("they are settled already, or the time for it (ack_wait_ms) is over and they are delivered again")
    };
    let waiting = site.receipts.lock().remove(token).ok_or_else(unknown)?;
    let (done, outcome) = oneshot::channel();
    waiting.send(how(done)).map_err(|_| unknown())?;
    match outcome.await {
        Ok(Ok(())) => Ok(Json::ok(&serde_json::json!({ "done": "settled" }))),
        Ok(Err(why)) => Err(Problem::unavailable(why)),
        Err(_) => Err(unknown()),
    }
}

impl Receipts {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Settle>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receive {
    fn check(&self) -> Result<(), Problem> {
        qos_of(self.qos, 1)?;
        let filter = self.filter_text();
        crate::topic::SubscriptionFilter::parse(&filter)
            .map_err(|fault| Problem::invalid(format!("filter: {fault}")))?;
        read_filter("filter", &self.filter)?;
        for (name, value, least, most) in [
            ("count", u64::from(self.count), 1, MOST_MESSAGES),
            ("wait_ms", self.wait_ms, 0, LONGEST_WAIT),
            ("ack_wait_ms", self.ack_wait_ms, 1, LONGEST_HOLD),
        ] {
            if !(least..=most).contains(&value) {
                return Err(Problem::invalid(format!(
                    "{name}: expected a number from {least} to {most}, found {value}"
                )));
            }
        }
        if let Some(id) = &self.client_id
            && (id.is_empty() || id.len() > 65_535 || id.contains('\0'))
        {
            return Err(Problem::invalid(
                "client_id: expected 1 to 65535 bytes without U+0000; leave it out for one that the broker makes",
            ));
        }
        Ok(())
    }

    fn filter_text(&self) -> String {
        match &self.group {
            Some(group) => format!("$share/{group}/{}", self.filter),
            None => self.filter.clone(),
        }
    }
}

/// A client without a connection.
struct Subscriber {
    broker: Arc<Broker>,
    client: Option<Box<Client>>,
    suback: Option<SubAck>,
    messages: Vec<ReceivedMessage>,
    bytes: usize,
    /// How far the output was read; it counts as written when what is in it is acknowledged.
    read: usize,
    to_acknowledge: Vec<PacketId>,
    /// Given back with the client.
    _place: Place,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let said = Disconnect::new(ReasonCode::Success);
            self.broker.disconnect(client, Cause::Client(said));
        }
    }
}

impl Subscriber {
    async fn connect(site: &Site, body: &Receive, place: Place) -> Result<Self, Problem> {
        let broker = &site.broker;
        let client_id = match &body.client_id {
            Some(client_id) if broker.has_session(client_id) => {
                return Err(
                    Problem::conflict(format!("client identifier {client_id:?} has a session")).hint(
                        "a receive would end it; use another identifier, or wait until the client is gone and its session over",
                    ),
                );
            }
            Some(client_id) => client_id.clone(),
            None => String::new(),
        };
        let mut connect = Connect::new(Version::V5, client_id);
        connect.receive_maximum = Some(body.count);
        let arrival = Arrival::administrator(site.address);
        let client = broker.connect(connect, &arrival, None).await;
        let mut client = client.map_err(|refused| {
            let why = refused.connack.reason_string.as_deref();
            Problem::unavailable(why.unwrap_or(refused.connack.reason.text()))
        })?;
        // CONNACK is for nobody.
        client.output().clear();
        Ok(Self {
            broker: broker.clone(),
            client: Some(client),
            suback: None,
            messages: Vec::new(),
            bytes: 0,
            read: 0,
            to_acknowledge: Vec::new(),
            _place: place,
        })
    }

    fn subscribe(&mut self, body: &Receive) -> Result<(), Problem> {
        let mut user_properties = Vec::new();
        let options = [("replay", &body.start), ("selector", &body.selector)];
        for (name, value) in options {
            user_properties.extend(value.as_ref().map(|value| (name.to_owned(), value.clone())));
        }
        let filter = SubscribeFilter {
            filter: body.filter_text(),
            qos: qos_of(body.qos, 1)?,
            no_local: false,
            retain_as_published: true,
            retain_handling: RetainHandling::Send,
        };
        self.handle(Packet::Subscribe(Subscribe {
            packet_id: PacketId::MIN,
            subscription_id: None,
            user_properties,
            filters: vec![filter],
        }))
    }

    /// Hands a packet of the client to the broker.
    fn handle(&mut self, packet: Packet<'_>) -> Result<(), Problem> {
        let Some(client) = &mut self.client else {
            return Err(gone());
        };
        let now = self.broker.clock().now();
        let handled = self.broker.handle_packet(client, packet, &[], now);
        self.broker.end_turn(client);
        handled.map(drop).map_err(ended)
    }

    /// Waits until there are as many messages as wanted, or the time is over.
    async fn fill(&mut self, body: &Receive) -> Result<(), Problem> {
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(body.wait_ms);
        let patience = begun + SUBACK_PATIENCE + Duration::from_millis(body.wait_ms);
        let explicit = body.ack == AckMode::Explicit;
        loop {
            let pumped = self.pump()?;
            self.read_output(usize::from(body.count), explicit)?;
            self.check_suback()?;
            if self.messages.len() >= usize::from(body.count) || self.bytes >= MOST_BYTES {
                return Ok(());
            }
            if pumped == Pumped::More || self.has_unread() {
                tokio::task::yield_now().await;
                continue;
            }
            let until = if self.suback.is_some() { deadline } else { patience };
            if !self.woken(until).await {
                return match self.suback {
                    Some(_) => Ok(()),
                    None => Err(Problem::unavailable(
                        "the event store did not take the subscription in time",
                    )),
                };
            }
        }
    }

    fn pump(&mut self) -> Result<Pumped, Problem> {
        let Some(client) = &mut self.client else {
            return Err(gone());
        };
        let now = self.broker.clock().now();
        let pumped = self.broker.pump(client, now).map_err(ended)?;
        self.broker.end_turn(client);
        Ok(pumped)
    }

    /// Whether output was left because it may not count as written yet, and more may come behind it.
    fn has_unread(&mut self) -> bool {
        self.client
            .as_mut()
            .is_some_and(|client| client.output().len() > self.read)
    }

    /// Waits until there is something for the client; `false` when the time is over.
    async fn woken(&self, until: Instant) -> bool {
        let Some(client) = &self.client else { return false };
        let outbox = client.outbox().clone();
        let woken = poll_fn(|cx| outbox.poll_woken(cx));
        tokio::time::timeout_at(until, woken).await.is_ok()
    }

    fn check_suback(&self) -> Result<(), Problem> {
        let Some(suback) = &self.suback else { return Ok(()) };
        let Some(reason) = suback.reasons.first().filter(|reason| reason.is_error()) else {
            return Ok(());
        };
        let why = suback.reason_string.as_deref().unwrap_or(reason.text());
        Err(match reason {
            ReasonCode::NotAuthorized => Problem::forbidden(why),
            ReasonCode::QuotaExceeded => Problem::conflict(why),
            _ => Problem::invalid(why),
        })
    }

    /// Takes packets out of the output. Unless the acknowledgement is explicit, what is taken counts as written.
    fn read_output(&mut self, most: usize, explicit: bool) -> Result<(), Problem> {
        let limits = DecodeLimits {
            max_packet_size: MAX_PACKET_SIZE as u32,
        };
        let Some(mut client) = self.client.take() else {
            return Err(gone());
        };
        let mut at = self.read;
        let output = client.output().clone();
        while self.messages.len() < most && self.bytes < MOST_BYTES {
            let decoded = decode_from_server(&output[at..], Version::V5, &limits);
            let Ok(Some((packet, len))) = decoded else { break };
            at += len;
            match packet {
                Packet::SubAck(suback) => self.suback = Some(suback),
                Packet::Publish(publish) => {
                    self.to_acknowledge.extend(publish.packet_id);
                    self.bytes += len;
                    self.messages.push(ReceivedMessage::of(&publish));
                }
                _ => {}
            }
        }
        self.read = at;
        if !explicit {
            self.written(&mut client);
        }
        self.client = Some(client);
        Ok(())
    }

    fn written(&mut self, client: &mut Client) {
        let read = std::mem::take(&mut self.read);
        if read > 0 {
            client.output().advance(read);
            self.broker.wrote(client, read);
        }
    }

    /// Acknowledges everything that was taken.
    fn acknowledge(&mut self) {
        if let Some(mut client) = self.client.take() {
            self.written(&mut client);
            self.client = Some(client);
        }
        for packet_id in std::mem::take(&mut self.to_acknowledge) {
            // A fault would say that the packet is not in flight any more.
            let _ = self.handle(Packet::PubAck(Ack::new(packet_id, ReasonCode::Success)));
        }
    }

    /// Goes, and waits until what that changed is durable.
    async fn leave(self) -> Result<(), Problem> {
        let broker = self.broker.clone();
        drop(self);
        broker.check_store().await.map_err(Problem::unavailable)
    }

    /// Waits for the token to come back; without it the messages are delivered again.
    async fn hold<R>(mut self, settled: oneshot::Receiver<Settle>, patience: Duration, forget: impl Fn() -> R) {
        let until = Instant::now() + patience;
        tokio::pin!(settled);
        loop {
            tokio::select! {
                settle = &mut settled => {
                    let (acknowledges, done) = match settle {
                        Ok(Settle::Acknowledge(done)) => (true, done),
                        Ok(Settle::Release(done)) => (false, done),
                        Err(_) => return,
                    };
                    if acknowledges {
                        self.acknowledge();
                    }
                    let broker = self.broker.clone();
                    drop(self);
                    // Who settled it may be gone.
                    let _ = done.send(broker.check_store().await);
                    return;
                }
                woken = self.woken(until) => {
                    // An order to end the connection, or the end of the time.
                    if !woken || self.pump().is_err() {
                        forget();
                        return;
                    }
                }
            }
        }
    }
}

impl ReceivedMessage {
    fn of(publish: &Publish<'_>) -> Self {
        let mut body = body_of(publish.properties, publish.payload);
        let (mut sequence, mut time, mut redelivered) = (None, None, false);
        // What the broker added comes last, and nobody else's of that name is left.
        body.user_properties.retain(|property| {
            match property.name.as_str() {
                "es-seq" => sequence = property.value.parse().ok(),
                "es-time" => time = property.value.parse().ok(),
                "es-redelivered" => redelivered = property.value == "true",
                "es-channel" => {}
                _ => return true,
            }
            false
        });
        Self {
            topic: publish.topic.to_owned(),
            qos: publish.qos.bits(),
            retain: publish.retain,
            sequence,
            time: time.map(|time| rfc3339(Timestamp(time))),
            redelivered,
            body,
        }
    }
}

fn gone() -> Problem {
    Problem::unavailable("the subscriber is gone")
}

fn ended(fault: Fault) -> Problem {
    match fault.reason {
        ReasonCode::ServerShuttingDown => Problem::unavailable("the broker is stopping"),
        ReasonCode::SessionTakenOver => Problem::conflict("a client took over the client identifier"),
        ReasonCode::MalformedPacket | ReasonCode::ProtocolError => Problem::invalid(fault.what),
        _ => Problem::conflict(fault.to_string()),
    }
}

fn new_token() -> Result<String, Problem> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Problem::unavailable("no random bytes for a token"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn one<T: From<u8>>() -> T {
    T::from(1)
}

fn thirty_seconds() -> u64 {
    30_000
}

/// Receives that may be under way or wait for their token.
const MOST_UNDER_WAY: usize = 256;
/// Messages of one answer.
const MOST_MESSAGES: u64 = 1_000;
/// About how many bytes of messages one answer has.
const MOST_BYTES: usize = 8 << 20;
/// Milliseconds.
const LONGEST_WAIT: u64 = 60_000;
/// Milliseconds.
const LONGEST_HOLD: u64 = 600_000;
/// How long the event store may take for a subscription.
const SUBACK_PATIENCE: Duration = Duration::from_secs(10);
