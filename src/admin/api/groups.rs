//! Groups: shared subscriptions with their members and cursors.

use axum::extract::State;

use super::cursors::Reset;
use super::{Listing, aside, done};
use crate::admin::answer::{Answer, Json, Problem};
use crate::admin::query::{JsonBody, PathParts, Query, cursor, wrong_cursor};
use crate::admin::site::Site;
use crate::broker::manage::GroupView;

pub(super) async fn list(State(site): State<Site>, query: Query) -> Answer {
    query.only(&["limit", "cursor"])?;
    let after = match query.cursor()? {
        None => None,
        Some(parts) => match <[String; 3]>::try_from(parts) {
            Ok([name, filter, kind]) => Some((name, filter, kind)),
            Err(_) => return Err(wrong_cursor()),
        },
    };
    let limit = query.limit()?;
    let (items, more) = aside(move || site.broker.groups(after.as_ref(), limit)).await?;
    let last = items.last().filter(|_| more);
    let next = last.map(|last| cursor(&[&last.group, &last.filter, last.kind]));
    Ok(Json::ok(&Listing { items, next }))
}

pub(super) async fn show(State(site): State<Site>, path: PathParts, query: Query) -> Answer {
    query.only(&[])?;
    Ok(Json::ok(&find(&site, path).await?))
}

pub(super) async fn delete(State(site): State<Site>, path: PathParts, query: Query) -> Answer {
    query.only(&[])?;
    let cursor = cursor_of(find(&site, path).await?)?;
    site.broker.delete_cursor(cursor).await?;
    done("the group's cursor is gone")
}

pub(super) async fn reset(
    State(site): State<Site>,
    path: PathParts,
    query: Query,
    JsonBody(body): JsonBody<Reset>,
) -> Answer {
    query.only(&[])?;
    let start = body.start()?;
    let cursor = cursor_of(find(&site, path).await?)?;
    Ok(Json::ok(&site.broker.reset_cursor(cursor, start).await?))
}

async fn find(site: &Site, PathParts(group, filter): PathParts) -> Result<GroupView, Problem> {
    let broker = site.broker.clone();
    Ok(aside(move || broker.group(&group, &filter)).await??)
}

fn cursor_of(group: GroupView) -> Result<u64, Problem> {
    let cursor = group.cursor.map(|cursor| cursor.id);
    cursor.ok_or_else(|| {
        Problem::conflict("this group lives in memory alone and has no cursor")
            .hint("a group has a cursor if its members subscribe with a start option, or with durable sessions")
    })
}
