//! The time between two disasters, as the clients know it: how to connect, whether a connection may break, and the
//! traps that end it at a chosen moment.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rewindmq::codec::Connect;
use rewindmq::types::ReasonCode;

use crate::client::{Client, DEADLINE};

/// Why a client stops.
#[derive(Debug)]
pub enum End {
    /// The connection broke.
    Broken(io::Error),
    /// The broker did wrong.
    Wrong(String),
}

/// Where in a QoS 2 exchange a trap lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// A publisher has PUBREC and has not sent PUBREL.
    GotPubRec,
    /// A subscriber has sent PUBREC and has not seen PUBREL.
    SentPubRec,
    /// A subscriber has PUBREL and has not sent PUBCOMP.
    GotPubRel,
}

/// Ends the life when this client comes to this moment.
pub struct Trap {
    pub client: &'static str,
    pub moment: Moment,
    /// How many times it may come there before.
    pub spared: AtomicU32,
}

pub struct Life {
    address: SocketAddr,
    /// Which one, from 0.
    pub number: usize,
    trap: Option<Trap>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The trap was sprung.
    sprung: bool,
    /// From now on connections may break.
    ending: bool,
    ended: bool,
    faults: Vec<String>,
    connections: Vec<TcpStream>,
}

impl Life {
    pub fn new(address: SocketAddr, number: usize, trap: Option<Trap>) -> Self {
        Self {
            address,
            number,
            trap,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a lock that nobody breaks")
    }

    /// Waits until the deadline or `is_over`.
    fn wait(&self, deadline: Instant, is_over: impl Fn(&State) -> bool) {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = self
            .changed
            .wait_timeout_while(self.state(), left, |state| !is_over(state));
        drop(wait.expect("a lock that nobody breaks"));
    }

    /// Connects. A client that `has_session` must find it.
    pub fn connect(&self, connect: Connect, has_session: bool) -> Result<Client, End> {
        let mut client = Client::try_connect(self.address, connect)?;
        let connack = &client.connack;
        if connack.reason != ReasonCode::Success {
            return Err(End::Wrong(format!("was refused: {:?}", connack.reason)));
        }
        if has_session && !connack.session_present {
            return Err(End::Wrong("has lost its session: session present is 0".to_owned()));
        }
        let copy = client.stream().try_clone()?;
        let mut state = self.state();
        if state.ending {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
        }
        state.connections.push(copy);
        Ok(client)
    }

    /// Judges why a client stopped: connections break only when the life ends.
    pub fn judge(&self, client: &str, result: Result<(), End>) {
        let mut state = self.state();
        let fault = match result {
            Err(End::Wrong(fault)) => fault,
            Err(End::Broken(fault)) if !state.ending => format!("its connection broke: {fault}"),
            _ => return,
        };
        state.faults.push(format!("{client}: {fault}"));
        self.changed.notify_all();
    }

    /// A client comes to a moment; gives whether a trap was there, and then only after the life has ended.
    pub fn springs(&self, client: &str, moment: Moment) -> bool {
        let Some(trap) = &self.trap else { return false };
        if trap.client != client || trap.moment != moment {
            return false;
        }
        let spared = trap.spared.load(Ordering::SeqCst);
        if spared > 0 {
            trap.spared.store(spared - 1, Ordering::SeqCst);
            return false;
        }
        self.state().sprung = true;
        self.changed.notify_all();
        self.wait(Instant::now() + DEADLINE, |state| state.ended);
        true
    }

    /// Lets the clients do until the deadline, a sprung trap or a fault.
    pub fn go_on(&self, length: Duration) {
        let deadline = Instant::now() + length;
        self.wait(deadline, |state| state.sprung || !state.faults.is_empty());
    }

    /// Lets time pass for a client that rests.
    pub fn rest(&self, length: Duration) {
        self.wait(Instant::now() + length, |state| state.ending);
    }

    pub fn is_ending(&self) -> bool {
        self.state().ending
    }

    /// Ends it by a disaster.
    pub fn end(&self, disaster: impl FnOnce()) {
        self.state().ending = true;
        self.changed.notify_all();
        disaster();
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// Breaks every connection from outside.
    pub fn cut(&self) {
        for connection in &self.state().connections {
            // It may be broken already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    /// The moment whose trap was sprung.
    pub fn sprung(&self) -> Option<Moment> {
        let sprung = self.state().sprung;
        self.trap.as_ref().filter(|_| sprung).map(|trap| trap.moment)
    }
}

impl From<io::Error> for End {
    fn from(fault: io::Error) -> Self {
        Self::Broken(fault)
    }
}

impl From<String> for End {
    fn from(fault: String) -> Self {
        Self::Wrong(fault)
    }
}
