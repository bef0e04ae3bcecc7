//! Cases over TCP in real time, against any broker.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use super::encode;
use super::report::{Outcome, Row};
use super::run::{Leftovers, run};
use super::script::{Case, Version};
use super::text::Arg;
use super::world::World;

/// How cases are run.
#[derive(Clone, Debug)]
pub struct Options {
    pub address: SocketAddr,
    /// Whether it is this project's broker.
    pub own: bool,
    /// How many cases run at the same time.
    pub parallel: usize,
    /// Cases in which more time goes by are left out.
    pub max_time: Duration,
    /// How long a broker gets for what it does on its own before it is asked whether something came.
    pub settle: Duration,
    /// How long something is waited for.
    pub patience: Duration,
}

impl Options {
    /// For a broker of this project in the same process.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tool is told"))]
    pub fn own(address: SocketAddr) -> Self {
        Self {
            address,
            own: true,
            parallel: 64,
            max_time: Duration::from_secs(4),
            settle: Duration::ZERO,
            patience: Duration::from_secs(20),
        }
    }
}

/// Runs cases in every version of theirs.
pub async fn run_all(cases: &[Case], options: &Options) -> Vec<Row> {
    let (alone, together): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.needs.alone);
    let mut rows = side_by_side(&together, options, options.parallel).await;
    rows.extend(side_by_side(&alone, options, 1).await);
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows
}

async fn side_by_side(cases: &[&Case], options: &Options, parallel: usize) -> Vec<Row> {
    let local = LocalSet::new();
    let room = Rc::new(Semaphore::new(parallel));
    local
        .run_until(async {
            let mut tasks = JoinSet::new();
            for case in cases {
                for version in &case.versions {
                    let (case, version, options, room) = (Case::clone(case), *version, options.clone(), room.clone());
                    tasks.spawn_local(async move {
                        let _turn = room.acquire().await;
                        let outcome = one(&case, version, &options).await;
                        Row::new(&case, version, outcome)
                    });
                }
            }
            tasks.join_all().await
        })
        .await
}

async fn one(case: &Case, version: Version, options: &Options) -> Outcome {
    if let Some(why) = skipped(case, options) {
        return Outcome::Skipped(why);
    }
    let mut world = Tcp::new(options);
    let (outcome, leftovers) = run(&mut world, case, version).await;
    clean_up(&mut world, version, &leftovers).await;
    match outcome {
        Ok(()) => Outcome::Passed,
        Err(failure) => Outcome::Failed(failure),
    }
}

fn skipped(case: &Case, options: &Options) -> Option<&'static str> {
    if case.needs.commit {
        return Some("needs commits held back");
    }
    if !case.needs.config.is_empty() {
        return Some("needs a configuration of its own");
    }
    if case.needs.own && !options.own {
        return Some("a promise of RewindMQ");
    }
    (case.duration() > options.max_time).then_some("takes too long")
}

/// Takes out of the broker what a case has left there, as far as the broker lets it.
async fn clean_up(world: &mut Tcp, version: Version, leftovers: &Leftovers) {
    let mut last_client = None;
    let cleaner = (!leftovers.retained.is_empty()).then(|| format!("{}cleaner", world.word()));
    for client_id in leftovers.client_ids.iter().chain(&cleaner) {
        if let Some(client) = connect_clean(world, version, client_id).await {
            last_client = Some(client);
        }
    }
    let Some(mut client) = last_client else { return };
    for topic in &leftovers.retained {
        let args = [Arg::new("topic", topic.as_str()), Arg::flag("retain")];
        if let Ok(bytes) = encode::packet(version, "PUBLISH", &args) {
            let _ = client.write_all(&bytes).await;
        }
    }
    let _ = client.write_all(&[0xC0, 0, 0xE0, 0]).await;
    let _ = tokio::time::timeout(world.options.patience, client.read_to_end(&mut Vec::new())).await;
}

async fn connect_clean(world: &mut Tcp, version: Version, client_id: &str) -> Option<TcpStream> {
    let mut stream = world.open().await.ok()?;
    let bytes = encode::packet(version, "CONNECT", &[Arg::new("client_id", client_id)]).ok()?;
    stream.write_all(&bytes).await.ok()?;
    let connack = tokio::time::timeout(world.options.patience, stream.read_buf(&mut Vec::new())).await;
    connack.ok()?.ok()?;
    Some(stream)
}

struct Tcp {
    options: Options,
    word: String,
}

impl Tcp {
    fn new(options: &Options) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        // Short: a client identifier of 23 bytes is all that every server takes.
        let word = format!(
            "t{:x}c{}",
            since.as_millis() % 0x1000_0000,
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        Self {
            options: options.clone(),
            word,
        }
    }
}

impl World for Tcp {
    type Stream = TcpStream;

    async fn open(&mut self) -> io::Result<TcpStream> {
        let stream = tokio::time::timeout(self.options.patience, TcpStream::connect(self.options.address)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn pass(&mut self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn settle(&mut self) {
        if !self.options.settle.is_zero() {
            tokio::time::sleep(self.options.settle).await;
        }
    }

    async fn patience(&self) {
        tokio::time::sleep(self.options.patience).await;
    }

    fn hold(&mut self, _: bool) -> Result<(), String> {
        Err("commits cannot be held back over TCP".to_owned())
    }

    fn word(&self) -> &str {
        &self.word
    }
}
