//! Everyone who takes part, and what all of them do in one life.

use std::sync::{Arc, Mutex};
use std::thread::{Builder, Scope};
use std::time::Duration;

use rewindmq::types::Version;

use super::ledger::Ledger;
use super::life::{End, Life};
use super::publisher::{Load, Publisher};
use super::replayer::{Keeps, Replayer, Seen};
use super::retained;
use super::store::Store;
use super::subscriber::{Habit, Subscriber, Wish};

const TOPICS: &[&str] = &["events/0", "events/1", "plain/0", "plain/1"];

const LOADS: &[Load] = &[
    load("once", Version::V5, 1),
    load("twice", Version::V5, 2),
    load("old-once", Version::V3, 1),
    load("old-twice", Version::V3, 2),
    Load {
        retain: true,
        topics: &["retained/a/0", "retained/a/1", "retained/b/0"],
        ..load("retaining", Version::V5, 1)
    },
];

const fn load(name: &'static str, version: Version, qos: u8) -> Load {
    Load {
        name,
        version,
        qos,
        retain: false,
        topics: TOPICS,
    }
}

const WISHES: &[Wish] = &[
    Wish {
        filters: &[("plain/#", 2), ("events/#", 2)],
        ..wish("steady", Habit::Stays)
    },
    Wish {
        version: Version::V3,
        filters: &[("plain/#", 1)],
        ..wish("old-steady", Habit::Stays)
    },
    Wish {
        // The highest QoS of what overlaps counts, and there is one copy.
        filters: &[("+/0", 2), ("events/+", 1), ("events/0", 1), ("plain/1", 2)],
        ..wish("roaming", Habit::Roams)
    },
    Wish {
        version: Version::V3,
        filters: &[("events/#", 1), ("plain/+", 2)],
        ..wish("old-roaming", Habit::Roams)
    },
    Wish {
        filters: &[("plain/#", 2), ("events/#", 2)],
        ..wish("absent", Habit::Leaves)
    },
    Wish {
        version: Version::V3,
        filters: &[("+/1", 1)],
        ..wish("old-absent", Habit::Leaves)
    },
    Wish {
        receive_maximum: 3,
        filters: &[("events/0", 2), ("plain/0", 1)],
        ..wish("slow", Habit::Dawdles)
    },
    Wish {
        born: 4,
        filters: &[("events/#", 2), ("plain/0", 2)],
        ..wish("latecomer", Habit::Stays)
    },
    Wish {
        filters: &[("plain/#", 2), ("events/#", 1)],
        only_qos: Some(2),
        ..wish("selecting", Habit::Roams)
    },
    Wish {
        filters: &[("plain/#", 1), ("events/0", 2)],
        only_qos: Some(1),
        ..wish("selecting-absent", Habit::Leaves)
    },
    Wish {
        version: Version::V3,
        filters: &[("plain/+", 2), ("+/1", 1)],
        only_qos: Some(2),
        ..wish("old-selecting", Habit::Stays)
    },
];

const fn wish(name: &'static str, habit: Habit) -> Wish {
    Wish {
        name,
        version: Version::V5,
        habit,
        receive_maximum: 100,
        filters: &[],
        only_qos: None,
        born: 0,
    }
}

pub struct Cast {
    pub ledger: Arc<Ledger>,
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    replayers: Vec<Replayer>,
}

impl Cast {
    pub fn new(random: &mut fastrand::Rng) -> Self {
        let mut ledger = Ledger::default();
        let streams: Vec<Vec<_>> = LOADS
            .iter()
            .map(|load| {
                load.topics
                    .iter()
                    .map(|topic| ledger.add(load.name, topic, load.qos))
                    .collect()
            })
            .collect();
        let ledger = Arc::new(ledger);
        let group = Arc::default();
        let selecting_group = Arc::new(Mutex::new(Seen::only("twice")));
        let selecting = |name, filter, keeps, seen| Replayer::selecting(name, filter, keeps, "qos = 2", seen);
        let twice = || Arc::new(Mutex::new(Seen::only("twice")));
        Self {
            publishers: LOADS
                .iter()
                .zip(streams)
                .map(|(load, streams)| Publisher::new(load, streams, ledger.clone(), random.fork()))
                .collect(),
            subscribers: WISHES
                .iter()
                .map(|wish| Subscriber::new(wish, ledger.clone(), random.fork()))
                .collect(),
            replayers: vec![
                Replayer::new("cursor", "events/#", Keeps::Cursor, Arc::default()),
                Replayer::new("resuming", "events/+", Keeps::Session, Arc::default()),
                Replayer::new(
                    "first-member",
                    "$share/group/events/#",
                    Keeps::Group,
                    Arc::clone(&group),
                ),
                Replayer::new("second-member", "$share/group/events/#", Keeps::Group, group),
                selecting("selecting-cursor", "events/#", Keeps::Cursor, twice()),
                selecting("selecting-resuming", "events/+", Keeps::Session, twice()),
                selecting(
                    "first-selecting",
                    "$share/selecting/events/#",
                    Keeps::Group,
                    Arc::clone(&selecting_group),
                ),
                selecting(
                    "second-selecting",
                    "$share/selecting/events/#",
                    Keeps::Group,
                    selecting_group,
                ),
            ],
            ledger,
        }
    }

    /// How many messages were sent.
    pub fn sent(&self) -> u64 {
        self.ledger.ids().map(|id| self.ledger.stream(id).sent()).sum()
    }

    /// Loads the broker for so long, or until a trap is sprung; ends the life by a disaster while all of them are busy.
    pub fn load<T>(&mut self, life: &Life, length: Duration, end: impl FnOnce() -> T) -> T {
        let ledger = &self.ledger;
        std::thread::scope(|scope| {
            for publisher in &mut self.publishers {
                play(scope, life, publisher.name, move || {
                    if publisher.name == "retaining" {
                        retained::check(life, ledger)?;
                    }
                    publisher.run(life)
                });
            }
            for subscriber in &mut self.subscribers {
                play(scope, life, subscriber.name(), move || subscriber.run(life));
            }
            for replayer in &mut self.replayers {
                play(scope, life, replayer.name, move || replayer.run(life));
            }
            life.go_on(length);
            end()
        })
    }

    /// Everything is acknowledged, then everyone reads what is left, and the store is compared with what they know.
    pub fn finish(&mut self, life: &Life) {
        let ledger = &self.ledger;
        std::thread::scope(|scope| {
            for publisher in &mut self.publishers {
                play(scope, life, publisher.name, move || publisher.finish(life));
            }
        });
        let store = Mutex::new(Store::default());
        std::thread::scope(|scope| {
            play(scope, life, "retained", || retained::check(life, ledger));
            play(scope, life, "store", || {
                let read = Store::read(life, ledger)?;
                for publisher in &self.publishers {
                    read.compare(publisher, ledger)?;
                }
                *store.lock().map_err(|_| "nobody else has it".to_owned())? = read;
                Ok(())
            });
            for subscriber in &mut self.subscribers {
                play(scope, life, subscriber.name(), move || subscriber.drain(life));
            }
        });
        let store = store.into_inner().expect("nobody else has it");
        std::thread::scope(|scope| {
            for replayer in &mut self.replayers {
                let store = &store;
                play(scope, life, replayer.name, move || replayer.drain(life, store));
            }
        });
    }
}

/// Lets one of them do something on a thread of its own, and judges how it ends.
fn play<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    life: &'env Life,
    name: &'static str,
    part: impl FnOnce() -> Result<(), End> + Send + 'scope,
) {
    let thread = Builder::new().name(name.to_owned());
    let started = thread.spawn_scoped(scope, move || life.judge(name, part()));
    started.expect("a thread");
}
