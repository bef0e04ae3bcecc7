//! Channels of stored events.

use axum::extract::State;
use serde::Deserialize;

use super::{Listing, aside, done};
use crate::admin::answer::{Answer, Json, Problem};
use crate::admin::query::{JsonBody, PathPart, Query, cursor};
use crate::admin::site::Site;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Purge {
    through: Option<u64>,
}

pub(super) async fn list(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["limit", "cursor", "filter", "empty"])?;
    let filter = query.filter("filter")?;
    let from = query.number_cursor::<u32>()?.unwrap_or(1);
    let (limit, with_empty) = (query.limit()?, query.flag("empty")?.unwrap_or(false));
    let found = aside(move || site.broker.channels(filter.as_ref(), from, limit, with_empty)).await?;
    let next = found.next.map(|next| cursor(&[&next.to_string()]));
    Ok(Json::ok(&Listing {
        items: found.found,
        next,
    }))
}

pub(super) async fn show(State(site): State<Site>, PathPart(topic): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    let details = aside(move || site.broker.channel(&topic)).await??;
    Ok(Json::ok(&details))
}

pub(super) async fn purge(
    State(site): State<Site>,
    PathPart(topic): PathPart,
    query: Query,
    JsonBody(body): JsonBody<Purge>,
) -> Answer {
    query.only(&[])?;
    if body.through == Some(0) {
        return Err(Problem::invalid("through: sequences begin at 1"));
    }
    Ok(Json::ok(&site.broker.purge(&topic, body.through).await?))
}

/// Its events and its retained message; the next sequence stays known, so that none is used twice.
pub(super) async fn delete(State(site): State<Site>, PathPart(topic): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    site.broker.purge(&topic, None).await?;
    if site.broker.retained_message(&topic).is_ok() {
        site.broker.clear_retained(&topic).await?;
    }
    done("the channel is empty")
}
