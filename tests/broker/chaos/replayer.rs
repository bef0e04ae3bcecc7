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
    selector: Option<&'static str>,
    seen: Arc<Mutex<Seen>>,
    has_session: bool,
    is_subscribed: bool,
}

/// What came through one cursor.
#[derive(Default)]
pub struct Seen {
    /// A selector lets only events pass whose text has this word.
    only: Option<&'static str>,
    channels: HashMap<String, Channel>,
    acknowledged: usize,
}

#[derive(Default)]
struct Channel {
    events: Vec<Event>,
    /// The last life in which one of them came, and the sequence of the first one that did.
    began: (usize, u64),
}

#[derive(Clone, Default)]
struct Event {
    text: String,
    /// The last life in which it came.
    came: Option<usize>,
    is_acknowledged: bool,
}

impl Seen {
    /// What came through a cursor with a selector.
    pub fn only(word: &'static str) -> Self {
        Self {
            only: Some(word),
            ..Self::default()
        }
    }

    fn wants(&self, text: &str) -> bool {
        self.only.is_none_or(|word| text.contains(word))
    }

    /// An event came. For one client a channel's sequences come without a gap. By its cursor alone they come in order,
    /// and no life begins before an earlier one did: the cursor never goes back. (A session sends first what is in
    /// flight, and after a crash its cursor may stand before that.)
    pub fn came(&mut self, topic: &str, sequence: u64, text: &str, keeps: Keeps, life: usize) -> Result<(), String> {
        let (wanted, has_gaps) = (self.wants(text), self.only.is_some());
        let channel = self.channels.entry(topic.to_owned()).or_default();
        let index = sequence as usize - 1;
        let newest = channel.events.len() as u64;
        let wrong = |what: String| Err(format!("gets event {sequence} of {topic} {what}"));
        if !wanted {
            return wrong(format!("as {text}, which its selector skips"));
        }
        if keeps != Keeps::Group && !has_gaps && sequence > newest + 1 {
            return wrong(format!("after event {newest}"));
        }
        if keeps == Keeps::Cursor && channel.began.0 != life && sequence < channel.began.1 {
            let (life, first) = channel.began;
            return wrong(format!("though life {life} began with event {first}"));
        }
        let later = &channel.events[channel.events.len().min(index + 1)..];
        if keeps == Keeps::Cursor && later.iter().any(|event| event.came == Some(life)) {
            return wrong("after a later one".to_owned());
        }
        if channel.events.len() <= index {
            channel.events.resize(index + 1, Event::default());
        }
        let event = &mut channel.events[index];
        if event.came == Some(life) {
            return wrong("twice in one life".to_owned());
        }
        if event.came.is_some() && event.text != text {
            return wrong(format!("as {text} and as {}", event.text));
        }
        event.came = Some(life);
        text.clone_into(&mut event.text);
        if channel.began.0 != life || channel.began.1 == 0 {
            channel.began = (life, sequence);
        }
        Ok(())
    }

    /// PUBACK is about to be sent.
    pub fn acknowledged(&mut self, topic: &str, sequence: u64) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        let event = &mut channel.events[sequence as usize - 1];
        self.acknowledged += usize::from(!event.is_acknowledged);
        event.is_acknowledged = true;
    }

    /// Whether everything in the store came, as it is there.
    fn is_whole(&self, store: &Store) -> Result<bool, String> {
        let all = store.channels.values().flatten();
        let wanted = all.filter(|text| self.wants(text)).count();
        if self.acknowledged < wanted {
            return Ok(false);
        }
        self.compare(store).map(|()| true)
    }

    /// What came is what is in the store.
    pub fn compare(&self, store: &Store) -> Result<(), String> {
        for (topic, texts) in &store.channels {
            let events = self.channels.get(topic).map_or(&[][..], |channel| &channel.events);
            for (index, text) in texts.iter().enumerate().filter(|(_, text)| self.wants(text)) {
                match events.get(index) {
                    Some(event) if event.is_acknowledged && event.text == *text => {}
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
            selector: None,
            seen,
            has_session: false,
            is_subscribed: false,
        }
    }

    pub fn selecting(
        name: &'static str,
        filter: &'static str,
        keeps: Keeps,
        selector: &'static str,
        seen: Arc<Mutex<Seen>>,
    ) -> Self {
        Self {
            selector: Some(selector),
            ..Self::new(name, filter, keeps, seen)
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
            let mut user = vec![("replay", "first")];
            user.extend(self.selector.map(|selector| ("selector", selector)));
            let ack = client.try_subscribe(&[filter(self.filter, 1)], &user)?;
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
        self.seen()?.acknowledged(&message.topic, sequence);
        client.try_acknowledge(&message)?;
        Ok(true)
    }

    fn came(&self, message: &Message, life: &Life) -> Result<u64, String> {
        let sequence = message.sequence();
        let mut seen = self.seen()?;
        seen.came(&message.topic, sequence, message.text(), self.keeps, life.number)?;
        Ok(sequence)
    }
}
