//! Clients, their subscriptions and their sessions.

use axum::extract::State;
use serde::Serialize;

use super::{Listing, aside, done};
use crate::admin::answer::{Answer, Json, Problem};
use crate::admin::query::{PathPart, Query, cursor, wrong_cursor};
use crate::admin::site::Site;
use crate::broker::manage::{ClientFilter, ClientSummary, SubscriptionView};

pub(super) async fn list(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["limit", "cursor", "prefix", "connected", "sort"])?;
    let filter = ClientFilter {
        after: query.text_cursor()?,
        prefix: query.text("prefix").unwrap_or_default().to_owned(),
        connected: query.flag("connected")?,
        durable: None,
    };
    let Some(limit) = query.worst("waiting")? else {
        return page(site, filter, query.limit()?).await;
    };
    let items = aside(move || site.broker.clients_by_waiting(&filter, limit)).await?;
    Ok(Json::ok(&Listing { items, next: None }))
}

pub(super) async fn sessions(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["limit", "cursor", "prefix", "connected"])?;
    let filter = ClientFilter {
        after: query.text_cursor()?,
        prefix: query.text("prefix").unwrap_or_default().to_owned(),
        connected: query.flag("connected")?,
        durable: Some(true),
    };
    page(site, filter, query.limit()?).await
}

async fn page(site: Site, filter: ClientFilter, limit: usize) -> Answer {
    let (items, more) = aside(move || site.broker.clients(&filter, limit)).await?;
    let next = next_of(&items, more);
    Ok(Json::ok(&Listing { items, next }))
}

fn next_of(items: &[ClientSummary], more: bool) -> Option<String> {
    items.last().filter(|_| more).map(|last| cursor(&[&last.client_id]))
}

pub(super) async fn show(State(site): State<Site>, PathPart(client_id): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    Ok(Json::ok(&site.broker.client(&client_id).await?))
}

/// Whether a message of a topic reaches it.
pub(super) async fn why(State(site): State<Site>, PathPart(client_id): PathPart, query: Query) -> Answer {
    query.only(&["topic"])?;
    let topic = query.text("topic").ok_or_else(|| {
        Problem::invalid("parameter topic: it is needed").hint("topic=orders%2F42 asks for messages of orders/42")
    })?;
    Ok(Json::ok(&site.broker.why(&client_id, topic).await?))
}

pub(super) async fn kick(State(site): State<Site>, PathPart(client_id): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    site.broker.kick(&client_id)?;
    done("the client is disconnected")
}

pub(super) async fn session(State(site): State<Site>, PathPart(client_id): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    Ok(Json::ok(&site.broker.session(&client_id).await?))
}

pub(super) async fn delete_session(State(site): State<Site>, PathPart(client_id): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    site.broker.delete_session(&client_id).await?;
    done("the session is over")
}

#[derive(Serialize)]
struct Subscriber {
    client_id: String,
    connected: bool,
    #[serde(flatten)]
    subscription: SubscriptionView,
}

/// Client by client; a page may end within the subscriptions of one.
pub(super) async fn subscriptions(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["limit", "cursor", "client_id", "filter", "matches"])?;
    let limit = query.limit()?;
    let wanted = query.text("filter");
    let topic = query.text("matches");
    let (mut skip, mut from) = (0, query.text("client_id").map(str::to_owned));
    let mut after = None;
    if let Some(parts) = query.cursor()? {
        let [client_id, seen] = &parts[..] else {
            return Err(wrong_cursor());
        };
        skip = seen.parse().map_err(|_| wrong_cursor())?;
        from = Some(client_id.clone());
    }
    let only_one = query.text("client_id").is_some();
    let mut items = Vec::new();
    for _ in 0..MOST_ASKED {
        let client_id = match from.take() {
            Some(client_id) => client_id,
            None => {
                let filter = ClientFilter {
                    after: after.clone(),
                    ..ClientFilter::default()
                };
                let broker = site.broker.clone();
                let (mut found, _) = aside(move || broker.clients(&filter, 1)).await?;
                match found.pop() {
                    Some(found) => found.client_id,
                    None => return Ok(Json::ok(&Listing { items, next: None })),
                }
            }
        };
        // One that is gone by now has none; one that does not answer is passed over.
        if let Ok(details) = site.broker.client(&client_id).await {
            for (at, subscription) in details.subscriptions.into_iter().enumerate().skip(skip) {
                if items.len() == limit {
                    let next = Some(cursor(&[&client_id, &at.to_string()]));
                    return Ok(Json::ok(&Listing { items, next }));
                }
                let selected = wanted.is_none_or(|wanted| wanted == subscription.filter)
                    && topic.is_none_or(|topic| crate::topic::plain_matches(&subscription.filter, topic));
                if selected {
                    items.push(Subscriber {
                        client_id: client_id.clone(),
                        connected: details.summary.connected,
                        subscription,
                    });
                }
            }
        }
        if only_one {
            return Ok(Json::ok(&Listing { items, next: None }));
        }
        skip = 0;
        after = Some(client_id);
    }
    let next = after.map(|after| cursor(&[&after, &usize::MAX.to_string()]));
    Ok(Json::ok(&Listing { items, next }))
}

/// Clients that one request asks.
const MOST_ASKED: usize = 1_000;
