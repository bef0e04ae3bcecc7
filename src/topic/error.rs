//! What can be wrong with the text of a topic or a filter.

use super::MAX_TOPIC_BYTES;
use crate::types::ReasonCode;

/// Why a text is no topic name, filter or subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// It has no character [MQTT-4.7.3-1].
    #[error("a topic or filter needs at least one character")]
    Empty,
    /// It is longer than a string on the wire can be [MQTT-4.7.3-3].
    #[error("{0} bytes are too many for a topic or filter: at most {MAX_TOPIC_BYTES}")]
    TooLong(usize),
    /// It contains U+0000 [MQTT-4.7.3-2].
    #[error("a topic or filter must not contain U+0000")]
    Null,
    /// A topic name contains `+` or `#` [MQTT-3.3.2-2].
    #[error("a topic name must not contain the wildcards + and #")]
    WildcardInName,
    /// A `+` shares its level with other characters [MQTT-4.7.1-2].
    #[error("the wildcard + must be alone in its level")]
    MisplacedPlus,
    /// A `#` is not alone in the last level [MQTT-4.7.1-1].
    #[error("the wildcard # must be alone in the last level")]
    MisplacedHash,
    /// `$share//...`: the group has no name [MQTT-4.8.2-1].
    #[error("the group name in $share/<group>/<filter> is empty")]
    EmptyGroup,
    /// The name of the group contains a wildcard [MQTT-4.8.2-2].
    #[error("the group name in $share/<group>/<filter> must not contain + or #")]
    WildcardInGroup,
    /// `$share/g` without a filter [MQTT-4.8.2-2].
    #[error("no filter follows the group name: write $share/<group>/<filter>")]
    GroupWithoutFilter,
    /// `$replay//...`: the prefix has no value.
    #[error("the value in $replay/<value>/<filter> is empty: write for example $replay/first/<filter>")]
    EmptyReplay,
    /// The value of a `$replay` prefix contains a wildcard.
    #[error("the value in $replay/<value>/<filter> must not contain + or #: write times with Z or as Unix seconds")]
    WildcardInReplay,
    /// `$replay/first` without a filter.
    #[error("no filter follows the start: write $replay/<value>/<filter>")]
    ReplayWithoutFilter,
    /// `$select//...`: the prefix has no selector.
    #[error("the selector in $select/<selector>/<filter> is empty")]
    EmptySelector,
    /// The text of a `$select` prefix contains a wildcard.
    #[error("in $select/<selector>/<filter> write + as %2B and # as %23")]
    WildcardInSelector,
    /// The text of a `$select` prefix is not the percent-encoding of a UTF-8 text.
    #[error("the selector in $select/<selector>/<filter> is not percent-encoded UTF-8: write % as %25 and / as %2F")]
    MalformedSelector,
    /// `$select/...` without a filter.
    #[error("no filter follows the selector: write $select/<percent-encoded selector>/<filter>")]
    SelectorWithoutFilter,
    /// Prefixes in another order, or one of them twice.
    #[error("prefixes come once each and in this order: $share/<group>/$replay/<value>/$select/<selector>/<filter>")]
    PrefixOrder,
}

impl TopicError {
    /// The code of a SUBACK: 0x8F for a malformed filter, 0x83 for a malformed `$replay` or `$select` prefix.
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::EmptyReplay
            | Self::WildcardInReplay
            | Self::ReplayWithoutFilter
            | Self::EmptySelector
            | Self::WildcardInSelector
            | Self::MalformedSelector
            | Self::SelectorWithoutFilter
            | Self::PrefixOrder => ReasonCode::ImplementationSpecificError,
            _ => ReasonCode::TopicFilterInvalid,
        }
    }
}
