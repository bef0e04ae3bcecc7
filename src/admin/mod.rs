//! The HTTP listener: metrics, health and the API. Knows the broker's administration, and no socket of a client.

mod answer;
mod api;
mod guard;
mod health;
mod query;
mod receive;
mod site;
mod tokens;
mod trace;
mod vitals;

use std::convert::Infallible;
use std::future::{Future, IntoFuture};
use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::metrics::MetricsPage;

pub use site::{ListenerState, LogControl, Site};
pub use tokens::{TokenFileError, Tokens};
pub use vitals::{Findings, Pulse, Vitals};

/// Answers until `shutdown` is there, and keeps the histograms of the metrics small meanwhile.
///
/// # Errors
/// None that a client can cause; those of the listener.
pub async fn serve(
    listener: TcpListener,
    site: Site,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let signal = async move {
        shutdown.await;
        // Nobody listens any more only when the server is gone.
        let _ = stopping.send(());
    };
    let overdue = async move {
        let _ = stopped.await;
        tokio::time::sleep(GRACE).await;
    };
    let page = site.page.clone();
    let server = axum::serve(listener, routes(site))
        .with_graceful_shutdown(signal)
        .into_future();
    tokio::select! {
        result = server => result,
        () = overdue => Ok(()),
        never = upkeep(page) => match never {},
    }
}

fn routes(site: Site) -> Router {
    Router::new()
        .route("/", get(pointer))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .nest("/api/v1", api::routes(&site))
        .with_state(site)
}

async fn pointer() -> &'static str {
    concat!(
        "RewindMQ ",
        env!("CARGO_PKG_VERSION"),
        ": /metrics, /healthz, /readyz, /api/v1/openapi.json\n"
    )
}

async fn metrics(State(site): State<Site>) -> impl IntoResponse {
    ([(CONTENT_TYPE, MetricsPage::CONTENT_TYPE)], site.page.render())
}

/// Keeps the histograms of the metrics small, where there is no HTTP listener.
pub async fn upkeep(page: MetricsPage) -> Infallible {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        page.run_upkeep();
    }
}

/// Samples of histograms pile up for this long at most.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long a request that is under way may hold up the shutdown.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::broker::Broker;
    use crate::config::Config;
    use crate::metrics::Metrics;
    use crate::store::MemoryStore;
    use crate::types::{Clock, Timestamp};

    struct Running {
        address: SocketAddr,
        metrics: Metrics,
        stop: oneshot::Sender<()>,
        server: JoinHandle<io::Result<()>>,
    }

    async fn start() -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (metrics, page) = Metrics::new(Timestamp(0));
        let store = Arc::new(MemoryStore::new());
        let broker = Broker::open(Config::default(), store, Clock::default(), metrics.clone()).expect("opens");
        let site = Site::new(broker, page, address, None);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        Running {
            address,
            metrics,
            stop,
            server: tokio::spawn(serve(listener, site, shutdown)),
        }
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("listening");
        let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    }

    #[tokio::test]
    async fn metrics_are_served_as_prometheus_text() {
        let running = start().await;
        running.metrics.wills_published.increment(2);
        let answer = ask(running.address, "GET /metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\nrewindmq_wills_published_total 2\n"), "{answer}");
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let running = start().await;
        for (request, status) in [
            ("GET /", "200 OK"),
            ("HEAD /metrics", "200 OK"),
            ("GET /metrics/", "404 Not Found"),
            ("GET /other", "404 Not Found"),
            ("POST /metrics", "405 Method Not Allowed"),
            ("DELETE /", "405 Method Not Allowed"),
        ] {
            let answer = ask(running.address, request).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{request}: {answer}"
            );
        }
        assert!(ask(running.address, "GET /").await.ends_with("/api/v1/openapi.json\n"));
    }

    #[tokio::test]
    async fn shutdown_ends_the_server_though_a_request_is_never_finished() {
        let running = start().await;
        let mut stalled = TcpStream::connect(running.address).await.expect("listening");
        stalled.write_all(b"GET /metrics HTTP/1.1\r\n").await.expect("sent");
        ask(running.address, "GET /").await;
        running.stop.send(()).expect("running");
        let ended = tokio::time::timeout(5 * GRACE, running.server).await.expect("in time");
        assert!(ended.expect("no panic").is_ok());
    }
}
