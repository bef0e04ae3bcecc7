//! Groups: shared subscriptions of each kind, with their members and their cursors.

use serde::Serialize;

use super::cursors::{CHEAP, CursorView, THOROUGH, owner};
use super::{ManageError, Page};
use crate::broker::Broker;
use crate::broker::cursors::{CursorKey, Listed};
use crate::log::CursorOwner;
use crate::types::CursorId;

/// A group: a shared subscription by its name and filter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupView {
    /// Its name.
    pub group: String,
    /// Its filter.
    pub filter: String,
    /// `group` (with a start option), `share` (without one, of durable sessions) or `live` (in memory alone).
    pub kind: &'static str,
    /// How many sessions are subscribed, absent ones too.
    pub subscribed: usize,
    /// The members that are connected.
    pub members: Vec<MemberView>,
    /// Where it stands, unless it is live.
    pub cursor: Option<CursorView>,
}

/// A connected member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberView {
    /// Its client identifier.
    pub client_id: String,
    /// Messages that it has and did not acknowledge; of a group with a cursor.
    pub in_flight: Option<usize>,
}

/// What names a group in a list: its name, its filter, and which kind of two with the same.
type GroupKey = (String, String, &'static str);

impl Broker {
    /// Groups in the order of name and filter, behind `after`, at most `most`; and whether there are more.
    pub fn groups(&self, after: Option<&(String, String, String)>, most: usize) -> (Vec<GroupView>, bool) {
        let mut page: Page<GroupKey, Option<Listed>> = Page::new(most);
        let behind = |key: &GroupKey| {
            let after = after.map(|(name, filter, kind)| (name.as_str(), filter.as_str(), kind.as_str()));
            after.is_none_or(|after| (key.0.as_str(), key.1.as_str(), key.2) > after)
        };
        let wants = |key: &CursorKey| !matches!(key.owner, CursorOwner::Client(_));
        // All of them: few cursors are of groups, and the order is another.
        let (cursors, _) = self.cursors.list(CursorId(0), usize::MAX, &wants);
        for listed in cursors {
            let (kind, name) = owner(&listed.key.owner);
            let key = (name.to_owned(), listed.key.filter.clone(), kind);
            if behind(&key) && page.wants(&key) {
                page.put(key, Some(listed));
            }
        }
        for (name, filter) in self.groups.live_shares() {
            let key = (name, filter, "live");
            if behind(&key) && page.wants(&key) {
                page.put(key, None);
            }
        }
        let (found, more) = page.finish();
        let views = found.into_iter().map(|(key, listed)| {
            let cursor = listed.map(|listed| self.cursor_view(&listed, CHEAP));
            self.group_view(key, cursor)
        });
        (views.collect(), more)
    }

    /// A group by its name and filter; of several kinds, the one with a start option first.
    pub fn group(&self, name: &str, filter: &str) -> Result<GroupView, ManageError> {
        for (kind, owner) in [
            ("group", CursorOwner::Group(name.to_owned())),
            ("share", CursorOwner::Share(name.to_owned())),
        ] {
            let filter = filter.to_owned();
            let key = CursorKey { owner, filter };
            if let Some(listed) = self.cursors.find(&key) {
                let cursor = self.cursor_view(&listed, THOROUGH);
                return Ok(self.group_view((name.to_owned(), key.filter, kind), Some(cursor)));
            }
        }
        let key = (name.to_owned(), filter.to_owned());
        if self.groups.live_shares().contains(&key) {
            return Ok(self.group_view((key.0, key.1, "live"), None));
        }
        Err(ManageError::NotFound(format!(
            "there is no group {name:?} on filter {filter:?}"
        )))
    }

    fn group_view(&self, (group, filter, kind): GroupKey, cursor: Option<CursorView>) -> GroupView {
        let (subscribed, members) = self.groups.members_of(&group, &filter, kind);
        let members = members
            .into_iter()
            .map(|(client_id, in_flight)| MemberView { client_id, in_flight });
        GroupView {
            group,
            filter,
            kind,
            subscribed,
            members: members.collect(),
            cursor,
        }
    }
}
