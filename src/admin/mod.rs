//! The HTTP listener: serves the metrics. Knows no broker, only the page it shows.

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

/// Answers `GET /metrics` until `shutdown` is there, and keeps the page's histograms small meanwhile.
///
/// # Errors
/// None that a client can cause; those of the listener.
pub async fn serve(
    listener: TcpListener,
    page: MetricsPage,
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
    let server = axum::serve(listener, routes(page.clone()))
        .with_graceful_shutdown(signal)
        .into_future();
    tokio::select! {
        result = server => result,
        () = overdue => Ok(()),
        never = upkeep(page) => match never {},
    }
}

fn routes(page: MetricsPage) -> Router {
    Router::new()
        .route("/", get(pointer))
        .route("/metrics", get(metrics))
        .with_state(page)
}

async fn pointer() -> &'static str {
    concat!("RewindMQ ", env!("CARGO_PKG_VERSION"), ": metrics are at /metrics\n")
}

async fn metrics(State(page): State<MetricsPage>) -> impl IntoResponse {
    ([(CONTENT_TYPE, MetricsPage::CONTENT_TYPE)], page.render())
}

async fn upkeep(page: MetricsPage) -> Infallible {
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

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::metrics::Metrics;
    use crate::types::Timestamp;

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
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        Running {
            address,
            metrics,
            stop,
            server: tokio::spawn(serve(listener, page, shutdown)),
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
        assert!(
            ask(running.address, "GET /")
                .await
                .ends_with(": metrics are at /metrics\n")
        );
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
