//! kill -9 under load, again and again over one data folder. Every acknowledged event is there exactly once and in
//! order, nothing is invented, and every cursor stands where it must.

mod history;
mod publisher;
mod reader;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, DEADLINE, post, v5};
use super::program::Program;
use super::seed::Seed;
use history::History;
use publisher::Publisher;
use reader::{Place, Reader, Seen};

const KILLS: usize = 20;
/// Topics of the load.
const CHANNELS: usize = 4;
/// An acknowledgement is on disk after this; later ones may be lost in a crash.
const GRACE: Duration = Duration::from_secs(1);

/// One life of the broker, as its clients know it.
struct Life {
    address: std::net::SocketAddr,
    /// Which one, from 0.
    number: usize,
    /// When each earlier one was killed.
    kills: Vec<Instant>,
    /// From now on connections may break.
    ending: AtomicBool,
}

impl Life {
    fn connect(&self, connect: rewindmq::codec::Connect) -> Option<Client> {
        match Client::try_connect(self.address, connect) {
            Ok(client) => Some(client),
            Err(fault) => self.broken(&fault),
        }
    }

    /// A connection broke: that is right only if the broker is being killed.
    fn broken<T>(&self, fault: &std::io::Error) -> Option<T> {
        assert!(
            self.ending.load(Ordering::SeqCst),
            "a connection broke in life {}: {fault}",
            self.number
        );
        None
    }
}

fn topic(channel: usize) -> String {
    format!("k/{channel}")
}

fn place(message: &super::client::Message) -> Place {
    let channel = message.topic.strip_prefix("k/").and_then(|number| number.parse().ok());
    Place {
        channel: channel.expect("a topic of the load"),
        sequence: message.sequence(),
    }
}

/// Everyone who takes part, with what they know.
struct Cast {
    publishers: Vec<Publisher>,
    readers: Vec<Reader>,
    members: Vec<Reader>,
    history: History,
}

impl Cast {
    fn new() -> Self {
        let group = Arc::new(Mutex::new(Seen::default()));
        let own = || Arc::new(Mutex::new(Seen::default()));
        Self {
            publishers: [1, 1, 2]
                .iter()
                .enumerate()
                .map(|(n, qos)| Publisher::new(n, *qos))
                .collect(),
            readers: vec![
                Reader::new("fast", "k/#", 0, own()),
                Reader::new("slow", "k/+", 30, own()),
                Reader::new("one", "k/1", 3, own()),
            ],
            members: vec![
                Reader::member("first", "$share/group/k/#", 0, group.clone()),
                Reader::member("second", "$share/group/k/#", 5, group),
            ],
            history: History::default(),
        }
    }

    /// Loads the broker until it is killed.
    fn load(&mut self, life: &Life, program: Program, until: Instant) -> Instant {
        thread::scope(|scope| {
            for publisher in &mut self.publishers {
                scope.spawn(move || publisher.run(life));
            }
            for reader in self.readers.iter_mut().chain(&mut self.members) {
                scope.spawn(move || reader.run(life));
            }
            while Instant::now() < until {
                thread::park_timeout(until.saturating_duration_since(Instant::now()));
            }
            life.ending.store(true, Ordering::SeqCst);
            let killed = Instant::now();
            program.kill();
            killed
        })
    }

    /// Looks at what the last life left behind.
    fn check(&mut self, life: &Life) {
        let mut client = life.connect(v5("mark")).expect("the broker lives");
        for channel in 0..CHANNELS {
            client.publish(&post(&topic(channel), &format!("mark:{}", life.number)));
        }
        self.history.read(life, &self.publishers);
    }

    /// Everyone reads and acknowledges what is left.
    fn drain(&mut self, life: &Life) {
        let counts = self.history.counts();
        thread::scope(|scope| {
            for reader in self.readers.iter_mut().chain(&mut self.members) {
                let counts = &counts;
                scope.spawn(move || reader.drain(life, counts));
            }
        });
    }
}

#[test]
fn history_and_cursors_are_right_after_every_kill() {
    let mut seed = Seed::new();
    let folder = tempfile::tempdir().unwrap();
    let mut cast = Cast::new();
    let mut kills = Vec::new();
    for number in 0..=KILLS {
        let program = Program::start(folder.path(), "k/#");
        let life = Life {
            address: program.address,
            number,
            kills: kills.clone(),
            ending: AtomicBool::new(false),
        };
        cast.check(&life);
        if number < KILLS {
            let until = Instant::now() + Duration::from_millis(seed.random.u64(50..2_300));
            kills.push(cast.load(&life, program, until));
        } else {
            cast.drain(&life);
        }
    }
    let events = cast.history.counts().iter().sum::<u64>();
    assert!(events > 1_000, "a load worth killing: {events}");
}
