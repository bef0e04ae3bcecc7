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
    workers: String,
    stopping: bool,
}

/// That it answers is what it says.
pub(super) async fn alive() -> Json {
    Json::ok(&Health { status: "alive" })
}

/// Whether the store takes writes, every listener accepts, every worker answers and the broker is not about to end; 503
/// otherwise.
pub(super) async fn ready(State(site): State<Site>) -> Json {
    let found = site.vitals.examine(PATIENCE).await;
    let stopping = site.broker.is_stopping();
    let ready = found.is_well() && !stopping;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Json::with_status(
        status,
        &Readiness {
            ready,
            store: found.store,
            listeners: found.listeners,
            workers: found.workers,
            stopping,
        },
    )
}

/// How long each part may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
