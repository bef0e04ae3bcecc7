//! Hands lines to those who trace. Where nobody traces it is one look at a number. Knows no packet.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::drops::beginning;
use crate::topic::TopicFilter;
use crate::types::{Clock, rfc3339};

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
    /// How many bytes wait.
    bytes: AtomicUsize,
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
            bytes: AtomicUsize::new(0),
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

    /// Whether anybody traces a client.
    #[inline]
    pub fn concerns(&self, client_id: &str) -> bool {
        self.is_on() && self.lock().iter().any(|trace| trace.filter.has_client(client_id))
    }

    /// Something of a client, which concerns topics or filters. The details are asked for when somebody wants to know.
    pub fn tell(&self, client_id: &str, event: &str, topics: &[&str], details: impl FnOnce() -> Value) {
        if !self.is_on() {
            return;
        }
        let traces = self.lock();
        let mut wanted = traces
            .iter()
            .filter(|trace| trace.filter.wants(client_id, topics))
            .peekable();
        if wanted.peek().is_none() {
            return;
        }
        let mut line = Map::new();
        line.insert("at".into(), rfc3339(self.clock.now()).into());
        line.insert("client_id".into(), beginning(client_id).into());
        line.insert("event".into(), event.into());
        if let Value::Object(details) = details() {
            line.extend(details.into_iter().filter(|(_, detail)| !detail.is_null()));
        }
        let line = format!("{}\n", Value::Object(line));
        for trace in wanted {
            trace.put(&line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Trace>>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceFilter {
    fn has_client(&self, client_id: &str) -> bool {
        self.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
    }

    fn wants(&self, client_id: &str, topics: &[&str]) -> bool {
        let matches = |filter: &TopicFilter| {
            let mut topics = topics.iter();
            topics.any(|topic| filter.as_str() == *topic || filter.matches(topic))
        };
        self.has_client(client_id) && self.topic.as_ref().is_none_or(matches)
    }
}

impl Trace {
    fn put(&self, line: &str) {
        let has_room = self.bytes.load(Ordering::Relaxed) + line.len() <= MOST_BYTES;
        if has_room && self.lines.try_send(line.to_owned()).is_ok() {
            self.bytes.fetch_add(line.len(), Ordering::Relaxed);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tracing {
    /// The next line.
    pub async fn next(&mut self) -> Option<String> {
        let line = self.lines.recv().await?;
        self.trace.bytes.fetch_sub(line.len(), Ordering::Relaxed);
        Some(line)
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

/// Traces at a time.
pub const MOST_TRACES: usize = 4;
/// Lines that wait for whoever asked for them.
const MOST_QUEUED: usize = 4_096;
/// Bytes of them.
const MOST_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(client_id: Option<&str>, topic: Option<&str>) -> TraceFilter {
        TraceFilter {
            client_id: client_id.map(str::to_owned),
            topic: topic.map(|topic| TopicFilter::parse(topic).expect("a filter")),
        }
    }

    #[test]
    fn nobody_is_asked_for_details_that_no_trace_wants() {
        let tracer = Tracer::new(Clock::default());
        let never = || panic!("nobody wants it");
        tracer.tell("a", "in", &["x"], never);
        let _of_b = tracer.begin(filter(Some("b"), None)).expect("the first");
        let _of_s = tracer.begin(filter(None, Some("s/#"))).expect("the second");
        tracer.tell("a", "in", &["x"], never);
        tracer.tell("a", "in", &[], never);
    }

    #[tokio::test]
    async fn a_trace_tells_its_client_and_its_topics_or_its_very_filter() {
        let tracer = Tracer::new(Clock::default());
        let mut tracing = tracer.begin(filter(Some("a"), Some("s/+"))).expect("the first");
        for (client_id, topic) in [("a", "s/1"), ("b", "s/2"), ("a", "s/3/x"), ("a", "s/+")] {
            tracer.tell(
                client_id,
                "in",
                &["other", topic],
                || json!({"topic": topic, "packet_id": null}),
            );
        }
        for topic in ["s/1", "s/+"] {
            let line = tracing.next().await.expect("told");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(event["topic"], topic);
            assert!(line.ends_with('\n') && event.get("packet_id").is_none(), "{line}");
        }
        assert_eq!(tracing.take_lost(), 0);
    }

    #[tokio::test]
    async fn what_is_not_taken_in_time_is_lost_and_counted_and_then_it_goes_on() {
        let tracer = Tracer::new(Clock::default());
        let mut tracing = tracer.begin(TraceFilter::default()).expect("the first");
        for _ in 0..MOST_QUEUED + 3 {
            tracer.tell("a", "in", &[], || json!({}));
        }
        assert_eq!((tracing.take_lost(), tracing.take_lost()), (3, 0));
        assert!(tracing.next().await.is_some());
        tracer.tell("a", "in", &[], || json!({}));
        assert_eq!(tracing.take_lost(), 0);
    }

    #[tokio::test]
    async fn what_waits_has_a_bound_in_bytes_too() {
        let tracer = Tracer::new(Clock::default());
        let mut tracing = tracer.begin(TraceFilter::default()).expect("the first");
        let tell = |bytes: usize| tracer.tell("a", "in", &[], || json!({"why": "x".repeat(bytes)}));
        tell(MOST_BYTES / 2);
        tell(MOST_BYTES / 2);
        assert_eq!(tracing.take_lost(), 1);
        assert!(tracing.next().await.is_some());
        tell(MOST_BYTES / 2);
        assert_eq!(tracing.take_lost(), 0);
    }

    #[test]
    fn there_are_so_many_traces_and_one_that_ends_makes_room() {
        let tracer = Tracer::new(Clock::default());
        let begin = || tracer.begin(filter(Some("a"), None));
        let mut tracings: Vec<_> = (0..MOST_TRACES).map(|_| begin().expect("room")).collect();
        assert!(begin().is_none() && tracer.concerns("a") && !tracer.concerns("b"));
        tracings.pop();
        tracings.push(begin().expect("room again"));
        tracings.clear();
        assert!(!tracer.is_on() && !tracer.concerns("a"));
    }
}
