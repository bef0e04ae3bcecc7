//! Who publishes what to whom. Knows no connection.

/// How publishers and subscribers stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As many of each, each pair on topics of its own.
    Pairs(usize),
    /// Many publishers, one topic, one subscriber.
    FanIn(usize),
    /// One publisher, one topic, many subscribers.
    FanOut(usize),
    /// Each publisher on a topic of its own, with members that share a subscription.
    Groups {
        /// Publishers.
        publishers: usize,
        /// Members of each group.
        members: usize,
    },
}

impl Shape {
    /// How many publishers.
    pub fn publishers(self) -> usize {
        match self {
            Self::Pairs(count) | Self::FanIn(count) => count,
            Self::FanOut(_) => 1,
            Self::Groups { publishers, .. } => publishers,
        }
    }

    /// How many subscribers.
    pub fn subscribers(self) -> usize {
        match self {
            Self::Pairs(count) | Self::FanOut(count) => count,
            Self::FanIn(_) => 1,
            Self::Groups { publishers, members } => publishers * members,
        }
    }

    /// How often each message is delivered.
    pub fn deliveries(self) -> usize {
        match self {
            Self::FanOut(count) => count,
            _ => 1,
        }
    }

    /// Whether a subscriber may get only a part of the messages that it subscribes to.
    pub fn shares(self) -> bool {
        matches!(self, Self::Groups { .. })
    }

    /// The topics of a publisher, all of one length.
    pub fn topics(self, publisher: usize, count: usize) -> Vec<String> {
        let family = match self {
            Self::FanIn(_) => 0,
            _ => publisher,
        };
        (0..count).map(|index| topic(family, index)).collect()
    }

    /// The filters of a subscriber; with wildcards, half of them have one. Each topic matches one filter.
    pub fn filters(self, subscriber: usize, count: usize, wildcards: bool) -> Vec<String> {
        match self {
            Self::Pairs(_) if wildcards => (0..count).map(|index| filter(subscriber, index)).collect(),
            Self::Pairs(_) => (0..count).map(|index| topic(subscriber, index)).collect(),
            Self::FanIn(_) | Self::FanOut(_) => vec![topic(0, 0)],
            Self::Groups { members, .. } => {
                let family = subscriber / members;
                vec![format!("$share/group-{family}/{}", topic(family, 0))]
            }
        }
    }
}

fn topic(family: usize, index: usize) -> String {
    format!("bench/{family:02}/{index:06}/t")
}

fn filter(family: usize, index: usize) -> String {
    match (family + index) % 4 {
        0 => format!("bench/{family:02}/{index:06}/+"),
        1 => format!("bench/{family:02}/{index:06}/#"),
        _ => topic(family, index),
    }
}
