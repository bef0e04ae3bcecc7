//! Durable sessions with what belongs to them, retained messages, wills.

use super::first::First;
use super::report::{Retained, RetainedReport, SessionReport, Sessions, WillReport, Wills};
use super::rows::Walk;
use crate::store::{
    PlaceRecord, SessionRecord, Snapshot, StoreError, SubscriptionRecord, Table, Visit, WillRecord, decode_retained,
    session_key,
};
use crate::types::{Position, rfc3339};

/// Looks at every session, and closely at those that are furthest behind.
pub(super) fn look(walk: &mut Walk<'_>, last: Position) -> Result<Sessions, StoreError> {
    let mut found = Sessions::default();
    let mut behind = First::new(walk.limit);
    walk.rows(Table::Sessions, &[], &mut |snapshot, key, value| {
        found.count += 1;
        let record = SessionRecord::decode(key, value)?;
        found.absent += u64::from(record.disconnected.is_some());
        let place = place(snapshot, key)?;
        let report = report(&record, place, last);
        behind.push(report.lag, (record, report));
        Ok(Visit::More)
    })?;
    for (record, mut report) in behind.into_vec() {
        add_subscriptions(walk, &record, &mut report)?;
        report.received = count(walk, Table::Received, &session_key(record.id))?;
        found.furthest_behind.push(report);
    }
    Ok(found)
}

/// Looks at every retained message.
pub(super) fn retained(walk: &mut Walk<'_>) -> Result<Retained, StoreError> {
    let mut found = Retained::default();
    let mut largest = First::new(walk.limit);
    walk.rows(Table::Retained, &[], &mut |_, key, value| {
        found.count += 1;
        let message = decode_retained(key, value)?;
        let bytes = message.size() as u64;
        found.bytes += bytes;
        largest.push(
            bytes,
            RetainedReport {
                topic: message.topic().to_owned(),
                bytes,
                received: rfc3339(message.received()),
            },
        );
        Ok(Visit::More)
    })?;
    found.largest = largest.into_vec();
    Ok(found)
}

/// Looks at every will.
pub(super) fn wills(walk: &mut Walk<'_>) -> Result<Wills, StoreError> {
    let mut found = Wills::default();
    let limit = walk.limit;
    walk.rows(Table::Wills, &[], &mut |snapshot, key, value| {
        found.count += 1;
        let record = WillRecord::decode(key, value)?;
        if found.first.len() < limit {
            let session = snapshot.value(Table::Sessions, key)?;
            let session = session.map(|value| SessionRecord::decode(key, value)).transpose()?;
            found.first.push(WillReport {
                client: session.map(|session| session.client_id),
                topic: record.message.topic().to_owned(),
                delay_secs: record.delay_secs,
                bytes: record.message.size() as u64,
            });
        }
        Ok(Visit::More)
    })?;
    Ok(found)
}

fn place(snapshot: &dyn Snapshot, key: &[u8]) -> Result<Option<PlaceRecord>, StoreError> {
    let value = snapshot.value(Table::Places, key)?;
    value.map(|value| PlaceRecord::decode(key, value)).transpose()
}

fn report(record: &SessionRecord, place: Option<PlaceRecord>, last: Position) -> SessionReport {
    let floor = place.as_ref().map(|place| place.floor);
    SessionReport {
        client: record.client_id.clone(),
        expiry_secs: Some(record.expiry_secs).filter(|secs| *secs != u32::MAX),
        created: rfc3339(record.created),
        absent_since: record.disconnected.map(rfc3339),
        subscriptions: 0,
        filters: Vec::new(),
        floor: floor.map(|floor| floor.0),
        lag: floor.map_or(0, |floor| last.0.saturating_sub(floor.0)),
        in_flight: place.map_or(0, |place| place.in_flight.len()),
        received: 0,
    }
}

fn add_subscriptions(
    walk: &mut Walk<'_>,
    record: &SessionRecord,
    report: &mut SessionReport,
) -> Result<(), StoreError> {
    let prefix = session_key(record.id);
    walk.rows(Table::Subscriptions, &prefix, &mut |_, key, value| {
        if !key.starts_with(&prefix) {
            return Ok(Visit::Enough);
        }
        report.subscriptions += 1;
        if report.filters.len() < MOST_FILTERS {
            report.filters.push(SubscriptionRecord::decode(key, value)?.filter);
        }
        Ok(Visit::More)
    })
}

fn count(walk: &mut Walk<'_>, table: Table, prefix: &[u8]) -> Result<u64, StoreError> {
    let mut count = 0;
    walk.rows(table, prefix, &mut |_, key, _| {
        if !key.starts_with(prefix) {
            return Ok(Visit::Enough);
        }
        count += 1;
        Ok(Visit::More)
    })?;
    Ok(count)
}

/// How many filters of one session are told.
const MOST_FILTERS: usize = 10;
