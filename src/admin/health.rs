//! Whether the broker lives, and whether it can do its work.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Site;
use super::answer::Json;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    store: String,
    listeners: String,
    stopping: bool,
}

/// That it answers is what it says.
pub(super) async fn alive() -> Json {
    Json::ok(&Health { status: "alive" })
}

/// Whether the store takes writes, every listener accepts and the broker is not about to end; 503 otherwise.
pub(super) async fn ready(State(site): State<Site>) -> Json {
    let store = match tokio::time::timeout(PATIENCE, site.broker.check_store()).await {
        Ok(Ok(())) => "ok".to_owned(),
        Ok(Err(fault)) => fault,
        Err(_) => format!("no commit within {} s", PATIENCE.as_secs()),
    };
    let down: Vec<String> = site
        .listeners
        .iter()
        .filter(|listener| listener.task.is_finished())
        .map(|listener| listener.address.clone())
        .collect();
    let listeners = match &down[..] {
        [] => "ok".to_owned(),
        down => format!("not accepting: {}", down.join(", ")),
    };
    let stopping = site.broker.is_stopping();
    let ready = store == "ok" && down.is_empty() && !stopping;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Json::with_status(
        status,
        &Readiness {
            ready,
            store,
            listeners,
            stopping,
        },
    )
}

/// How long the log may take to come to the question.
const PATIENCE: Duration = Duration::from_secs(2);
