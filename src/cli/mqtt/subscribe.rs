//! `rewindmq sub`: prints what comes, and acknowledges it when it is printed.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::client::{Client, Output, until};
use super::error::{MqttError, reason};
use super::screen::{Format, Screen};
use super::signals::Signals;
use super::subscribe_args::SubArgs;
use super::view::printable;
use super::{Ending, tell};
use crate::codec::{Ack, Packet, Publish, SubAck};
use crate::types::{Clock, PacketId, QoS, ReasonCode};

/// Subscribes and prints until the end that the options name, a signal, or a fault.
pub(super) async fn subscribe(args: &SubArgs) -> Result<Ending, MqttError> {
    let mut client = Client::open(&args.connection, args.connect()?).await?;
    let mut signals = Signals::listen()?;
    client.output().put(&Packet::Subscribe(args.subscribe()))?;
    let mut subscriber = Subscriber::new(args);
    let result = subscriber.run(&mut client, &mut signals).await;
    let ending = match result {
        Ok(ending) => ending,
        Err(fault) => {
            // What is being printed shall not be torn.
            if let Some(printing) = subscriber.printing {
                timeout(PATIENCE, printing.task).await.ok();
            }
            return Err(fault);
        }
    };
    client.close().await?;
    Ok(ending)
}

struct Subscriber<'a> {
    args: &'a SubArgs,
    screen: Screen,
    batch: Batch,
    printing: Option<Printing>,
    taken: u64,
    printed: u64,
    /// Messages of QoS 2 that the broker has still to release.
    unreleased: usize,
    idle_since: Instant,
    /// How it ends, and until when it waits for what is underway.
    leaving: Option<(Ending, Instant)>,
}

/// Messages that are to be printed, and who waits for that.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    acks: Vec<(PacketId, QoS)>,
    count: u64,
}

struct Printing {
    task: JoinHandle<io::Result<()>>,
    acks: Vec<(PacketId, QoS)>,
    count: u64,
}

impl<'a> Subscriber<'a> {
    fn new(args: &'a SubArgs) -> Self {
        Self {
            args,
            screen: Screen::new(args.format(), args.is_replay(), args.wide),
            batch: Batch::default(),
            printing: None,
            taken: 0,
            printed: 0,
            unreleased: 0,
            idle_since: Instant::now(),
            leaving: None,
        }
    }

    async fn run(&mut self, client: &mut Client, signals: &mut Signals) -> Result<Ending, MqttError> {
        loop {
            if self.printing.is_none() {
                client.take_packets(|packet, output| self.handle(packet, output))?;
                self.print();
            }
            let is_quiet = self.printing.is_none();
            if let Some((ending, _)) = self.leaving
                && is_quiet
                && self.unreleased == 0
            {
                return Ok(ending);
            }
            let deadline = self.deadline();
            tokio::select! {
                transferred = client.transfer(is_quiet) => transferred?,
                printed = finish(&mut self.printing), if !is_quiet => {
                    if !self.has_printed(printed, client.output())? {
                        return Ok(Ending::Done);
                    }
                }
                () = until(deadline) => match self.leaving {
                    Some((ending, _)) => return Ok(ending),
                    None => self.leave(self.ending_too_early()),
                },
                () = signals.come() => match self.leaving {
                    Some((ending, _)) => return Ok(ending),
                    None => self.leave(self.ending_too_early()),
                },
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.leaving {
            Some((_, until)) => Some(until),
            None => self
                .args
                .timeout
                .filter(|_| self.printing.is_none())
                .map(|time| self.idle_since + time),
        }
    }

    /// How it ends that nothing more comes.
    fn ending_too_early(&self) -> Ending {
        match self.args.count {
            Some(count) if self.printed < count => Ending::TooFew,
            _ => Ending::Done,
        }
    }

    fn leave(&mut self, ending: Ending) {
        self.leaving = Some((ending, Instant::now() + PATIENCE));
    }

    fn handle(&mut self, packet: Packet<'_>, output: &mut Output) -> Result<ControlFlow<()>, MqttError> {
        match packet {
            Packet::Publish(publish) => {
                let is_enough = self.args.count.is_some_and(|count| self.taken >= count);
                // What is not printed is not acknowledged: others get it, or this client the next time.
                if !is_enough && self.leaving.is_none() {
                    self.take(&publish);
                }
            }
            Packet::PubRel(ack) => {
                self.unreleased = self.unreleased.saturating_sub(1);
                output.put(&Packet::PubComp(Ack::new(ack.packet_id, ReasonCode::Success)))?;
            }
            Packet::SubAck(suback) => self.check(&suback)?,
            _ => {}
        }
        Ok(if self.batch.text.len() < LARGE_BATCH {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    }

    fn take(&mut self, publish: &Publish<'_>) {
        if self.batch.count == 0 {
            self.screen.fit();
        }
        self.screen.put(publish, Clock::System.now(), &mut self.batch.text);
        self.batch.acks.extend(publish.packet_id.map(|id| (id, publish.qos)));
        self.batch.count += 1;
        self.taken += 1;
    }

    /// Every filter has to be granted: one that is refused would be missing without a word.
    fn check(&mut self, suback: &SubAck) -> Result<(), MqttError> {
        let answers = self.args.full_filters().zip(&suback.reasons);
        let refused: Vec<String> = answers
            .filter(|(_, code)| code.is_error())
            .map(|(filter, code)| {
                let why = reason(*code, suback.reason_string.as_deref());
                format!(
                    "the broker refused the subscription to {}: {why}",
                    printable(filter.as_bytes())
                )
            })
            .collect();
        if !refused.is_empty() {
            return Err(MqttError::Refused(refused.join("\n")));
        }
        self.idle_since = Instant::now();
        self.greet(suback);
        Ok(())
    }

    /// Tells people what they may not expect: that this is no fresh start, or that all is well though nothing comes.
    fn greet(&self, suback: &SubAck) {
        if !matches!(self.args.format(), Format::People { .. }) {
            return;
        }
        let said = |name: &str| {
            suback
                .user_properties
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        if said("es-start").is_some_and(|start| start == "resumed") {
            let whose = if self.args.group.is_some() {
                "this group"
            } else {
                "this client"
            };
            tell(&format!(
                "# goes on where {whose} stopped; --reset starts at --from again\n"
            ));
        } else if io::stderr().is_terminal() {
            tell("# subscribed; Ctrl-C ends\n");
        }
    }

    /// Begins to print what came. Another thread writes, so that a reader that is slow does not cost the connection.
    fn print(&mut self) {
        let Batch { text, acks, count } = std::mem::take(&mut self.batch);
        if count == 0 {
            return;
        }
        let task = tokio::task::spawn_blocking(move || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&text)?;
            stdout.flush()
        });
        self.printing = Some(Printing { task, acks, count });
    }

    /// Acknowledges what is printed now; `false` if nobody reads any more.
    fn has_printed(&mut self, (result, acks, count): Printed, output: &mut Output) -> Result<bool, MqttError> {
        match result {
            Err(fault) if fault.kind() == ErrorKind::BrokenPipe => return Ok(false),
            result => result.map_err(MqttError::Output)?,
        }
        for (packet_id, qos) in acks {
            let ack = Ack::new(packet_id, ReasonCode::Success);
            if qos == QoS::ExactlyOnce {
                self.unreleased += 1;
                output.put(&Packet::PubRec(ack))?;
            } else {
                output.put(&Packet::PubAck(ack))?;
            }
        }
        self.printed += count;
        self.idle_since = Instant::now();
        if self.args.count.is_some_and(|wanted| self.printed >= wanted) && self.leaving.is_none() {
            self.leave(Ending::Done);
        }
        Ok(true)
    }
}

type Printed = (io::Result<()>, Vec<(PacketId, QoS)>, u64);

/// Waits until it is printed; can be dropped and called again.
async fn finish(printing: &mut Option<Printing>) -> Printed {
    let Some(running) = printing else {
        return std::future::pending().await;
    };
    let result = (&mut running.task)
        .await
        .unwrap_or_else(|fault| Err(io::Error::other(fault)));
    let (acks, count) = (std::mem::take(&mut running.acks), running.count);
    *printing = None;
    (result, acks, count)
}

/// Text that is printed at once, bytes; a message may be larger.
const LARGE_BATCH: usize = 256 << 10;
/// How long what is underway is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(5);
