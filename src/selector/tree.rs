//! A selector as a tree, over names as they are written or over the slots that they were given. Computes nothing.

use super::like::Pattern;

/// Something that is true, false or unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition<N> {
    /// One of these, at least two.
    Or(Vec<Self>),
    /// All of these, at least two.
    And(Vec<Self>),
    /// The opposite; unknown stays unknown.
    Not(Box<Self>),
    /// Two operands compared.
    Compare(Comparison, Operand<N>, Operand<N>),
    /// `[NOT] BETWEEN`
    Between {
        /// What is looked at.
        operand: Operand<N>,
        /// The lower bound, inclusive.
        low: Operand<N>,
        /// The upper bound, inclusive.
        high: Operand<N>,
        /// Whether NOT is there.
        negated: bool,
    },
    /// `[NOT] IN`
    In {
        /// What is looked at.
        name: N,
        /// Strings and numbers.
        items: Vec<Literal>,
        /// Whether NOT is there.
        negated: bool,
    },
    /// `[NOT] LIKE`
    Like {
        /// What is looked at.
        name: N,
        /// What it is to be like.
        pattern: Pattern,
        /// Whether NOT is there.
        negated: bool,
    },
    /// `IS [NOT] NULL`
    IsNull {
        /// What is looked at.
        name: N,
        /// Whether NOT is there.
        negated: bool,
    },
    /// A name alone, as a boolean.
    Name(N),
    /// TRUE or FALSE alone.
    Always(bool),
}

/// Something that has a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand<N> {
    /// A literal.
    Literal(Literal),
    /// What the message says under a name.
    Name(N),
    /// A sign before something that is no literal.
    Signed(Sign, Box<Self>),
    /// Added and subtracted from left to right.
    Sum(Box<Self>, Vec<(Sign, Self)>),
    /// Multiplied and divided from left to right.
    Product(Box<Self>, Vec<(Scale, Self)>),
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// An exact number.
    Integer(i64),
    /// An approximate number; finite.
    Float(f64),
    /// A string.
    Text(String),
    /// TRUE or FALSE.
    Bool(bool),
}

/// `+` or `-`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// `*` or `/`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// `*`
    Times,
    /// `/`
    Over,
}

/// How two operands are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it asks which is greater, which strings and booleans do not answer.
    pub(super) fn is_ordering(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// A name as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// What every message has.
    Header(Header),
    /// A user property.
    Property(String),
    /// A place in a JSON payload; no step is the payload itself.
    Payload(Vec<Step>),
}

/// One step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The member of an object.
    Member(String),
    /// The element of an array; the first is 0.
    Element(u32),
}

macro_rules! headers {
    ($($(#[$about:meta])* $header:ident = $text:literal,)*) => {
        /// What every message has beside its properties and payload. No property can take such a name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Header {
            $($(#[$about])* $header,)*
        }

        impl Header {
            /// Every header.
            pub const ALL: &[Self] = &[$(Self::$header,)*];

            /// Its name in a selector.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$header => $text,)*
                }
            }

            /// The header of this name.
            pub fn of(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$header),)*
                    _ => None,
                }
            }
        }
    };
}

headers! {
    /// Content Type.
    Type = "JMSType",
    /// Correlation Data, if it is UTF-8.
    CorrelationId = "JMSCorrelationID",
    /// `ID:<channel>/<sequence>` of a stored event.
    MessageId = "JMSMessageID",
    /// When the broker received it, Unix milliseconds.
    Timestamp = "JMSTimestamp",
    /// `PERSISTENT` for a stored event, else `NON_PERSISTENT`.
    DeliveryMode = "JMSDeliveryMode",
    /// Always 4.
    Priority = "JMSPriority",
    /// When it expires, Unix milliseconds; 0 if never.
    Expiration = "JMSExpiration",
    /// Whether it was sent to the subscriber before.
    Redelivered = "JMSRedelivered",
    /// Response Topic.
    ReplyTo = "JMSReplyTo",
    /// The topic.
    Destination = "JMSDestination",
    /// The topic.
    Topic = "topic",
    /// The QoS it was published with.
    QoS = "qos",
    /// Whether it was published with RETAIN.
    Retain = "retain",
}

/// The first word of a path into the payload.
pub(super) const PAYLOAD: &str = "payload";
