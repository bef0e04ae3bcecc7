//! A replay subscription that reads the log sends events from the store's pages into the output, with no message between.

use super::replay::{PumpContext, ReplaySubscription, metric_reason};
use super::subscription::SubscriptionOptions;
use super::{BATCH_BYTES, BATCH_RECORDS};
use crate::cursor::AckFloor;
use crate::log::{LogError, Origin, Raw, Take};
use crate::metrics::DeliveryKind;
use crate::session::{EventPlace, Reread, Source, SubscriptionKey};
use crate::topic::put_channel_name;
use crate::types::{ChannelId, Position, QoS, Sequence};

impl ReplaySubscription {
    /// How what is read next goes to the client.
    pub(super) fn way(&self, context: &mut PumpContext<'_>) -> Way {
        let window = context.session.options().client_receive_maximum;
        let few = self.options.qos > QoS::AtMostOnce && window < LEAST_WINDOW;
        if few || self.selector.is_some() || context.guard.is_some() || !context.session.can_reread(self.options.qos) {
            return Way::Buffer;
        }
        let session = &mut *context.session;
        if session.can_send(self.options.qos) && session.output().len() < context.output_limit {
            Way::Straight
        } else {
            Way::Wait
        }
    }

    /// Reads on in the log and sends what is wanted, as far as the client and the output take it.
    pub(super) fn reread(&mut self, context: &mut PumpContext<'_>) -> Result<(), LogError> {
        let cursor = self.cursor.clone();
        self.scanned_to = cursor.change_state(context.table, |state| {
            let reader = context.reader;
            let mut sender = Sender {
                subscription: self.key,
                options: self.options,
                origin: &self.origin,
                redelivered_to: self.redelivered_to,
                acks: &mut state.acks,
                context,
                channel: Vec::new(),
                is_full: false,
                refused: None,
            };
            let mut scanned_to = self.scan.give_batch(reader, &mut sender, BATCH_RECORDS, BATCH_BYTES)?;
            if let Some(refused) = sender.refused {
                scanned_to = Position(refused.0 - 1);
                self.scan.seek(scanned_to);
            }
            state.scanned_to = scanned_to;
            state.acks.skip_to(scanned_to);
            Ok::<_, LogError>(scanned_to)
        })?;
        Ok(())
    }
}

/// How events go from the log to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the store's pages into the output.
    Straight,
    /// As messages that wait until they can be sent.
    Buffer,
    /// Not before the client has acknowledged, or the output is written.
    Wait,
}

/// Sends the events that a scan finds.
struct Sender<'a, 'c> {
    subscription: SubscriptionKey,
    options: SubscriptionOptions,
    origin: &'a Origin,
    redelivered_to: Position,
    acks: &'a mut AckFloor,
    context: &'a mut PumpContext<'c>,
    channel: Vec<u8>,
    is_full: bool,
    /// An event for which there was no packet identifier; it is read again.
    refused: Option<Position>,
}

impl Take for Sender<'_, '_> {
    fn is_full(&self) -> bool {
        self.is_full
    }

    fn admits(&mut self, position: Position, channel: ChannelId, sequence: Sequence) -> bool {
        self.origin.admits(position, channel, sequence) && !self.acks.is_acked(position)
    }

    fn take(&mut self, event: &Raw<'_>) {
        let session = &mut *self.context.session;
        let record = &event.record;
        if self.options.no_local && record.publisher == Some(session.client_id().as_str()) {
            return;
        }
        let source = Source::Replay(self.subscription, event.position);
        let redelivered = event.position <= self.redelivered_to;
        let qos = self.options.qos.min(record.head.qos());
        put_channel_name(event.topic, &mut self.channel);
        let message = Reread {
            topic: event.topic,
            channel: &self.channel,
            properties: record.properties,
            payload: record.payload,
            expiry_secs: record.expiry_secs,
            received: record.received,
            qos,
            subscription_id: self.options.id,
            source,
            place: EventPlace {
                sequence: record.head.sequence,
                time: record.head.time,
                redelivered,
            },
        };
        match session.send_from_log(&message, self.context.now) {
            Ok(true) => {}
            Ok(false) => {
                (self.is_full, self.refused) = (true, Some(event.position));
                return;
            }
            Err(reason) => {
                let id = &self.context.outbox.client_id;
                self.context.drops.count(id, metric_reason(reason), event.topic, 1);
                return;
            }
        }
        self.acks.sent(event.position);
        if qos == QoS::AtMostOnce {
            self.context.unwritten.push(source, session.output().len());
        }
        let output_is_full = session.output().len() >= self.context.output_limit;
        self.is_full = output_is_full || !session.can_send(self.options.qos);
        let tally = &mut self.context.tally;
        tally.sent(DeliveryKind::Replay, qos, record.payload.len());
        if redelivered {
            tally.redelivered();
        }
    }
}

/// A client that acknowledges a few messages at a time would have the log opened for each few.
const LEAST_WINDOW: u16 = 64;
