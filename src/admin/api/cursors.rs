//! Cursors of clients and groups.

use axum::extract::State;
use serde::Deserialize;

use super::{Listing, aside, done};
use crate::admin::answer::{Answer, Json, Problem};
use crate::admin::query::{JsonBody, PathPart, Query, cursor};
use crate::admin::site::Site;
use crate::broker::manage::{CursorFilter, Lags};
use crate::cursor::Start;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Reset {
    to: String,
}

impl Reset {
    pub(super) fn start(&self) -> Result<Start, Problem> {
        Start::parse(&self.to).map_err(|fault| Problem::invalid(format!("to: {fault}")))
    }
}

pub(super) async fn list(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["limit", "cursor", "kind", "owner", "sort"])?;
    let kind = query.text("kind").map(str::to_owned);
    if kind
        .as_deref()
        .is_some_and(|kind| !["client", "group", "share"].contains(&kind))
    {
        return Err(Problem::invalid("parameter kind: expected client, group or share"));
    }
    let filter = CursorFilter {
        after: query.number_cursor()?.unwrap_or(0),
        kind,
        owner: query.text("owner").map(str::to_owned),
    };
    if let Some(limit) = query.worst("lag")? {
        let items = aside(move || site.broker.most_behind(&filter, limit)).await?;
        return Ok(Json::ok(&Listing { items, next: None }));
    }
    let limit = query.limit()?;
    let (items, more) = aside(move || site.broker.cursors(&filter, limit)).await?;
    let last = items.last().filter(|_| more);
    let next = last.map(|last| cursor(&[&last.id.to_string()]));
    Ok(Json::ok(&Listing { items, next }))
}

pub(super) async fn lag(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["limit"])?;
    let mut lags = Lags::clone(&site.broker.lags());
    lags.furthest.truncate(query.limit()?);
    Ok(Json::ok(&lags))
}

pub(super) async fn show(State(site): State<Site>, PathPart(id): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    let id = number(&id)?;
    let view = aside(move || site.broker.cursor(id)).await??;
    Ok(Json::ok(&view))
}

pub(super) async fn delete(State(site): State<Site>, PathPart(id): PathPart, query: Query) -> Answer {
    query.only(&[])?;
    site.broker.delete_cursor(number(&id)?).await?;
    done("the cursor is gone")
}

pub(super) async fn reset(
    State(site): State<Site>,
    PathPart(id): PathPart,
    query: Query,
    JsonBody(body): JsonBody<Reset>,
) -> Answer {
    query.only(&[])?;
    let start = body.start()?;
    Ok(Json::ok(&site.broker.reset_cursor(number(&id)?, start).await?))
}

fn number(id: &str) -> Result<u64, Problem> {
    id.parse()
        .map_err(|_| Problem::invalid(format!("a cursor is named by its number, not {id:?}")))
}
