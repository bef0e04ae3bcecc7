//! A message as selectors see it, and which selectors it passes. Knows no subscription and no route.

use smallvec::SmallVec;

use crate::codec::{self, PropertyId, PropertyValue};
use crate::log::{ChannelKind, Event};
use crate::metrics::Metrics;
use crate::selector::{Asked, Header, Selector, SelectorSet, Source, Truth, Value};
use crate::topic::channel_name;
use crate::types::{Message, QoS, Sequence, Timestamp};

use super::lane::LaneItem;
use super::route::Kept;

/// A message and what selectors can ask of it beyond itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    message: &'a Message,
    is_event: bool,
    sequence: Option<Sequence>,
    redelivered: bool,
}

impl<'a> Subject<'a> {
    /// A message that is no stored event, or not yet.
    pub fn new(message: &'a Message, is_event: bool) -> Self {
        Self {
            message,
            is_event,
            sequence: None,
            redelivered: false,
        }
    }

    /// A message with its place in the log, if it has one.
    pub fn kept(message: &'a Message, kept: Option<Kept>) -> Self {
        let event = kept.filter(|kept| kept.kind == ChannelKind::Event);
        Self {
            sequence: event.map(|kept| kept.place.sequence),
            ..Self::new(message, event.is_some())
        }
    }

    /// A record of the log.
    pub fn record(event: &'a Event) -> Self {
        let is_event = event.kind == ChannelKind::Event;
        Self {
            sequence: is_event.then_some(event.sequence),
            ..Self::new(&event.message, is_event)
        }
    }

    /// What a reader has for a replay or a group; of a shared subscription, what is kept counts as no event.
    pub fn item(item: &'a LaneItem, is_share: bool, redelivered: bool) -> Self {
        let stored = item.stored.filter(|_| !is_share);
        Self {
            sequence: stored.map(|stored| stored.sequence),
            redelivered,
            ..Self::new(&item.message, stored.is_some())
        }
    }

    fn property(&self, wanted: PropertyId) -> Value<'a> {
        let mut properties = codec::properties(self.message.properties());
        match properties.find(|(id, _)| *id == wanted) {
            Some((_, PropertyValue::Text(text))) => Value::Text(text.into()),
            Some((_, PropertyValue::Binary(bytes))) => {
                std::str::from_utf8(bytes).map_or(Value::Null, |text| Value::Text(text.into()))
            }
            _ => Value::Null,
        }
    }

    fn message_id(&self) -> Value<'a> {
        let Some(sequence) = self.sequence else {
            return Value::Null;
        };
        let channel = channel_name(self.message.topic());
        Value::Text(format!("ID:{channel}/{}", sequence.0).into())
    }

    fn expiration(&self) -> i64 {
        let Some(secs) = self.message.expiry_secs() else {
            return 0;
        };
        millis(self.message.received()).saturating_add(i64::from(secs) * 1_000)
    }
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.0 / 1_000_000).unwrap_or(i64::MAX)
}

impl Source for Subject<'_> {
    fn header(&self, header: Header) -> Value<'_> {
        let message = self.message;
        match header {
            Header::Type => self.property(PropertyId::ContentType),
            Header::CorrelationId => self.property(PropertyId::CorrelationData),
            Header::ReplyTo => self.property(PropertyId::ResponseTopic),
            Header::MessageId => self.message_id(),
            Header::Timestamp => Value::Integer(millis(message.received())),
            Header::Expiration => Value::Integer(self.expiration()),
            Header::DeliveryMode if self.is_event => Value::Text("PERSISTENT".into()),
            Header::DeliveryMode => Value::Text("NON_PERSISTENT".into()),
            Header::Priority => Value::Integer(4),
            Header::Redelivered => Value::Bool(self.redelivered),
            Header::Destination | Header::Topic => Value::Text(message.topic().into()),
            Header::QoS => Value::Integer(match message.qos() {
                QoS::AtMostOnce => 0,
                QoS::AtLeastOnce => 1,
                QoS::ExactlyOnce => 2,
            }),
            Header::Retain => Value::Bool(message.retain()),
        }
    }

    fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        codec::user_properties(self.message.properties())
    }

    fn payload(&self) -> &[u8] {
        self.message.payload()
    }
}

/// Names a selector within a set; [`ANY`] is none, which everything passes.
pub(super) type SelectorIndex = u32;

/// No selector.
pub(super) const ANY: SelectorIndex = SelectorIndex::MAX;

/// Which selectors of a set a message passes.
#[derive(Clone, Debug)]
pub struct Passes(SmallVec<[bool; 16]>);

impl Passes {
    /// Asks every selector of a set.
    pub fn new(set: &SelectorSet, subject: &Subject<'_>, metrics: &Metrics) -> Self {
        let passes: SmallVec<_> = set.evaluate(subject).map(|truth| truth == Truth::True).collect();
        let passed = passes.iter().filter(|passes| **passes).count();
        count(metrics, passes.len() as u64, passed as u64);
        Self(passes)
    }

    /// Whether the message passes this one.
    pub fn of(&self, selector: SelectorIndex) -> bool {
        selector == ANY || self.0.get(selector as usize).is_some_and(|passes| *passes)
    }
}

/// Whether a message passes a selector that looks at it alone.
pub(super) fn passes(selector: &Selector, subject: &Subject<'_>, metrics: &Metrics) -> bool {
    let passes = selector.evaluate(subject) == Truth::True;
    count(metrics, 1, u64::from(passes));
    passes
}

/// Whether the message that is asked about passes one selector of a set.
pub(super) fn passes_asked(asked: &Asked<'_, Subject<'_>>, selector: SelectorIndex, metrics: &Metrics) -> bool {
    let passes = asked.says(selector as usize) == Truth::True;
    count(metrics, 1, u64::from(passes));
    passes
}

/// What a selector says of a message that is no stored event, for those who try it without a broker.
pub fn selector_says(selector: &Selector, message: &Message) -> Truth {
    selector.evaluate(&Subject::new(message, false))
}

/// Counts evaluations.
pub(super) fn count(metrics: &Metrics, evaluated: u64, passed: u64) {
    metrics.selector_evaluated.increment(evaluated);
    metrics.selector_passed.increment(passed);
    metrics.selector_skipped.increment(evaluated - passed);
}

#[cfg(test)]
mod tests;
