//! Reads by a cursor, as a client of its own or as a member of a group, and holds the broker to what was acknowledged.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rewindmq::codec::Connect;

use super::super::client::{Client, Message, v5};
use super::{CHANNELS, DEADLINE, GRACE, Life, place};

/// An event.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub channel: usize,
    pub sequence: u64,
}

/// What was seen through one cursor.
#[derive(Default)]
pub struct Seen {
    channels: [Vec<Event>; CHANNELS],
    /// Events that came at least once; the next one gets this number.
    arrivals: usize,
    /// How many are acknowledged.
    acknowledged: usize,
}

#[derive(Clone, Debug, Default)]
struct Event {
    arrival: Option<usize>,
    /// The last life in which it came.
    came: Option<usize>,
    /// The last life in which it was acknowledged, and when.
    acknowledged: Option<(usize, Instant)>,
}

pub struct Reader {
    name: &'static str,
    filter: &'static str,
    is_member: bool,
    /// Messages that are kept unacknowledged.
    hold: usize,
    seen: Arc<Mutex<Seen>>,
}

impl Seen {
    fn event(&mut self, place: Place) -> &mut Event {
        let channel = &mut self.channels[place.channel];
        let index = place.sequence as usize - 1;
        if channel.len() <= index {
            channel.resize(index + 1, Event::default());
        }
        &mut channel[index]
    }

    /// An event came: that must be right by what was acknowledged before.
    fn came(&mut self, place: Place, life: &Life) -> Event {
        let arrivals = self.arrivals;
        let event = self.event(place);
        assert_ne!(event.came, Some(life.number), "{place:?} came twice");
        let before = event.clone();
        if let Some((acknowledged_in, at)) = event.acknowledged {
            let margin = life.kills[acknowledged_in].saturating_duration_since(at);
            assert!(
                margin <= GRACE,
                "{place:?} comes again, acknowledged {margin:?} before the kill"
            );
        }
        event.came = Some(life.number);
        event.arrival.get_or_insert(arrivals);
        self.arrivals += usize::from(before.arrival.is_none());
        before
    }

    fn acknowledged(&mut self, place: Place, life: &Life) {
        let event = self.event(place);
        let earlier = event.acknowledged.replace((life.number, Instant::now()));
        self.acknowledged += usize::from(earlier.is_none());
    }

    /// Everything of a channel between two sequences, both left out, is acknowledged.
    fn assert_acknowledged(&self, channel: usize, after: u64, before: u64) {
        for sequence in after + 1..before {
            let event = self.channels[channel].get(sequence as usize - 1);
            assert!(
                event.is_some_and(|event| event.acknowledged.is_some()),
                "sequence {sequence} of channel {channel} was not acknowledged and does not come again"
            );
        }
    }
}

/// What one reader checks within one life.
struct Order {
    /// The newest sequence of each channel.
    newest: [u64; CHANNELS],
    time: u64,
    /// The arrival of the last event that came although it was acknowledged.
    again: Option<usize>,
    /// How many events were acknowledged when the life began.
    acknowledged: usize,
    fresh: bool,
}

impl Order {
    /// A client's own cursor: strict order, no gap, and what was acknowledged comes again only as a suffix.
    fn check(&mut self, place: Place, message: &Message, before: &Event, seen: &Seen) {
        assert!(message.time() >= self.time, "commit order: {message:?}");
        self.time = message.time();
        seen.assert_acknowledged(place.channel, self.newest[place.channel], place.sequence);
        assert!(place.sequence > self.newest[place.channel], "order: {message:?}");
        self.newest[place.channel] = place.sequence;
        match (before.acknowledged, before.arrival) {
            (Some(_), Some(arrival)) => {
                assert!(
                    self.again.is_none_or(|last| arrival == last + 1),
                    "a suffix: {message:?}"
                );
                assert!(!self.fresh, "acknowledged events come first: {message:?}");
                self.again = Some(arrival);
            }
            _ => {
                let whole = self.again.is_none_or(|last| last + 1 == self.acknowledged);
                assert!(self.fresh || whole, "a suffix that ends before {message:?}");
                self.fresh = true;
            }
        }
    }
}

impl Reader {
    pub fn new(name: &'static str, filter: &'static str, hold: usize, seen: Arc<Mutex<Seen>>) -> Self {
        Self {
            name,
            filter,
            is_member: false,
            hold,
            seen,
        }
    }

    pub fn member(name: &'static str, filter: &'static str, hold: usize, seen: Arc<Mutex<Seen>>) -> Self {
        Self {
            is_member: true,
            ..Self::new(name, filter, hold, seen)
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no other member failed")
    }

    /// Reads until the broker is killed.
    pub fn run(&mut self, life: &Life) {
        if let Err(fault) = self.read(life, self.hold, &|_| false) {
            life.broken::<()>(&fault);
        }
    }

    /// Reads and acknowledges until everything is.
    pub fn drain(&mut self, life: &Life, counts: &[u64; CHANNELS]) {
        let wanted: u64 = match self.filter {
            "k/1" => counts[1],
            _ => counts.iter().sum(),
        };
        self.read(life, 0, &|seen| seen.acknowledged as u64 == wanted)
            .expect("the broker lives");
    }

    fn read(&self, life: &Life, hold: usize, is_done: &dyn Fn(&Seen) -> bool) -> io::Result<()> {
        let connect = Connect {
            receive_maximum: Some(hold as u16 + 10),
            ..v5(self.name)
        };
        let mut client = Client::try_connect(life.address, connect)?;
        let acknowledged = self.seen().acknowledged;
        let wanted = [super::super::client::filter(self.filter, 1)];
        let ack = client.try_subscribe(&wanted, &[("replay", "first")])?;
        assert!(!ack.reasons[0].is_error(), "{ack:?}");
        let mut order = Order {
            newest: [0; CHANNELS],
            time: 0,
            again: None,
            acknowledged,
            fresh: false,
        };
        let mut held = VecDeque::new();
        let deadline = Instant::now() + DEADLINE;
        while !is_done(&self.seen()) {
            let message = match client.try_next(Instant::now() + PATIENCE) {
                Err(fault) if fault.kind() == ErrorKind::TimedOut && Instant::now() < deadline => continue,
                result => result?,
            };
            self.came(&message, life, &mut order);
            held.push_back(message);
            while held.len() > hold
                && let Some(message) = held.pop_front()
            {
                self.seen().acknowledged(place(&message), life);
                client.try_acknowledge(&message)?;
            }
        }
        Ok(())
    }

    fn came(&self, message: &Message, life: &Life, order: &mut Order) {
        let place = place(message);
        let mut seen = self.seen();
        let before = seen.came(place, life);
        if !self.is_member {
            order.check(place, message, &before, &seen);
        }
    }
}

/// How long one wait takes before it is looked whether all is done.
const PATIENCE: Duration = Duration::from_millis(100);
