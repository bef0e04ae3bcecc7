//! A log on a data folder whose commands are waited for.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use rewindmq::log::{
    ChannelKind, Command, Committed, Event, Holds, Log, LogOptions, LogReader, Recovered, Submission, TopicMatch,
};
use rewindmq::store::{LmdbOptions, LmdbStore};
use rewindmq::types::{ChannelId, Clock, Position};

use crate::content;

/// A running log, and what it found when it was opened.
pub struct Running {
    log: Log<()>,
    done: Receiver<Committed<()>>,
    pub reader: LogReader,
    pub recovered: Recovered,
}

/// Somebody still needs everything.
struct Everything;

/// `#`, or one topic.
struct Filter(String);

impl Running {
    pub fn open(folder: &Path) -> Self {
        let store = LmdbStore::open(folder, &LmdbOptions::default()).expect("opened");
        let options = LogOptions {
            clock: Clock::manual(content::NOW),
            holds: Arc::new(Everything),
            ..LogOptions::default()
        };
        let (sender, done) = mpsc::channel();
        let sink = move |batch: Vec<Committed<()>>| {
            // A test that ended does not wait any more.
            batch.into_iter().for_each(|entry| drop(sender.send(entry)));
        };
        let (log, recovered) = Log::open(Arc::new(store), options, Arc::new(()), Box::new(sink)).expect("opened");
        Self {
            reader: log.reader(),
            log,
            done,
            recovered,
        }
    }

    /// Carries out commands; none may fail.
    pub fn carry_out(&mut self, commands: Vec<Command>) {
        let count = commands.len();
        let submission = |command| Submission { command, tag: () };
        self.log.submit(commands.into_iter().map(submission).collect());
        for _ in 0..count {
            let done = self.done.recv().expect("the log runs");
            done.outcome.expect("carried out");
        }
    }

    /// Every record that matches, of either kind.
    pub fn read(&self, filter: &str, after: Position) -> Vec<Event> {
        let mut scan = self.reader.scan_kept(Arc::new(Filter(filter.to_owned())), after);
        let (mut found, last) = (Vec::new(), self.reader.watermark());
        while scan.position() < last {
            scan.next_batch(&self.reader, &mut |_, _, _| true, 1_000, 1 << 20, &mut found)
                .expect("readable");
        }
        found
    }
}

impl Holds for Everything {
    fn passed(&self, _: ChannelId, _: &str, _: ChannelKind) -> Option<Position> {
        Some(Position(0))
    }
}

impl TopicMatch for Filter {
    fn matches(&self, topic: &str) -> bool {
        self.exact().is_none_or(|exact| exact == topic)
    }

    fn exact(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| *text != "#")
    }
}
