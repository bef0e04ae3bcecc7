//! `rewindmq pub`: publishes with a window of messages underway, waits for the answers, and tells them.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::client::{Client, until};
use super::error::MqttError;
use super::ledger::{Ledger, Tally};
use super::payloads::Payloads;
use super::progress::Progress;
use super::publish_args::PubArgs;
use super::signals::Signals;
use super::{Ending, tell};
use crate::codec::{Packet, Publish, encoded_len};
use crate::config::show_size;
use crate::types::{QoS, Version};

/// Publishes all there is, or what there is until a signal or a fault, and tells what became of it.
pub(super) async fn publish(args: &PubArgs) -> Result<Ending, MqttError> {
    let payloads = Payloads::open(args)?;
    let mut client = Client::open(&args.connection, args.connection.connect()?).await?;
    let mut signals = Signals::listen()?;
    let mut publisher = Publisher::new(args, payloads, &client)?;
    let result = publisher.run(&mut client, &mut signals).await;
    publisher.progress.clear();
    if publisher.interrupted_until.is_some() {
        tell("rewindmq: interrupted\n");
    }
    let tally = publisher.ledger.tally();
    let result = match result {
        Ok(is_whole) => client.close().await.map(|()| is_whole),
        fault => fault,
    };
    if result.is_ok() || tally.sent > 0 || args.json {
        report(args, tally)?;
    }
    let is_good = result? && tally.refused == 0 && tally.unanswered == 0;
    Ok(if is_good { Ending::Done } else { Ending::Failed })
}

struct Publisher<'a> {
    args: &'a PubArgs,
    qos: QoS,
    properties: Vec<u8>,
    /// The largest packet that the broker takes.
    largest: Option<u32>,
    payloads: Payloads,
    /// Whether all payloads are sent.
    at_end: bool,
    /// Until when answers are waited for, where a signal came.
    interrupted_until: Option<Instant>,
    ledger: Ledger,
    progress: Progress,
}

impl<'a> Publisher<'a> {
    fn new(args: &'a PubArgs, payloads: Payloads, client: &Client) -> Result<Self, MqttError> {
        let connack = client.connack();
        if connack.maximum_qos.is_some_and(|most| args.qos > most) {
            let text = format!(
                "{} takes QoS {} at most",
                client.url(),
                connack.maximum_qos.unwrap_or(0)
            );
            return Err(MqttError::Less(text));
        }
        if args.retain && connack.retain_available == Some(false) {
            return Err(MqttError::Less(format!("{} keeps no retained messages", client.url())));
        }
        Ok(Self {
            args,
            qos: QoS::from_bits(args.qos).unwrap_or(QoS::AtLeastOnce),
            properties: args.raw_properties(),
            largest: connack.maximum_packet_size,
            progress: Progress::new(payloads.total()),
            payloads,
            at_end: false,
            interrupted_until: None,
            ledger: Ledger::new(connack.receive_maximum.unwrap_or(WINDOW).min(WINDOW)),
        })
    }

    /// `false` if a signal ended it; what was sent by then is waited for, but not for long.
    async fn run(&mut self, client: &mut Client, signals: &mut Signals) -> Result<bool, MqttError> {
        while !self.is_over(client) {
            let has_room = !self.at_end && self.ledger.has_room() && client.output().len() < MOST_OUTPUT;
            tokio::select! {
                payload = self.payloads.next(), if has_room => self.send(payload.transpose()?, client)?,
                transferred = client.transfer(true) => {
                    transferred?;
                    let ledger = &mut self.ledger;
                    client.take_packets(|packet, output| {
                        ledger.handle(packet, output).map(ControlFlow::Continue)
                    })?;
                }
                () = until(self.progress.next()) => {
                    let tally = self.ledger.tally();
                    self.progress.show(tally.sent - tally.unanswered);
                }
                () = signals.come() => match self.interrupted_until {
                    Some(_) => return Ok(false),
                    None => self.interrupt(client)?,
                },
                () = until(self.interrupted_until) => return Ok(false),
            }
        }
        Ok(self.interrupted_until.is_none())
    }

    fn interrupt(&mut self, client: &mut Client) -> Result<(), MqttError> {
        self.interrupted_until = Some(Instant::now() + PATIENCE);
        if self.at_end { Ok(()) } else { self.end(client) }
    }

    /// Nothing more is sent.
    fn end(&mut self, client: &mut Client) -> Result<(), MqttError> {
        self.at_end = true;
        match self.qos {
            QoS::AtMostOnce => client.ping(),
            _ => Ok(()),
        }
    }

    /// Whether the broker has answered all of it; what has no answer of its own it has before a PINGREQ that came behind.
    fn is_over(&self, client: &Client) -> bool {
        let is_answered = self.qos > QoS::AtMostOnce || client.has_answered_pings();
        self.at_end && self.ledger.is_settled() && is_answered
    }

    fn send(&mut self, payload: Option<Bytes>, client: &mut Client) -> Result<(), MqttError> {
        let Some(payload) = payload else {
            return self.end(client);
        };
        let packet_id = match self.qos {
            QoS::AtMostOnce => None,
            _ => self.ledger.note(),
        };
        if packet_id.is_none() {
            self.ledger.note_unanswered();
        }
        let packet = Packet::Publish(Publish {
            dup: false,
            qos: self.qos,
            retain: self.args.retain,
            topic: &self.args.topic,
            packet_id,
            topic_alias: None,
            expiry_secs: self.args.expiry,
            properties: &self.properties,
            has_hop_properties: false,
            has_user_properties: !self.properties.is_empty(),
            payload: &payload,
        });
        let len = encoded_len(&packet, Version::V5)?;
        match self.largest {
            Some(most) if len > most as usize => Err(MqttError::Less(format!(
                "message {} is too large: a packet of {len} bytes, and {} takes {}",
                self.ledger.tally().sent,
                client.url(),
                show_size(u64::from(most)),
            ))),
            _ => client.output().put(&packet),
        }
    }
}

fn report(args: &PubArgs, tally: &Tally) -> Result<(), MqttError> {
    let line = if args.json {
        serde_json::to_string(tally).expect("text and numbers are JSON")
    } else {
        summary(args.qos, tally)
    };
    let rest = tally.refused - tally.refusals.len() as u64;
    if rest > 0 {
        tell(&format!("rewindmq: {rest} more were refused\n"));
    }
    writeln!(std::io::stdout(), "{line}").map_err(MqttError::Output)
}

fn summary(qos: u8, tally: &Tally) -> String {
    if qos == 0 {
        return format!("{} sent", tally.sent);
    }
    let mut parts = vec![format!("{} acknowledged", tally.acknowledged)];
    match (tally.stored, tally.sequence) {
        (0, _) | (_, None) => parts.push("none stored".to_owned()),
        (1, Some(sequence)) => parts.push(format!("1 stored as sequence {sequence}")),
        (stored, Some(sequence)) => parts.push(format!("{stored} stored, the last as sequence {sequence}")),
    }
    let more = [
        (tally.unmatched, "had no subscriber"),
        (tally.refused, "refused"),
        (tally.unanswered, "not answered"),
    ];
    parts.extend(
        more.iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}")),
    );
    parts.join(", ")
}

/// Messages that are underway at once.
const WINDOW: u16 = 1_000;
/// How long answers are waited for after a signal.
const PATIENCE: Duration = Duration::from_secs(5);
/// What may wait to be written before more is added, bytes.
const MOST_OUTPUT: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_what_is_not_as_wished() {
        let mut tally = Tally {
            sent: 1,
            acknowledged: 1,
            ..Tally::default()
        };
        assert_eq!(summary(0, &tally), "1 sent");
        assert_eq!(summary(1, &tally), "1 acknowledged, none stored");
        (tally.stored, tally.sequence) = (1, Some(9));
        assert_eq!(summary(1, &tally), "1 acknowledged, 1 stored as sequence 9");
        (
            tally.acknowledged,
            tally.stored,
            tally.unmatched,
            tally.refused,
            tally.unanswered,
        ) = (5, 2, 3, 1, 4);
        assert_eq!(
            summary(2, &tally),
            "5 acknowledged, 2 stored, the last as sequence 9, 3 had no subscriber, 1 refused, 4 not answered"
        );
    }
}
