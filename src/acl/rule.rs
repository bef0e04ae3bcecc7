//! One rule as data.

use std::fmt;

use super::pattern::Pattern;

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send messages to a topic, wills among them.
    Publish,
    /// Get messages of a topic from now on, and its retained message.
    Subscribe,
    /// Get messages of a topic that the store has.
    Replay,
    /// Ask that a message is stored.
    Store,
}

/// What a rule does with what it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It may be done.
    Allow,
    /// It may not.
    Deny,
}

/// Of whom a rule speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// An authenticated user.
    User(String),
    /// The users of a group, of the file or of the proof.
    Group(String),
    /// A client identifier, whoever has it.
    Client(String),
    /// Whoever has proved nothing.
    Anonymous,
    /// Everybody.
    Anyone,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its line in the file, counted from 1.
    pub line: u32,
    /// What it does.
    pub effect: Effect,
    /// Of whom it speaks.
    pub who: Who,
    pub(super) actions: Actions,
    pub(super) pattern: Pattern,
    /// The line as it is written.
    pub(super) text: Box<str>,
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Actions(u8);

impl Rule {
    /// Whether it speaks of this action.
    pub fn concerns(&self, action: Action) -> bool {
        self.actions.contains(action)
    }

    /// The line as it is written, without white space around it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Actions {
    pub const ALL: Self = Self(0b1111);
    pub const NONE: Self = Self(0);

    pub fn of(actions: &[Action]) -> Self {
        actions.iter().fold(Self::NONE, |all, action| all.with(*action))
    }

    pub fn with(self, action: Action) -> Self {
        Self(self.0 | 1 << action as u8)
    }

    pub fn contains(self, action: Action) -> bool {
        self.0 & 1 << action as u8 != 0
    }
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Subscribe, Self::Replay, Self::Store];

    /// The action of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Replay => "replay",
            Self::Store => "store",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
