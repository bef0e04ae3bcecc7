//! Tells traces what clients send and get, and what is decided about it. Where nobody traces it is one look at a number.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::drops::beginning;
use super::manage::rfc3339;
use crate::codec::{self, DecodeLimits, Packet};
use crate::topic::TopicFilter;
use crate::types::{Clock, Version};

/// All traces.
#[derive(Debug)]
pub struct Tracer {
    count: AtomicUsize,
    traces: Mutex<Vec<Arc<Trace>>>,
    clock: Clock,
}

/// What a trace is to tell.
#[derive(Clone, Debug, Default)]
pub struct TraceFilter {
    /// Of one client; of all without it.
    pub client_id: Option<String>,
    /// What has a topic that matches; everything without it.
    pub topic: Option<TopicFilter>,
}

#[derive(Debug)]
struct Trace {
    filter: TraceFilter,
    lines: Sender<String>,
    lost: AtomicU64,
}

/// A trace, until it is dropped.
#[derive(Debug)]
pub struct Tracing {
    tracer: Arc<Tracer>,
    trace: Arc<Trace>,
    lines: Receiver<String>,
}

impl Tracer {
    /// Without traces.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicUsize::new(0),
            traces: Mutex::default(),
            clock,
        })
    }

    /// Whether anybody traces.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Begins a trace; none if there are as many as may be.
    pub fn begin(self: &Arc<Self>, filter: TraceFilter) -> Option<Tracing> {
        let mut traces = self.lock();
        if traces.len() >= MOST_TRACES {
            return None;
        }
        let (sender, lines) = mpsc::channel(MOST_QUEUED);
        let trace = Arc::new(Trace {
            filter,
            lines: sender,
            lost: AtomicU64::new(0),
        });
        traces.push(trace.clone());
        self.count.store(traces.len(), Ordering::Relaxed);
        Some(Tracing {
            tracer: self.clone(),
            trace,
            lines,
        })
    }

    /// Something of a client, which concerns topics or filters.
    pub fn tell(&self, client_id: &str, event: &str, topics: &[&str], details: Value) {
        let wanted: Vec<_> = self
            .lock()
            .iter()
            .filter(|trace| trace.wants(client_id, topics))
            .cloned()
            .collect();
        if wanted.is_empty() {
            return;
        }
        let mut line = Map::new();
        line.insert("at".into(), rfc3339(self.clock.now()).into());
        line.insert("client_id".into(), client_id.into());
        line.insert("event".into(), event.into());
        if let Value::Object(details) = details {
            line.extend(details);
        }
        let line = format!("{}\n", Value::Object(line));
        for trace in wanted {
            trace.put(line.clone());
        }
    }

    /// A packet that came from a client, or goes to it.
    pub fn tell_packet(&self, client_id: &str, event: &str, packet: &Packet<'_>, bytes: usize) {
        let (name, topics, mut details) = describe(packet);
        if let Value::Object(details) = &mut details {
            details.insert("packet".into(), name.into());
            details.insert("bytes".into(), bytes.into());
        }
        self.tell(client_id, event, &topics, details);
    }

    /// All packets of what is to be written to a client.
    pub fn tell_output(&self, client_id: &str, version: Version, output: &[u8]) {
        let limits = DecodeLimits {
            max_packet_size: u32::MAX,
        };
        let mut at = 0;
        while let Ok(Some((packet, len))) = codec::decode_from_server(&output[at..], version, &limits) {
            self.tell_packet(client_id, "out", &packet, len);
            at += len;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Trace>>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trace {
    fn wants(&self, client_id: &str, topics: &[&str]) -> bool {
        let of_client = self
            .filter
            .client_id
            .as_deref()
            .is_none_or(|wanted| wanted == client_id);
        let matches = |filter: &TopicFilter| {
            let mut topics = topics.iter();
            topics.any(|topic| filter.as_str() == *topic || filter.matches(topic))
        };
        of_client && self.filter.topic.as_ref().is_none_or(matches)
    }

    fn put(&self, line: String) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tracing {
    /// The next line.
    pub async fn next(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    /// How many lines were lost since this was asked last, because they were not taken fast enough.
    pub fn take_lost(&self) -> u64 {
        self.trace.lost.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        let mut traces = self.tracer.lock();
        traces.retain(|trace| !Arc::ptr_eq(trace, &self.trace));
        self.tracer.count.store(traces.len(), Ordering::Relaxed);
    }
}

/// The name of a packet, the topics or filters in it, and what else a person wants to know of it.
fn describe<'a>(packet: &'a Packet<'_>) -> (&'static str, Vec<&'a str>, Value) {
    let ack = |name, ack: &codec::Ack| {
        let details = json!({"packet_id": ack.packet_id.get(), "reason": ack.reason.text()});
        (name, Vec::new(), details)
    };
    let acks = |name, suback: &codec::SubAck| {
        let reasons: Vec<&str> = suback
            .reasons
            .iter()
            .take(MOST_NAMED)
            .map(|reason| reason.text())
            .collect();
        let details = json!({"packet_id": suback.packet_id.get(), "reasons": reasons, "why": suback.reason_string});
        (name, Vec::new(), details)
    };
    match packet {
        Packet::Publish(publish) => {
            let details = json!({
                "topic": beginning(publish.topic), "qos": publish.qos.bits(), "retain": publish.retain, "dup": publish.dup,
                "packet_id": publish.packet_id.map(|id| id.get()), "topic_alias": publish.topic_alias,
                "payload_bytes": publish.payload.len(),
            });
            ("PUBLISH", vec![publish.topic], details)
        }
        Packet::Subscribe(subscribe) => {
            let filters: Vec<&str> = subscribe.filters.iter().map(|filter| filter.filter.as_str()).collect();
            let shown: Vec<&str> = filters
                .iter()
                .take(MOST_NAMED)
                .map(|filter| beginning(filter))
                .collect();
            let details = json!({"packet_id": subscribe.packet_id.get(), "filters": shown});
            ("SUBSCRIBE", filters, details)
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters: Vec<&str> = unsubscribe.filters.iter().map(String::as_str).collect();
            let shown: Vec<&str> = filters
                .iter()
                .take(MOST_NAMED)
                .map(|filter| beginning(filter))
                .collect();
            let details = json!({"packet_id": unsubscribe.packet_id.get(), "filters": shown});
            ("UNSUBSCRIBE", filters, details)
        }
        Packet::PubAck(packet) => ack("PUBACK", packet),
        Packet::PubRec(packet) => ack("PUBREC", packet),
        Packet::PubRel(packet) => ack("PUBREL", packet),
        Packet::PubComp(packet) => ack("PUBCOMP", packet),
        Packet::SubAck(packet) => acks("SUBACK", packet),
        Packet::UnsubAck(packet) => acks("UNSUBACK", packet),
        Packet::Disconnect(said) => {
            let details = json!({"reason": said.reason.text(), "why": said.reason_string});
            ("DISCONNECT", Vec::new(), details)
        }
        Packet::ConnAck(said) => ("CONNACK", Vec::new(), json!({"reason": said.reason.text()})),
        Packet::Connect(_) => ("CONNECT", Vec::new(), json!({})),
        Packet::PingReq => ("PINGREQ", Vec::new(), json!({})),
        Packet::PingResp => ("PINGRESP", Vec::new(), json!({})),
        Packet::Auth(said) => ("AUTH", Vec::new(), json!({"reason": said.reason.text()})),
    }
}

/// Traces at a time.
const MOST_TRACES: usize = 4;
/// Lines that wait for whoever asked for them.
const MOST_QUEUED: usize = 4_096;
/// Filters or reasons of one packet that are told.
const MOST_NAMED: usize = 8;
