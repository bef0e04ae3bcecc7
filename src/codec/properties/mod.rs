//! Properties (section 2.2.2): which there are, what type each has, and which packet may carry it.

mod raw;
mod walk;
mod write;

pub use raw::{properties, take_subscription_ids, user_properties, without_hop_properties};
pub use write::{encode_property, encode_user_property};

pub(super) use raw::spans;
pub(super) use walk::walk;
pub(super) use write::{fit, put_variable, variable_len};

/// The value of a property, borrowed from the bytes it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyValue<'a> {
    /// Byte.
    U8(u8),
    /// Two Byte Integer.
    U16(u16),
    /// Four Byte Integer.
    U32(u32),
    /// Variable Byte Integer.
    Variable(u32),
    /// UTF-8 Encoded String.
    Text(&'a str),
    /// Binary Data.
    Binary(&'a [u8]),
    /// UTF-8 String Pair.
    Pair(&'a str, &'a str),
}

/// The type of a property's value, with the values that the specification leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A byte that is 0 or 1.
    Bool,
    U16,
    /// Two bytes, not 0.
    U16NonZero,
    /// Topic Alias: two bytes, where 0 has a reason code of its own.
    Alias,
    U32,
    /// Four bytes, not 0.
    U32NonZero,
    /// Variable, not 0.
    VariableNonZero,
    Text,
    /// A string that is a topic name.
    Topic,
    Binary,
    Pair,
}

/// What carries properties: a packet, by its type, or the will in a CONNECT. A PUBLISH has other properties on the
/// way to the client than on the way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Will = 0,
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    Disconnect = 14,
    Auth = 15,
    PublishFromServer = 16,
}

impl Place {
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What the table says of a property.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) id: PropertyId,
    pub(super) kind: Kind,
    places: u32,
}

impl Rule {
    /// The rule of an identifier; `None` where the specification defines none.
    #[inline]
    pub(super) fn of(byte: u8) -> Option<&'static Self> {
        RULES.get(usize::from(byte))?.as_ref()
    }

    #[inline]
    pub(super) fn allows(&self, place: Place) -> bool {
        self.places & place.bit() != 0
    }

    /// Whether the property may stand more than once there.
    #[inline]
    pub(super) fn may_repeat(&self, place: Place) -> bool {
        match self.id {
            PropertyId::UserProperty => true,
            PropertyId::SubscriptionIdentifier => place == Place::PublishFromServer,
            _ => false,
        }
    }
}

const RULE_COUNT: usize = 0x2B;

macro_rules! property_table {
    ($($name:ident = $id:literal, $kind:ident, [$($place:ident)*], $text:literal;)*) => {
        /// A property identifier (section 2.2.2.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum PropertyId {
            $(#[doc = $text] $name = $id,)*
        }

        impl PropertyId {
            /// The specification's name of the property.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        static RULES: [Option<Rule>; RULE_COUNT] = {
            let mut rules = [None; RULE_COUNT];
            $(rules[$id] = Some(Rule {
                id: PropertyId::$name,
                kind: Kind::$kind,
                places: 0 $(| Place::$place.bit())*,
            });)*
            rules
        };

        #[cfg(test)]
        const ALL: &[PropertyId] = &[$(PropertyId::$name,)*];
    };
}

property_table! {
    PayloadFormatIndicator = 0x01, Bool, [Publish PublishFromServer Will], "Payload Format Indicator";
    MessageExpiryInterval = 0x02, U32, [Publish PublishFromServer Will], "Message Expiry Interval";
    ContentType = 0x03, Text, [Publish PublishFromServer Will], "Content Type";
    ResponseTopic = 0x08, Topic, [Publish PublishFromServer Will], "Response Topic";
    CorrelationData = 0x09, Binary, [Publish PublishFromServer Will], "Correlation Data";
    SubscriptionIdentifier = 0x0B, VariableNonZero, [PublishFromServer Subscribe], "Subscription Identifier";
    SessionExpiryInterval = 0x11, U32, [Connect ConnAck Disconnect], "Session Expiry Interval";
    AssignedClientIdentifier = 0x12, Text, [ConnAck], "Assigned Client Identifier";
    ServerKeepAlive = 0x13, U16, [ConnAck], "Server Keep Alive";
    AuthenticationMethod = 0x15, Text, [Connect ConnAck Auth], "Authentication Method";
    AuthenticationData = 0x16, Binary, [Connect ConnAck Auth], "Authentication Data";
    RequestProblemInformation = 0x17, Bool, [Connect], "Request Problem Information";
    WillDelayInterval = 0x18, U32, [Will], "Will Delay Interval";
    RequestResponseInformation = 0x19, Bool, [Connect], "Request Response Information";
    ResponseInformation = 0x1A, Text, [ConnAck], "Response Information";
    ServerReference = 0x1C, Text, [ConnAck Disconnect], "Server Reference";
    ReasonString = 0x1F, Text, [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth], "Reason String";
    ReceiveMaximum = 0x21, U16NonZero, [Connect ConnAck], "Receive Maximum";
    TopicAliasMaximum = 0x22, U16, [Connect ConnAck], "Topic Alias Maximum";
    TopicAlias = 0x23, Alias, [Publish PublishFromServer], "Topic Alias";
    MaximumQoS = 0x24, Bool, [ConnAck], "Maximum QoS";
    RetainAvailable = 0x25, Bool, [ConnAck], "Retain Available";
    UserProperty = 0x26, Pair, [
        Will Connect ConnAck Publish PublishFromServer PubAck PubRec PubRel PubComp Subscribe SubAck Unsubscribe
        UnsubAck Disconnect Auth
    ], "User Property";
    MaximumPacketSize = 0x27, U32NonZero, [Connect ConnAck], "Maximum Packet Size";
    WildcardSubscriptionAvailable = 0x28, Bool, [ConnAck], "Wildcard Subscription Available";
    SubscriptionIdentifiersAvailable = 0x29, Bool, [ConnAck], "Subscription Identifiers Available";
    SharedSubscriptionAvailable = 0x2A, Bool, [ConnAck], "Shared Subscription Available";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::reader::Reader;

    const PLACES: [Place; 15] = [
        Place::Will,
        Place::Connect,
        Place::ConnAck,
        Place::Publish,
        Place::PubAck,
        Place::PubRec,
        Place::PubRel,
        Place::PubComp,
        Place::Subscribe,
        Place::SubAck,
        Place::Unsubscribe,
        Place::UnsubAck,
        Place::Disconnect,
        Place::Auth,
        Place::PublishFromServer,
    ];

    fn sample(kind: Kind) -> PropertyValue<'static> {
        match kind {
            Kind::Bool => PropertyValue::U8(1),
            Kind::U16 | Kind::U16NonZero | Kind::Alias => PropertyValue::U16(0x0102),
            Kind::U32 | Kind::U32NonZero => PropertyValue::U32(0x0102_0304),
            Kind::VariableNonZero => PropertyValue::Variable(300),
            Kind::Text | Kind::Topic => PropertyValue::Text("a/b"),
            Kind::Binary => PropertyValue::Binary(&[0, 255]),
            Kind::Pair => PropertyValue::Pair("name", "value"),
        }
    }

    /// How many properties a packet may carry (section 2.2.2.2, table 2-4).
    fn count(place: Place) -> usize {
        match place {
            Place::Connect => 9,
            Place::ConnAck => 17,
            Place::Publish | Place::Will => 7,
            Place::PublishFromServer => 8,
            Place::Disconnect | Place::Auth => 4,
            Place::Unsubscribe => 1,
            _ => 2,
        }
    }

    #[test]
    fn a_property_stands_where_the_table_lets_it_and_reads_back() {
        for place in PLACES {
            let mut allowed = 0;
            for id in ALL {
                let rule = Rule::of(*id as u8).expect("every identifier has a row");
                let mut raw = vec![0];
                encode_property(*id, sample(rule.kind), &mut raw).expect("its own type");
                raw[0] = raw.len() as u8 - 1;
                let mut found = None;
                let result = walk(&mut Reader::new(&raw), place, |id, value| found = Some((id, value)));
                if rule.allows(place) {
                    assert_eq!(
                        (result, found),
                        (Ok(&raw[1..]), Some((*id, sample(rule.kind)))),
                        "{id:?}"
                    );
                    assert!(properties(&raw[1..]).eq(found));
                    allowed += 1;
                } else {
                    assert!(result.is_err() && found.is_none(), "{id:?} in {place:?}");
                }
            }
            assert_eq!(allowed, count(place), "{place:?}");
        }
    }

    #[test]
    fn only_user_properties_and_a_servers_subscription_identifiers_repeat() {
        for place in PLACES {
            for rule in ALL
                .iter()
                .filter_map(|id| Rule::of(*id as u8))
                .filter(|rule| rule.allows(place))
            {
                let mut raw = vec![0];
                for _ in 0..2 {
                    encode_property(rule.id, sample(rule.kind), &mut raw).expect("its own type");
                }
                raw[0] = raw.len() as u8 - 1;
                let repeats = rule.id == PropertyId::UserProperty
                    || (rule.id == PropertyId::SubscriptionIdentifier && place == Place::PublishFromServer);
                let result = walk(&mut Reader::new(&raw), place, |_, _| {});
                assert_eq!(result.is_ok(), repeats, "{:?} in {place:?}", rule.id);
            }
        }
    }
}
