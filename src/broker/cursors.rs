//! The table of all cursors, and their way to disk. Knows where each stands, not who reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ahash::AHashMap;

use super::manage::Page;
use crate::auth::Identity;
use crate::config;
use crate::log::{Command, CursorOwner, CursorRecord, Origin, StartRule};
use crate::topic::{TopicFilter, Trie};
use crate::types::{ClientId, CursorId, Position, Timestamp};

/// Something that moves a cursor: a replay subscription or a group.
pub trait CursorHolder: Send + Sync {
    /// Where the cursor stands, if it moved since the last call.
    fn moved(&self) -> Option<CursorRecord>;

    /// Where the cursor stands.
    fn place(&self) -> CursorRecord;

    /// Whether the event at a position is still to be read from the log.
    fn will_read(&self, position: Position) -> bool;
}

/// What names a cursor (one per client and filter, one per group and filter).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CursorKey {
    /// Whose it is.
    pub owner: CursorOwner,
    /// The filter text.
    pub filter: String,
}

impl CursorKey {
    /// The cursor of a client, which is its user's where it has one.
    pub fn client(client_id: &ClientId, user: Option<&Identity>, filter: &TopicFilter) -> Self {
        let client = client_id.as_str().to_owned();
        let owner = match user {
            None => CursorOwner::Client(client),
            Some(user) => CursorOwner::User {
                user: user.as_str().to_owned(),
                client,
            },
        };
        Self {
            owner,
            filter: filter.as_str().to_owned(),
        }
    }

    /// The cursor of a shared subscription without a start option.
    pub fn share(group: &str, filter: &TopicFilter) -> Self {
        Self {
            owner: CursorOwner::Share(group.to_owned()),
            filter: filter.as_str().to_owned(),
        }
    }

    /// The cursor of a group.
    pub fn group(group: &str, filter: &TopicFilter) -> Self {
        Self {
            owner: CursorOwner::Group(group.to_owned()),
            filter: filter.as_str().to_owned(),
        }
    }
}

/// A cursor as it was saved last.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Where it stands.
    pub record: CursorRecord,
    /// What it was to deliver when it was made.
    pub origin: Arc<Origin>,
}

impl Saved {
    /// The cursor as it stands now.
    pub fn record_at(&self, floor: Position, acked: Vec<Position>, sent: Position) -> CursorRecord {
        CursorRecord {
            floor,
            acked,
            sent,
            ..self.record.clone()
        }
    }
}

struct Entry {
    saved: Saved,
    in_use: bool,
    holder: Option<Weak<dyn CursorHolder>>,
}

/// The bounds of the table; `None` is no bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct CursorLimits {
    /// Cursors in all.
    pub max: Option<u64>,
    /// Cursors of one client, or of one group.
    pub max_per_owner: Option<u64>,
    /// How long a cursor may be unused.
    pub expiry: Option<Duration>,
}

impl CursorLimits {
    /// Those of a configuration.
    pub fn new(config: &config::Store) -> Self {
        Self {
            max: config.max_cursors,
            max_per_owner: config.max_cursors_per_client,
            expiry: config.cursor_expiry,
        }
    }
}

/// All cursors.
pub struct CursorTable {
    inner: Mutex<Inner>,
    moved: Mutex<Vec<Arc<dyn CursorHolder>>>,
}

#[derive(Default)]
struct Inner {
    limits: CursorLimits,
    entries: AHashMap<CursorKey, Entry>,
    by_filter: Trie<CursorId, CursorKey>,
    owners: AHashMap<CursorOwner, u64>,
    last_id: u64,
    next_expire: Timestamp,
}

impl CursorTable {
    /// The table as the log recovered it.
    pub fn new(limits: CursorLimits, recovered: Vec<(CursorRecord, Option<Origin>)>) -> Self {
        let mut inner = Inner {
            limits,
            ..Inner::default()
        };
        for (record, origin) in recovered {
            inner.last_id = inner.last_id.max(record.id.0);
            let key = CursorKey {
                owner: record.owner.clone(),
                filter: record.filter.clone(),
            };
            let origin = origin.unwrap_or_else(|| unrestricted(record.floor));
            inner.insert(
                key,
                Entry {
                    saved: Saved {
                        record,
                        origin: Arc::new(origin),
                    },
                    in_use: false,
                    holder: None,
                },
            );
        }
        Self {
            inner: Mutex::new(inner),
            moved: Mutex::default(),
        }
    }

    /// Replaces the bounds. Cursors beyond them stay until they expire.
    pub fn set_limits(&self, limits: CursorLimits) {
        let mut inner = self.lock();
        inner.limits = limits;
        inner.next_expire = Timestamp::default();
    }

    /// Takes a saved cursor into use.
    pub fn take(&self, key: &CursorKey, now: Timestamp) -> Option<Saved> {
        let mut inner = self.lock();
        let entry = inner.entries.get_mut(key)?;
        entry.in_use = true;
        entry.saved.record.used = now;
        Some(entry.saved.clone())
    }

    /// Whether the cursor is there, or one more of its owner fits.
    pub fn has_room(&self, key: &CursorKey) -> bool {
        let inner = self.lock();
        if inner.entries.contains_key(key) {
            return true;
        }
        let of_owner = inner.owners.get(&key.owner).copied().unwrap_or(0);
        below(inner.entries.len() as u64, inner.limits.max) && below(of_owner, inner.limits.max_per_owner)
    }

    /// Adds a new cursor, in use; the commands, in this order, make it durable.
    pub fn create(&self, key: CursorKey, origin: Origin, now: Timestamp) -> (Saved, [Command; 2]) {
        let mut inner = self.lock();
        inner.last_id += 1;
        let record = CursorRecord {
            id: CursorId(inner.last_id),
            owner: key.owner.clone(),
            filter: key.filter.clone(),
            floor: Position(origin.first.0.saturating_sub(1)),
            acked: Vec::new(),
            sent: Position(0),
            created: now,
            used: now,
        };
        let commands = [
            Command::SaveCursorOrigin(record.id, Box::new(origin.clone())),
            Command::SaveCursor(Box::new(record.clone())),
        ];
        tell("cursor created", &key, record.id, None);
        let saved = Saved {
            record,
            origin: Arc::new(origin),
        };
        inner.insert(
            key,
            Entry {
                saved: saved.clone(),
                in_use: true,
                holder: None,
            },
        );
        (saved, commands)
    }

    /// Removes a cursor; the command makes that durable.
    pub fn remove(&self, key: &CursorKey) -> Option<Command> {
        let mut inner = self.lock();
        inner
            .remove(key, "its subscription ended, or began anew")
            .map(|entry| Command::DeleteCursor(entry.saved.record.id))
    }

    /// The reader is gone; the cursor stays where `record` says.
    pub fn put_back(&self, key: &CursorKey, mut record: CursorRecord, now: Timestamp) -> Option<Command> {
        record.used = now;
        let mut inner = self.lock();
        let entry = inner
            .entries
            .get_mut(key)
            .filter(|entry| entry.saved.record.id == record.id)?;
        entry.in_use = false;
        entry.holder = None;
        entry.saved.record = record.clone();
        Some(Command::SaveCursor(Box::new(record)))
    }

    /// From now on `holder` moves the cursor.
    pub fn hold(&self, key: &CursorKey, holder: Weak<dyn CursorHolder>) {
        if let Some(entry) = self.lock().entries.get_mut(key) {
            entry.holder = Some(holder);
        }
    }

    /// How many of the events at these positions of a topic, now removed, some cursor was still to read.
    pub fn count_lost(&self, topic: &str, positions: &[Position]) -> u64 {
        let inner = self.lock();
        let mut lost = 0;
        inner.by_filter.visit(topic, |_, key| {
            if let Some(entry) = inner.entries.get(key) {
                lost += positions.iter().filter(|position| entry.will_read(**position)).count() as u64;
            }
        });
        lost
    }

    /// A cursor moved; it is saved with the next `flush`.
    pub fn note_moved(&self, holder: Arc<dyn CursorHolder>) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).push(holder);
    }

    /// The commands that save what moved, handed to `submit` while no cursor can be removed.
    pub fn flush(&self, now: Timestamp, submit: impl FnOnce(Vec<Command>)) {
        let holders = std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner));
        let moved: Vec<CursorRecord> = holders.iter().filter_map(|holder| holder.moved()).collect();
        if moved.is_empty() {
            return;
        }
        let mut inner = self.lock();
        let commands = moved
            .into_iter()
            .filter_map(|record| inner.update(record, now))
            .collect();
        submit(commands);
    }

    /// The command that saves one cursor, if it moved since it was saved last.
    pub fn save(&self, holder: &dyn CursorHolder, now: Timestamp) -> Option<Command> {
        let record = holder.moved()?;
        self.lock().update(record, now)
    }

    /// Removes the cursors that nobody used for too long, and notes which are in use. Looks at all cursors, so it does
    /// that only when a good part of the expiry has passed.
    pub fn expire(&self, now: Timestamp) -> Vec<Command> {
        let mut inner = self.lock();
        let Some(expiry) = inner.limits.expiry else {
            return Vec::new();
        };
        if now < inner.next_expire {
            return Vec::new();
        }
        inner.next_expire = now.saturating_add((expiry / 16).min(EXPIRE_INTERVAL));
        let mut commands = inner.note_used(now, now.saturating_sub(expiry / 8));
        let before = now.saturating_sub(expiry);
        let unused = |entry: &Entry| !entry.in_use && entry.saved.record.used < before;
        let keys: Vec<CursorKey> = inner
            .entries
            .iter()
            .filter(|(_, entry)| unused(entry))
            .map(|(key, _)| key.clone())
            .collect();
        let removed = keys
            .iter()
            .filter_map(|key| inner.remove(key, "nobody used it for store.cursor_expiry"));
        commands.extend(removed.map(|entry| Command::DeleteCursor(entry.saved.record.id)));
        commands
    }

    /// Removes the cursors of shared subscriptions that nobody took into use after a restart: no member is left.
    pub fn remove_unused_shares(&self) -> Vec<Command> {
        let mut inner = self.lock();
        let is_share = |key: &CursorKey| matches!(key.owner, CursorOwner::Share(_));
        let keys: Vec<CursorKey> = inner
            .entries
            .iter()
            .filter(|(key, entry)| is_share(key) && !entry.in_use)
            .map(|(key, _)| key.clone())
            .collect();
        let removed = keys.iter().filter_map(|key| inner.remove(key, "no member is left"));
        removed
            .map(|entry| Command::DeleteCursor(entry.saved.record.id))
            .collect()
    }

    /// The cursors that are wanted, by number, behind `after`, at most `most`; and whether there are more.
    pub fn list(&self, after: CursorId, most: usize, wants: &dyn Fn(&CursorKey) -> bool) -> (Vec<Listed>, bool) {
        let mut page: Page<CursorId, Listed> = Page::new(most);
        for (key, entry) in &self.lock().entries {
            let id = entry.saved.record.id;
            if id > after && wants(key) && page.wants(&id) {
                page.put(id, entry.listed(key));
            }
        }
        let (found, more) = page.finish();
        (found.into_iter().map(|(_, listed)| listed).collect(), more)
    }

    /// A cursor by its number.
    pub fn by_id(&self, id: CursorId) -> Option<Listed> {
        let inner = self.lock();
        let mut entries = inner.entries.iter();
        let (key, entry) = entries.find(|(_, entry)| entry.saved.record.id == id)?;
        Some(entry.listed(key))
    }

    /// A cursor by its name.
    pub fn find(&self, key: &CursorKey) -> Option<Listed> {
        self.lock().entries.get(key).map(|entry| entry.listed(key))
    }

    /// Removes a cursor, unless somebody uses it; the command makes that durable.
    pub fn remove_unused(&self, key: &CursorKey) -> Option<Command> {
        let mut inner = self.lock();
        inner.entries.get(key).filter(|entry| !entry.in_use)?;
        inner
            .remove(key, "by an administrator")
            .map(|entry| Command::DeleteCursor(entry.saved.record.id))
    }

    /// How many cursors there are.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cursor as it stands now.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What names it.
    pub key: CursorKey,
    /// Where it stands.
    pub record: CursorRecord,
    /// What it was to deliver when it was made.
    pub origin: Arc<Origin>,
    /// Whether a session uses it.
    pub in_use: bool,
}

impl Entry {
    fn listed(&self, key: &CursorKey) -> Listed {
        let holder = self.holder.as_ref().and_then(Weak::upgrade);
        let saved = &self.saved.record;
        // The last use is known here alone.
        let record = holder.map_or_else(|| saved.clone(), |holder| holder.place());
        Listed {
            key: key.clone(),
            record: CursorRecord {
                used: saved.used,
                ..record
            },
            origin: self.saved.origin.clone(),
            in_use: self.in_use,
        }
    }

    /// Whether the event at a position is still to be read from the log.
    fn will_read(&self, position: Position) -> bool {
        match self.holder.as_ref().and_then(Weak::upgrade) {
            Some(holder) => holder.will_read(position),
            None => {
                let Saved { record, origin } = &self.saved;
                position > record.floor && position >= origin.first && record.acked.binary_search(&position).is_err()
            }
        }
    }
}

impl Inner {
    fn insert(&mut self, key: CursorKey, entry: Entry) {
        *self.owners.entry(key.owner.clone()).or_default() += 1;
        if let Ok(filter) = TopicFilter::parse(&key.filter) {
            self.by_filter.insert(&filter, entry.saved.record.id, key.clone());
        }
        let earlier = self.entries.insert(key, entry);
        debug_assert!(earlier.is_none(), "one cursor per owner and filter");
    }

    fn remove(&mut self, key: &CursorKey, reason: &'static str) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        tell("cursor deleted", key, entry.saved.record.id, Some(reason));
        if let Ok(filter) = TopicFilter::parse(&key.filter) {
            self.by_filter.remove(&filter, &entry.saved.record.id);
        }
        if let Some(count) = self.owners.get_mut(&key.owner) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(&key.owner);
            }
        }
        Some(entry)
    }

    /// A cursor in use stays used though it does not move; its last use goes to disk now and then.
    fn note_used(&mut self, now: Timestamp, before: Timestamp) -> Vec<Command> {
        let in_use = self
            .entries
            .values_mut()
            .filter(|entry| entry.in_use && entry.saved.record.used < before);
        let saved = in_use.map(|entry| {
            entry.saved.record.used = now;
            Command::SaveCursor(Box::new(entry.saved.record.clone()))
        });
        saved.collect()
    }

    fn update(&mut self, mut record: CursorRecord, now: Timestamp) -> Option<Command> {
        let key = CursorKey {
            owner: record.owner.clone(),
            filter: record.filter.clone(),
        };
        // A cursor that nobody moves any more was put back with its last place.
        let entry = self
            .entries
            .get_mut(&key)
            .filter(|entry| entry.saved.record.id == record.id && entry.in_use)
            .filter(|entry| entry.saved.record.floor <= record.floor)?;
        record.used = now;
        entry.saved.record = record.clone();
        Some(Command::SaveCursor(Box::new(record)))
    }
}

/// The origin of a cursor that has nothing to leave out above its floor.
fn unrestricted(floor: Position) -> Origin {
    Origin {
        taken_at: floor,
        first: floor.next(),
        rule: StartRule::Everything,
    }
}

/// The longest time between two looks for cursors that nobody uses.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(60);

/// Writes the beginning or the end of a cursor to the log.
fn tell(what: &'static str, key: &CursorKey, id: CursorId, reason: Option<&'static str>) {
    let (client, user, group) = match &key.owner {
        CursorOwner::Client(client) => (Some(client), None, None),
        CursorOwner::User { client, user } => (Some(client), Some(user), None),
        CursorOwner::Group(group) | CursorOwner::Share(group) => (None, None, Some(group)),
    };
    tracing::debug!(
        cursor = id.0,
        client,
        user,
        group,
        filter = key.filter,
        reason,
        "{what}"
    );
}

fn below(count: u64, limit: Option<u64>) -> bool {
    limit.is_none_or(|limit| count < limit)
}

impl std::fmt::Debug for CursorTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CursorTable")
            .field("cursors", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CursorLimits = CursorLimits {
        max: Some(3),
        max_per_owner: Some(2),
        expiry: Some(Duration::from_secs(10)),
    };

    fn key(client: &str, filter: &str) -> CursorKey {
        CursorKey {
            owner: CursorOwner::Client(client.into()),
            filter: filter.into(),
        }
    }

    fn origin() -> Origin {
        Origin {
            taken_at: Position(7),
            first: Position(8),
            rule: StartRule::Everything,
        }
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp(secs * 1_000_000_000)
    }

    #[test]
    fn new_cursor_stands_before_its_first_event() {
        let table = CursorTable::new(LIMITS, Vec::new());
        let (saved, _) = table.create(key("c", "f"), origin(), at(0));
        assert_eq!(saved.record.floor, Position(7));
        assert_eq!(
            table.take(&key("c", "f"), at(1)).map(|saved| saved.record.id),
            Some(saved.record.id)
        );
    }

    #[test]
    fn limits_hold_in_all_and_per_owner() {
        let table = CursorTable::new(LIMITS, Vec::new());
        for filter in ["a", "b"] {
            table.create(key("c", filter), origin(), at(0));
        }
        assert!(!table.has_room(&key("c", "x")));
        assert!(table.has_room(&key("d", "x")));
        table.create(key("d", "a"), origin(), at(0));
        assert!(!table.has_room(&key("e", "x")));
        assert!(table.remove(&key("c", "a")).is_some());
        assert!(table.has_room(&key("c", "x")));
    }

    #[test]
    fn cursor_expires_only_when_nobody_uses_it() {
        let table = CursorTable::new(LIMITS, Vec::new());
        let (saved, _) = table.create(key("c", "f"), origin(), at(0));
        assert!(
            matches!(table.expire(at(100))[..], [Command::SaveCursor(_)]),
            "it is noted as used"
        );
        assert!(table.put_back(&key("c", "f"), saved.record, at(100)).is_some());
        assert!(table.expire(at(109)).is_empty());
        assert!(matches!(table.expire(at(111))[..], [Command::DeleteCursor(_)]));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn removed_events_are_lost_to_cursors_that_have_not_passed_them() {
        let table = CursorTable::new(LIMITS, Vec::new());
        let (saved, _) = table.create(key("c", "f/#"), origin(), at(0));
        let record = CursorRecord {
            floor: Position(9),
            acked: vec![Position(11)],
            ..saved.record
        };
        table.put_back(&key("c", "f/#"), record, at(1));
        let removed: Vec<Position> = (8..=12).map(Position).collect();
        assert_eq!(table.count_lost("f/x", &removed), 2);
        assert_eq!(table.count_lost("g", &removed), 0);
    }

    #[test]
    fn removed_cursor_is_not_saved_by_a_late_flush() {
        struct Holder(CursorRecord);
        impl CursorHolder for Holder {
            fn moved(&self) -> Option<CursorRecord> {
                Some(self.0.clone())
            }

            fn place(&self) -> CursorRecord {
                self.0.clone()
            }

            fn will_read(&self, _: Position) -> bool {
                false
            }
        }
        let table = CursorTable::new(LIMITS, Vec::new());
        let (saved, _) = table.create(key("c", "f"), origin(), at(0));
        table.note_moved(Arc::new(Holder(saved.record)));
        table.remove(&key("c", "f"));
        table.flush(at(1), |commands| assert!(commands.is_empty()));
    }
}
