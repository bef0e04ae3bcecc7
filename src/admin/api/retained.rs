//! Retained messages.

use axum::extract::State;
use serde::Serialize;

use super::messages::{MessageView, body_of};
use super::{Listing, aside, done};
use crate::admin::answer::{Answer, Json, Problem};
use crate::admin::query::{PathPart, Query, cursor, read_filter};
use crate::admin::site::Site;
use crate::broker::manage::RetainedView;

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    listed: RetainedView,
    #[serde(flatten)]
    message: MessageView,
}

#[derive(Serialize)]
struct Cleared {
    cleared: usize,
    more: bool,
}

pub(super) async fn list(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["limit", "cursor", "filter"])?;
    let filter = query.filter("filter")?.map_or_else(|| read_filter("filter", "#"), Ok)?;
    let (after, limit) = (query.text_cursor()?, query.limit()?);
    let (items, more) = aside(move || {
        let (found, more) = site.broker.retained_messages(&filter, after.as_deref(), limit);
        let views = found.iter().map(|message| site.broker.retained_view(message));
        (views.collect::<Vec<_>>(), more)
    })
    .await?;
    let next = items.last().filter(|_| more).map(|last| cursor(&[&last.topic]));
    Ok(Json::ok(&Listing { items, next }))
}

pub(super) async fn show(State(site): State<Site>, PathPart(topic): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    let message = site.broker.retained_message(&topic)?;
    Ok(Json::ok(&Shown {
        listed: site.broker.retained_view(&message),
        message: body_of(message.properties(), message.payload()),
    }))
}

pub(super) async fn clear(State(site): State<Site>, PathPart(topic): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    site.broker.retained_message(&topic)?;
    site.broker.clear_retained(&topic).await?;
    done("the retained message is gone")
}

pub(super) async fn clear_all(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["filter"])?;
    let filter = query.filter("filter")?;
    let filter = filter.ok_or_else(|| {
        Problem::invalid("parameter filter: it is needed, so that nothing is cleared by mistake")
            .hint("filter=%23 clears all")
    })?;
    let broker = site.broker.clone();
    let (found, more) = aside(move || broker.retained_messages(&filter, None, MOST_CLEARED)).await?;
    for message in &found {
        site.broker.clear_retained(message.topic()).await?;
    }
    Ok(Json::ok(&Cleared {
        cleared: found.len(),
        more,
    }))
}

/// Retained messages that one request clears.
const MOST_CLEARED: usize = 1_000;
