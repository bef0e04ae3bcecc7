//! Reads events by a cursor of its own or as a member of a group, and notes what came through that cursor.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rewindmq::codec::Connect;
use rewindmq::types::Version;

use super::durable;
use super::life::{End, Life};
use super::store::Store;
use crate::client::{Client, DEADLINE, Message, Received, filter, v5};

/// An acknowledgement is on disk after this; later ones may be lost in a crash.
const GRACE: Duration = Duration::from_secs(1);
/// How long one wait takes before it is looked whether all is done.
const PATIENCE: Duration = Duration::from_millis(50);

/// How a replayer keeps its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// By its cursor alone: each connection subscribes again.
    Cursor,
    /// By its session, which holds the subscription.
    Session,
    /// By the cursor of its group.
    Group,
}

pub struct Replayer {
    pub name: &'static str,
    filter: &'static str,
    keeps: Keeps,
    seen: Arc<Mutex<Seen>>,
    has_session: bool,
    is_subscribed: bool,
}

/// What came through one cursor.
#[derive(Default)]
pub struct Seen {
    channels: HashMap<String, Vec<Event>>,
    acknowledged: usize,
}

#[derive(Clone, Default)]
struct Event {
    text: String,
    /// The last life in which it came.
    came: Option<usize>,
    acknowledged: Option<(usize, Instant)>,
}

/// When something happens.
pub struct Moment<'a> {
    pub life: usize,
    /// When each earlier life ended.
    pub ends: &'a [Instant],
    pub now: Instant,
}

impl Seen {
    /// An event came. Through a cursor of one client (`in_order`) the sequences of a channel begin without a gap.
    pub fn came(
        &mut self,
        topic: &str,
        sequence: u64,
        text: &str,
        in_order: bool,
        at: &Moment<'_>,
    ) -> Result<(), String> {
        let events = self.channels.entry(topic.to_owned()).or_default();
        let index = sequence as usize - 1;
        let earlier = events.len() as u64;
        if in_order && sequence > earlier + 1 {
            return Err(format!("gets event {sequence} of {topic} after event {earlier}"));
        }
        if events.len() <= index {
            events.resize(index + 1, Event::default());
        }
        let event = &mut events[index];
        if event.came == Some(at.life) {
            return Err(format!("gets event {sequence} of {topic} twice in one life"));
        }
        if event.came.is_some() && event.text != text {
            return Err(format!(
                "gets event {sequence} of {topic} as {text} and as {}",
                event.text
            ));
        }
        if let Some((life, acknowledged)) = event.acknowledged {
            let margin = at.ends[life].saturating_duration_since(acknowledged);
            if margin > GRACE {
                return Err(format!(
                    "gets event {sequence} of {topic}, acknowledged {margin:?} before the end"
                ));
            }
        }
        event.came = Some(at.life);
        text.clone_into(&mut event.text);
        Ok(())
    }

    /// PUBACK is about to be sent.
    pub fn acknowledged(&mut self, topic: &str, sequence: u64, at: &Moment<'_>) {
        let Some(events) = self.channels.get_mut(topic) else {
            return;
        };
        let before = events[sequence as usize - 1].acknowledged.replace((at.life, at.now));
        self.acknowledged += usize::from(before.is_none());
    }

    /// Whether everything in the store came, as it is there.
    fn is_whole(&self, store: &Store) -> Result<bool, String> {
        let wanted: usize = store.channels.values().map(Vec::len).sum();
        if self.acknowledged < wanted {
            return Ok(false);
        }
        self.compare(store).map(|()| true)
    }

    /// What came is what is in the store.
    pub fn compare(&self, store: &Store) -> Result<(), String> {
        for (topic, texts) in &store.channels {
            let events = self.channels.get(topic).map_or(&[][..], |events| events);
            for (index, text) in texts.iter().enumerate() {
                match events.get(index) {
                    Some(event) if event.acknowledged.is_some() && event.text == *text => {}
                    Some(event) if event.came.is_some() && event.text != *text => {
                        return Err(format!(
                            "got event {} of {topic} as {}, not {text}",
                            index + 1,
                            event.text
                        ));
                    }
                    _ => return Err(format!("has not got event {} of {topic}: {text}", index + 1)),
                }
            }
        }
        Ok(())
    }
}

impl Replayer {
    pub fn new(name: &'static str, filter: &'static str, keeps: Keeps, seen: Arc<Mutex<Seen>>) -> Self {
        Self {
            name,
            filter,
            keeps,
            seen,
            has_session: false,
            is_subscribed: false,
        }
    }

    /// Reads until the life ends.
    pub fn run(&mut self, life: &Life) -> Result<(), End> {
        let mut client = self.connect(life)?;
        loop {
            self.receive(&mut client, life)?;
        }
    }

    /// Reads and acknowledges until all of the store is.
    pub fn drain(&mut self, life: &Life, store: &Store) -> Result<(), End> {
        let mut client = self.connect(life)?;
        let mut deadline = Instant::now() + DEADLINE;
        while !self.seen()?.is_whole(store)? {
            if self.receive(&mut client, life)? {
                deadline = Instant::now() + DEADLINE;
            }
            if Instant::now() > deadline {
                return Ok(self.seen()?.compare(store)?);
            }
        }
        Ok(())
    }

    fn seen(&self) -> Result<MutexGuard<'_, Seen>, String> {
        self.seen.lock().map_err(|_| "another member failed".to_owned())
    }

    fn connect(&mut self, life: &Life) -> Result<Client, End> {
        let session = match self.keeps {
            Keeps::Session => durable(Version::V5, self.name),
            Keeps::Cursor | Keeps::Group => v5(self.name),
        };
        let connect = Connect {
            receive_maximum: Some(20),
            ..session
        };
        let mut client = life.connect(connect, self.has_session)?;
        self.has_session = self.keeps == Keeps::Session;
        if !(self.has_session && self.is_subscribed) {
            let ack = client.try_subscribe(&[filter(self.filter, 1)], &[("replay", "first")])?;
            if ack.reasons[0].is_error() {
                return Err(End::Wrong(format!("cannot subscribe: {ack:?}")));
            }
            self.is_subscribed = true;
        }
        Ok(client)
    }

    /// Takes and acknowledges an event; gives whether one came.
    fn receive(&self, client: &mut Client, life: &Life) -> Result<bool, End> {
        let message = match client.try_receive(Instant::now() + PATIENCE) {
            Err(fault) if fault.kind() == ErrorKind::TimedOut => return Ok(false),
            result => match result? {
                Received::Message(message) => message,
                other => return Err(End::Wrong(format!("gets {other:?}"))),
            },
        };
        if life.is_ending() {
            // Not all connections break at once: another member may have it already.
            return Err(io::Error::from(ErrorKind::ConnectionReset).into());
        }
        let sequence = self.came(&message, life)?;
        self.seen()?.acknowledged(&message.topic, sequence, &moment(life));
        client.try_acknowledge(&message)?;
        Ok(true)
    }

    fn came(&self, message: &Message, life: &Life) -> Result<u64, String> {
        let sequence = message.sequence();
        let in_order = self.keeps != Keeps::Group;
        let mut seen = self.seen()?;
        seen.came(&message.topic, sequence, message.text(), in_order, &moment(life))?;
        Ok(sequence)
    }
}

fn moment(life: &Life) -> Moment<'_> {
    Moment {
        life: life.number,
        ends: &life.ends,
        now: Instant::now(),
    }
}
