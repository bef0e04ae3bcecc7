//! What is kept of a cursor, and its rows. Knows nothing of delivery.

use super::StoreError;
use super::Table;
use super::bytes::{Input, put_bytes, put_positions};
use crate::types::{ChannelId, CursorId, Position, Sequence, Timestamp};

/// Whose position a cursor is (a client's on one filter, or a group's).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CursorOwner {
    /// One client, by its identifier.
    Client(String),
    /// One client of one user: another user whose client has the same identifier has nothing of it.
    User {
        /// The user's name.
        user: String,
        /// The client's identifier.
        client: String,
    },
    /// A group, by its name.
    Group(String),
    /// A shared subscription without a start option, by its group's name.
    Share(String),
}

/// A cursor as it stands on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorRecord {
    /// The store's short name for it.
    pub id: CursorId,
    /// Whose it is.
    pub owner: CursorOwner,
    /// The filter text it belongs to.
    pub filter: String,
    /// Everything up to here is acknowledged or skipped.
    pub floor: Position,
    /// What is acknowledged above the floor, ascending.
    pub acked: Vec<Position>,
    /// The highest position ever sent.
    pub sent: Position,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used.
    pub used: Timestamp,
}

/// Which of the events that were there when a replay subscription was made belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartRule {
    /// All of them, from [`Origin::first`] on.
    Everything,
    /// In each channel those with this sequence or a higher one.
    SinceSequence(Sequence),
    /// In each named channel those from this position on, in other channels none; ascending by channel.
    PerChannel(Vec<(ChannelId, Position)>),
}

/// Where a replay subscription starts: resolved once, at the instant of subscribing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The last position there was at that instant; everything after it is delivered.
    pub taken_at: Position,
    /// Nothing before this position is delivered: where a scan may begin.
    pub first: Position,
    /// What is delivered up to `taken_at`.
    pub rule: StartRule,
}

impl Origin {
    /// Whether the event at `position` belongs to a subscription that starts here.
    pub fn admits(&self, position: Position, channel: ChannelId, sequence: Sequence) -> bool {
        if position > self.taken_at {
            return true;
        }
        position >= self.first
            && match &self.rule {
                StartRule::Everything => true,
                StartRule::SinceSequence(first) => sequence >= *first,
                StartRule::PerChannel(starts) => starts
                    .binary_search_by_key(&channel, |(id, _)| *id)
                    .is_ok_and(|at| position >= starts[at].1),
            }
    }
}

impl CursorRecord {
    /// Appends the row's value; the key is the identifier.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, name) = match &self.owner {
            CursorOwner::Client(name) => (CLIENT, name),
            CursorOwner::User { client, .. } => (USER, client),
            CursorOwner::Group(name) => (GROUP, name),
            CursorOwner::Share(name) => (SHARE, name),
        };
        out.push(kind);
        for number in [self.floor.0, self.sent.0, self.created.0, self.used.0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        put_bytes(out, name.as_bytes());
        if let CursorOwner::User { user, .. } = &self.owner {
            put_bytes(out, user.as_bytes());
        }
        put_bytes(out, self.filter.as_bytes());
        put_positions(out, &self.acked);
    }

    /// Reads a row.
    pub fn decode(id: CursorId, value: &[u8]) -> Result<Self, StoreError> {
        let key = id.0.to_be_bytes();
        let mut input = Input::new(Table::Cursors, &key, value);
        let kind = input.u8()?;
        let floor = Position(input.u64()?);
        let sent = Position(input.u64()?);
        let created = Timestamp(input.u64()?);
        let used = Timestamp(input.u64()?);
        let name = input.text()?.to_owned();
        let owner = match kind {
            CLIENT => CursorOwner::Client(name),
            USER => CursorOwner::User {
                client: name,
                user: input.text()?.to_owned(),
            },
            GROUP => CursorOwner::Group(name),
            SHARE => CursorOwner::Share(name),
            _ => return Err(input.corrupt("unknown owner kind")),
        };
        let filter = input.text()?.to_owned();
        let acked = input.positions()?;
        input.end()?;
        Ok(Self {
            id,
            owner,
            filter,
            floor,
            acked,
            sent,
            created,
            used,
        })
    }
}

impl Origin {
    /// Appends the row's value; the key is the cursor's identifier.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self.rule {
            StartRule::Everything => EVERYTHING,
            StartRule::SinceSequence(_) => SINCE_SEQUENCE,
            StartRule::PerChannel(_) => PER_CHANNEL,
        });
        out.extend_from_slice(&self.taken_at.0.to_be_bytes());
        out.extend_from_slice(&self.first.0.to_be_bytes());
        match &self.rule {
            StartRule::Everything => {}
            StartRule::SinceSequence(first) => out.extend_from_slice(&first.0.to_be_bytes()),
            StartRule::PerChannel(starts) => {
                for (channel, position) in starts {
                    out.extend_from_slice(&channel.0.to_be_bytes());
                    out.extend_from_slice(&position.0.to_be_bytes());
                }
            }
        }
    }

    /// Reads a row.
    pub fn decode(id: CursorId, value: &[u8]) -> Result<Self, StoreError> {
        let key = id.0.to_be_bytes();
        let mut input = Input::new(Table::Origins, &key, value);
        let kind = input.u8()?;
        let taken_at = Position(input.u64()?);
        let first = Position(input.u64()?);
        let rule = match kind {
            EVERYTHING => StartRule::Everything,
            SINCE_SEQUENCE => StartRule::SinceSequence(Sequence(input.u64()?)),
            PER_CHANNEL => {
                let mut starts = Vec::with_capacity(input.rest().len() / 12);
                while !input.rest().is_empty() {
                    starts.push((ChannelId(input.u32()?), Position(input.u64()?)));
                }
                StartRule::PerChannel(starts)
            }
            _ => return Err(input.corrupt("unknown start rule")),
        };
        input.end()?;
        Ok(Self { taken_at, first, rule })
    }
}

const CLIENT: u8 = 1;
const GROUP: u8 = 2;
const SHARE: u8 = 3;
const USER: u8 = 4;
const EVERYTHING: u8 = 1;
const SINCE_SEQUENCE: u8 = 2;
const PER_CHANNEL: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> CursorRecord {
        CursorRecord {
            id: CursorId(7),
            owner: CursorOwner::Group("workers".into()),
            filter: "a/#".into(),
            floor: Position(10),
            acked: vec![Position(12), Position(13), Position(900)],
            sent: Position(901),
            created: Timestamp(5),
            used: Timestamp(6),
        }
    }

    #[test]
    fn a_cursor_comes_back_unchanged() {
        let client = || "c".to_owned();
        let user = "ann".to_owned();
        for owner in [
            CursorOwner::Client(client()),
            CursorOwner::User { user, client: client() },
            CursorOwner::Group("workers".into()),
            CursorOwner::Share("workers".into()),
        ] {
            let record = CursorRecord { owner, ..record() };
            let mut value = Vec::new();
            record.encode(&mut value);
            assert_eq!(CursorRecord::decode(CursorId(7), &value).unwrap(), record);
        }
    }

    #[test]
    fn an_origin_comes_back_unchanged() {
        for rule in [
            StartRule::Everything,
            StartRule::SinceSequence(Sequence(4)),
            StartRule::PerChannel(vec![(ChannelId(1), Position(3)), (ChannelId(9), Position(2))]),
        ] {
            let origin = Origin {
                taken_at: Position(8),
                first: Position(2),
                rule,
            };
            let mut value = Vec::new();
            origin.encode(&mut value);
            assert_eq!(Origin::decode(CursorId(1), &value).unwrap(), origin);
        }
    }

    #[test]
    fn a_short_row_is_damage_and_no_panic() {
        let mut value = Vec::new();
        record().encode(&mut value);
        for length in 0..value.len() {
            assert!(CursorRecord::decode(CursorId(7), &value[..length]).is_err());
        }
    }

    #[test]
    fn everything_after_the_instant_is_admitted() {
        let origin = Origin {
            taken_at: Position(8),
            first: Position(9),
            rule: StartRule::Everything,
        };
        assert!(!origin.admits(Position(8), ChannelId(1), Sequence(1)));
        assert!(origin.admits(Position(9), ChannelId(1), Sequence(2)));
    }

    #[test]
    fn a_channel_the_rule_does_not_name_starts_after_the_instant() {
        let origin = Origin {
            taken_at: Position(8),
            first: Position(3),
            rule: StartRule::PerChannel(vec![(ChannelId(2), Position(5))]),
        };
        assert!(origin.admits(Position(5), ChannelId(2), Sequence(1)));
        assert!(!origin.admits(Position(4), ChannelId(2), Sequence(1)));
        assert!(!origin.admits(Position(6), ChannelId(1), Sequence(1)));
    }
}
