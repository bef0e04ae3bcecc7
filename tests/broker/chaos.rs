//! kill -9 at any moment, also during the start, under clients that keep their side of their sessions over it as the
//! specification demands. No acknowledged message is lost to a durable session, QoS 2 is exactly once from end to end,
//! the order is kept, nothing is invented. `CHAOS_ROUNDS` and `CHAOS_SEED` widen it.

mod cast;
mod ledger;
mod life;
mod publisher;
mod replayer;
mod retained;
mod store;
mod subscriber;
mod tests;
mod witness;

use std::collections::HashMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rewindmq::codec::Connect;
use rewindmq::types::Version;

use crate::client::{lasting, v3};
use crate::program::{Process, Program};
use crate::seed::Seed;
use cast::Cast;
use life::{Life, Moment, Trap};
use store::STORED;

/// Disasters in a run of the tests, by kind.
const KILLS: usize = 50;
const CUTS: usize = 15;
const FLUSH: (&str, &str) = ("REWINDMQ__STORE__CURSOR_FLUSH", "50ms");
/// How long a life lasts, ms.
const LIFE_MS: std::ops::Range<u64> = 30..500;
/// How long a trap is waited for.
const TRAP: Duration = Duration::from_secs(10);
/// When a start is cut short, ms after it.
const START_MS: std::ops::Range<u64> = 0..30;

/// How a life ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disaster {
    /// SIGKILL of the broker.
    Kill,
    /// The broker lives on; every connection breaks.
    Cut,
}

/// One broker after the other on one folder.
struct Stage<'a> {
    folder: &'a Path,
    options: &'a [(&'a str, &'a str)],
    disaster: Disaster,
    program: Option<Program>,
    lives: usize,
    sprung: HashMap<Moment, usize>,
}

impl Stage<'_> {
    fn begin(&mut self, trap: Option<Trap>) -> Life {
        let program = self.program.take().unwrap_or_else(|| self.spawn().listening());
        let life = Life::new(program.address, self.lives, trap);
        self.program = Some(program);
        life
    }

    fn spawn(&self) -> Process {
        Process::spawn(self.folder, STORED, self.options)
    }

    fn strike(&mut self, life: &Life) {
        let program = self.program.take_if(|_| self.disaster == Disaster::Kill);
        life.end(|| match program {
            Some(program) => program.kill(),
            None => life.cut(),
        });
        self.lives += 1;
        if let Some(moment) = life.sprung() {
            *self.sprung.entry(moment).or_default() += 1;
        }
    }

    /// Kills it during its start, several times in a row.
    fn stumble(&self, random: &mut fastrand::Rng) {
        for _ in 0..random.usize(3..=6) {
            let process = self.spawn();
            thread::sleep(Duration::from_millis(random.u64(START_MS)));
            process.kill();
        }
    }
}

/// Strikes so many times, lets everyone finish, strikes once more, and lets everyone finish again: what was done must
/// stay done.
fn survive(disaster: Disaster, rounds: usize, options: &[(&str, &str)]) {
    let mut seed = Seed::named("CHAOS_SEED");
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Stage {
        folder: folder.path(),
        options,
        disaster,
        program: None,
        lives: 0,
        sprung: HashMap::new(),
    };
    let mut cast = Cast::new(&mut seed.random);
    for round in 0..rounds {
        let trap = trap(round, &mut seed.random);
        let length = match trap {
            Some(_) => TRAP,
            None => Duration::from_millis(seed.random.u64(LIFE_MS)),
        };
        let life = stage.begin(trap);
        cast.load(&life, length, || stage.strike(&life));
        assert_no_fault(&life);
        if disaster == Disaster::Kill && round % 5 == 4 {
            stage.stumble(&mut seed.random);
        }
    }
    for _ in 0..2 {
        let life = stage.begin(None);
        cast.finish(&life);
        assert_no_fault(&life);
        stage.strike(&life);
    }
    assert!(
        cast.sent() > 20 * rounds as u64,
        "a load worth a disaster: {}",
        cast.sent()
    );
    let moments = stage.sprung.len();
    assert!(rounds < 10 || moments == 3, "every trap is sprung: {:?}", stage.sprung);
}

/// Every third round waits for a moment in a QoS 2 exchange.
fn trap(round: usize, random: &mut fastrand::Rng) -> Option<Trap> {
    let (clients, moment): (&[&'static str], Moment) = match round % 9 {
        2 => (&["twice", "old-twice"], Moment::GotPubRec),
        5 => (&["steady", "slow"], Moment::SentPubRec),
        8 => (&["steady", "slow"], Moment::GotPubRel),
        _ => return None,
    };
    Some(Trap {
        client: clients[random.usize(..clients.len())],
        moment,
        spared: random.u32(..30).into(),
    })
}

fn assert_no_fault(life: &Life) {
    let faults = life.faults();
    assert!(faults.is_empty(), "in round {}, {}", life.number, faults.join("; "));
}

/// A CONNECT that begins or continues a durable session.
fn durable(version: Version, client_id: &str) -> Connect {
    match version {
        Version::V5 => lasting(client_id),
        Version::V3 => Connect {
            clean_start: false,
            ..v3(client_id)
        },
    }
}

fn rounds(default: usize) -> usize {
    let given = std::env::var("CHAOS_ROUNDS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(default)
}

#[test]
fn durable_sessions_are_right_after_every_kill() {
    survive(Disaster::Kill, rounds(KILLS), &[FLUSH]);
}

#[test]
fn durable_sessions_are_right_after_every_broken_connection() {
    survive(
        Disaster::Cut,
        rounds(CUTS),
        &[FLUSH, ("REWINDMQ__SESSION__MAX_QUEUED_MESSAGES", "0")],
    );
}
