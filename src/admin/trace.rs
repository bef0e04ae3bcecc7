//! A trace as an answer that goes on: one JSON document a line, until there are enough or the time is over.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::time::Instant;

use super::answer::Problem;
use super::query::Query;
use super::site::Site;
use crate::broker::{MOST_TRACES, TraceFilter, Tracing};

/// What is left of a trace.
struct Rest {
    tracing: Tracing,
    count: u64,
    until: Instant,
    is_over: bool,
}

pub(super) async fn trace(State(site): State<Site>, query: Query) -> Result<Response, Problem> {
    query.only(&["client_id", "topic", "count", "wait_ms"])?;
    let filter = TraceFilter {
        client_id: query.text("client_id").map(str::to_owned),
        topic: query.filter("topic")?,
    };
    if query.text("wait_ms").is_none() {
        return Err(Problem::invalid(
            "parameter wait_ms: it is needed, so that no trace is forgotten",
        ));
    }
    let number = |name: &str, most: u64| -> Result<u64, Problem> {
        let given = query.parse(name, "a number")?.unwrap_or(most);
        if (1..=most).contains(&given) {
            return Ok(given);
        }
        Err(Problem::invalid(format!(
            "parameter {name}: expected a number from 1 to {most}, found {given}"
        )))
    };
    let (count, wait) = (number("count", u64::MAX)?, number("wait_ms", LONGEST)?);
    let tracing = site.broker.tracer().begin(filter);
    let tracing = tracing.ok_or_else(|| {
        Problem::too_many(format!("{MOST_TRACES} traces are under way")).hint("end one, or wait until one is over")
    })?;
    let rest = Rest {
        tracing,
        count,
        until: Instant::now() + Duration::from_millis(wait),
        is_over: false,
    };
    let body = Body::from_stream(unfold(rest, next));
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
}

async fn next(mut rest: Rest) -> Option<(Result<String, Infallible>, Rest)> {
    if rest.is_over {
        return None;
    }
    let lost = rest.tracing.take_lost();
    if lost > 0 {
        return Some((Ok(format!("{{\"event\":\"lost\",\"lost\":{lost}}}\n")), rest));
    }
    let line = match rest.count {
        0 => None,
        _ => tokio::time::timeout_at(rest.until, rest.tracing.next())
            .await
            .ok()
            .flatten(),
    };
    let line = line.unwrap_or_else(|| {
        rest.is_over = true;
        "{\"event\":\"end\"}\n".to_owned()
    });
    rest.count = rest.count.saturating_sub(1);
    Some((Ok(line), rest))
}

/// An hour, milliseconds.
const LONGEST: u64 = 3_600_000;
