//! What is kept of a durable session's subscription, and its row. Matches nothing.

use super::bytes::{Input, QOS_BITS, put_bytes, put_varint};
use super::keys::parse_subscription_key;
use super::{StoreError, Table};
use crate::types::{Position, QoS, SessionId};

/// How a subscription gets its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionKind {
    /// All that match from now on.
    Live = 1,
    /// Its part of what matches from now on, among the members of a share.
    Share = 2,
    /// Stored events from a start on.
    Replay = 3,
    /// Its part of the stored events of a group.
    Group = 4,
}

/// A subscription as it stands on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// The session it belongs to.
    pub session: SessionId,
    /// Its number in the session.
    pub number: u32,
    /// How it gets its messages.
    pub kind: SubscriptionKind,
    /// The name of the share or group.
    pub group: Option<String>,
    /// The filter text.
    pub filter: String,
    /// The granted QoS.
    pub qos: QoS,
    /// No Local (MQTT 5.0 section 3.8.3.1).
    pub no_local: bool,
    /// Retain As Published (MQTT 5.0 section 3.8.3.1).
    pub retain_as_published: bool,
    /// Subscription Identifier.
    pub id: Option<u32>,
    /// It counts for what lies behind this position.
    pub since: Position,
    /// The text of its selector.
    pub selector: Option<String>,
}

impl SubscriptionRecord {
    /// Appends the row's value; the key is session and number.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        out.push(
            self.qos.bits()
                | if self.no_local { NO_LOCAL } else { 0 }
                | if self.retain_as_published {
                    RETAIN_AS_PUBLISHED
                } else {
                    0
                }
                | if self.group.is_some() { HAS_GROUP } else { 0 }
                | if self.id.is_some() { HAS_ID } else { 0 }
                | if self.selector.is_some() { HAS_SELECTOR } else { 0 },
        );
        put_varint(out, self.since.0);
        if let Some(id) = self.id {
            put_varint(out, u64::from(id));
        }
        if let Some(group) = &self.group {
            put_bytes(out, group.as_bytes());
        }
        put_bytes(out, self.filter.as_bytes());
        if let Some(selector) = &self.selector {
            put_bytes(out, selector.as_bytes());
        }
    }

    /// Reads a row.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let (session, number) = parse_subscription_key(key)?;
        let mut input = Input::new(Table::Subscriptions, key, value);
        let kind = match input.u8()? {
            1 => SubscriptionKind::Live,
            2 => SubscriptionKind::Share,
            3 => SubscriptionKind::Replay,
            4 => SubscriptionKind::Group,
            _ => return Err(input.corrupt("unknown kind of subscription")),
        };
        let (flags, qos) = input.flags(KNOWN_FLAGS)?;
        let since = Position(input.varint()?);
        let id = match flags & HAS_ID {
            0 => None,
            _ => Some(input.varint_u32()?),
        };
        let group = match flags & HAS_GROUP {
            0 => None,
            _ => Some(input.text()?.to_owned()),
        };
        let filter = input.text()?.to_owned();
        let selector = match flags & HAS_SELECTOR {
            0 => None,
            _ => Some(input.text()?.to_owned()),
        };
        input.end()?;
        Ok(Self {
            session,
            number,
            kind,
            group,
            filter,
            qos,
            no_local: flags & NO_LOCAL != 0,
            retain_as_published: flags & RETAIN_AS_PUBLISHED != 0,
            id,
            since,
            selector,
        })
    }
}

const NO_LOCAL: u8 = 1 << 2;
const RETAIN_AS_PUBLISHED: u8 = 1 << 3;
const HAS_GROUP: u8 = 1 << 4;
const HAS_ID: u8 = 1 << 5;
const HAS_SELECTOR: u8 = 1 << 6;
const KNOWN_FLAGS: u8 = QOS_BITS | NO_LOCAL | RETAIN_AS_PUBLISHED | HAS_GROUP | HAS_ID | HAS_SELECTOR;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::message::tests::{assert_no_panic, assert_only_whole};
    use crate::store::subscription_key;

    #[test]
    fn every_shape_of_subscription_comes_back_unchanged_and_only_whole() {
        use SubscriptionKind::{Group, Live, Replay, Share};
        for (kind, group) in [(Live, None), (Share, Some("s")), (Replay, None), (Group, Some(""))] {
            for (flag, id) in [(false, None), (true, Some(1)), (false, Some(u32::MAX))] {
                let record = SubscriptionRecord {
                    session: SessionId(3),
                    number: 400,
                    kind,
                    group: group.map(str::to_owned),
                    filter: "a/+/#".into(),
                    qos: QoS::ExactlyOnce,
                    no_local: flag,
                    retain_as_published: !flag,
                    id,
                    since: Position(1 << 40),
                    selector: flag.then(|| "region = 'eu'".into()),
                };
                let key = subscription_key(record.session, record.number);
                let mut value = Vec::new();
                record.encode(&mut value);
                let decode = |value: &[u8]| SubscriptionRecord::decode(&key, value);
                assert_eq!(decode(&value).unwrap(), record);
                assert_only_whole(&value, decode);
                assert_no_panic(&value, decode);
            }
        }
    }
}
