//! `/api/v1`: which path does what. The document beside it, `openapi.json`, says the same to programs.

mod about;
mod channels;
mod clients;
mod cursors;
mod groups;
mod messages;
mod retained;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, delete, get, post};

pub(super) use messages::{MessageView, body_of, qos_of};

use super::answer::{Answer, Problem};
use super::guard::guard;
use super::receive;
use super::site::Site;

/// All paths of the API, behind the guard.
pub(super) fn routes(site: &Site) -> Router<Site> {
    let mut router = Router::new();
    for (path, methods, allowed) in table() {
        let refused = move || async move { Problem::method_not_allowed(allowed) };
        router = router.route(path, methods.fallback(refused));
    }
    router
        .fallback(unknown)
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(site.clone(), guard))
}

/// Each path with what it takes; a test compares it with the document.
fn table() -> Vec<(&'static str, MethodRouter<Site>, &'static str)> {
    vec![
        ("/openapi.json", get(document), "GET"),
        ("/broker", get(about::broker), "GET"),
        ("/listeners", get(about::listeners), "GET"),
        ("/config", get(about::config), "GET"),
        (
            "/log-level",
            get(about::log_level).put(about::set_log_level),
            "GET, PUT",
        ),
        ("/clients", get(clients::list), "GET"),
        (
            "/clients/{client_id}",
            get(clients::show).delete(clients::kick),
            "GET, DELETE",
        ),
        ("/clients/{client_id}/why", get(clients::why), "GET"),
        ("/subscriptions", get(clients::subscriptions), "GET"),
        ("/sessions", get(clients::sessions), "GET"),
        (
            "/sessions/{client_id}",
            get(clients::session).delete(clients::delete_session),
            "GET, DELETE",
        ),
        ("/channels", get(channels::list), "GET"),
        (
            "/channels/{topic}",
            get(channels::show).delete(channels::delete),
            "GET, DELETE",
        ),
        ("/channels/{topic}/purge", post(channels::purge), "POST"),
        ("/lag", get(cursors::lag), "GET"),
        ("/cursors", get(cursors::list), "GET"),
        (
            "/cursors/{id}",
            get(cursors::show).delete(cursors::delete),
            "GET, DELETE",
        ),
        ("/cursors/{id}/reset", post(cursors::reset), "POST"),
        ("/groups", get(groups::list), "GET"),
        (
            "/groups/{group}/{filter}",
            get(groups::show).delete(groups::delete),
            "GET, DELETE",
        ),
        ("/groups/{group}/{filter}/reset", post(groups::reset), "POST"),
        (
            "/retained",
            get(retained::list).delete(retained::clear_all),
            "GET, DELETE",
        ),
        (
            "/retained/{topic}",
            get(retained::show).delete(retained::clear),
            "GET, DELETE",
        ),
        ("/publish", post(messages::publish), "POST"),
        ("/receive", post(receive::receive), "POST"),
        (
            "/receive/{token}",
            delete(receive::release).post(receive::acknowledge),
            "POST, DELETE",
        ),
    ]
}

/// What the API is, for programs.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}

async fn unknown(uri: Uri) -> Problem {
    Problem::not_found(format!("the API has no path {}", uri.path()))
        .hint("its paths are in /api/v1/openapi.json; / in a name is written %2F")
}

/// Work that takes a while, beside the other requests.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::unavailable("the broker could not carry it out; its log says why"))
}

/// The answer to something that was done and has nothing to show.
fn done(what: &'static str) -> Answer {
    Ok(super::answer::Json::ok(&Done { done: what }))
}

#[derive(serde::Serialize)]
struct Done {
    done: &'static str,
}

/// One page of a list.
#[derive(serde::Serialize)]
struct Listing<T> {
    items: Vec<T>,
    /// The parameter `cursor` of the next page, if there is one.
    next: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_has_every_path_and_method_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let mut written = BTreeSet::new();
        for (path, operations) in paths {
            for method in operations.as_object().expect("operations").keys() {
                written.insert((path.clone(), method.to_uppercase()));
            }
        }
        let mut served = BTreeSet::new();
        for (path, _, methods) in table() {
            for method in methods.split(", ") {
                served.insert((path.to_owned(), method.to_owned()));
            }
        }
        assert_eq!(written, served);
    }
}
