//! Which reason codes a packet may carry, and what 3.1.1 says instead. Knows no bytes.

use super::error::DecodeError;
use crate::types::ReasonCode::{self, *};

/// CONNACK (section 3.2.2.2).
pub(super) const CONNACK: &[ReasonCode] = &[
    Success,
    UnspecifiedError,
    MalformedPacket,
    ProtocolError,
    ImplementationSpecificError,
    UnsupportedProtocolVersion,
    ClientIdentifierNotValid,
    BadUserNameOrPassword,
    NotAuthorized,
    ServerUnavailable,
    ServerBusy,
    Banned,
    BadAuthenticationMethod,
    TopicNameInvalid,
    PacketTooLarge,
    QuotaExceeded,
    PayloadFormatInvalid,
    RetainNotSupported,
    QoSNotSupported,
    UseAnotherServer,
    ServerMoved,
    ConnectionRateExceeded,
];

/// PUBACK and PUBREC (sections 3.4.2.1 and 3.5.2.1).
pub(super) const PUBLISH_ACK: &[ReasonCode] = &[
    Success,
    NoMatchingSubscribers,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicNameInvalid,
    PacketIdentifierInUse,
    QuotaExceeded,
    PayloadFormatInvalid,
];

/// PUBREL and PUBCOMP (sections 3.6.2.1 and 3.7.2.1).
pub(super) const RELEASE: &[ReasonCode] = &[Success, PacketIdentifierNotFound];

/// SUBACK (section 3.9.3).
pub(super) const SUBACK: &[ReasonCode] = &[
    Success,
    GrantedQoS1,
    GrantedQoS2,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicFilterInvalid,
    PacketIdentifierInUse,
    QuotaExceeded,
    SharedSubscriptionsNotSupported,
    SubscriptionIdentifiersNotSupported,
    WildcardSubscriptionsNotSupported,
];

/// SUBACK of MQTT 3.1.1 (its section 3.9.3).
pub(super) const SUBACK_V3: &[ReasonCode] = &[Success, GrantedQoS1, GrantedQoS2, UnspecifiedError];

/// UNSUBACK (section 3.11.3).
pub(super) const UNSUBACK: &[ReasonCode] = &[
    Success,
    NoSubscriptionExisted,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicFilterInvalid,
    PacketIdentifierInUse,
];

/// DISCONNECT (section 3.14.2.1).
pub(super) const DISCONNECT: &[ReasonCode] = &[
    Success,
    DisconnectWithWill,
    UnspecifiedError,
    MalformedPacket,
    ProtocolError,
    ImplementationSpecificError,
    NotAuthorized,
    ServerBusy,
    ServerShuttingDown,
    KeepAliveTimeout,
    SessionTakenOver,
    TopicFilterInvalid,
    TopicNameInvalid,
    ReceiveMaximumExceeded,
    TopicAliasInvalid,
    PacketTooLarge,
    MessageRateTooHigh,
    QuotaExceeded,
    AdministrativeAction,
    PayloadFormatInvalid,
    RetainNotSupported,
    QoSNotSupported,
    UseAnotherServer,
    ServerMoved,
    SharedSubscriptionsNotSupported,
    ConnectionRateExceeded,
    MaximumConnectTime,
    SubscriptionIdentifiersNotSupported,
    WildcardSubscriptionsNotSupported,
];

/// AUTH (section 3.15.2.1).
pub(super) const AUTH: &[ReasonCode] = &[Success, ContinueAuthentication, ReAuthenticate];

/// The reason code of a byte, if the packet may carry it.
#[inline]
pub(super) fn read(byte: u8, allowed: &[ReasonCode]) -> Result<ReasonCode, DecodeError> {
    allowed
        .iter()
        .copied()
        .find(|code| code.byte() == byte)
        .ok_or_else(|| DecodeError::malformed("a reason code that this packet does not have"))
}

/// The return code of a 3.1.1 CONNACK (its section 3.2.2.3). `None` where no return code applies: then the server
/// closes without a CONNACK [MQTT-3.2.2-6 of 3.1.1].
pub(super) fn return_code(reason: ReasonCode) -> Option<u8> {
    match reason {
        Success => Some(0),
        UnsupportedProtocolVersion => Some(1),
        ClientIdentifierNotValid => Some(2),
        ServerUnavailable | ServerBusy | QuotaExceeded | UseAnotherServer | ServerMoved | ConnectionRateExceeded => {
            Some(3)
        }
        BadUserNameOrPassword => Some(4),
        NotAuthorized | Banned | BadAuthenticationMethod => Some(5),
        _ => None,
    }
}

/// The reason that a 3.1.1 return code stands for.
pub(super) fn from_return_code(code: u8) -> Result<ReasonCode, DecodeError> {
    match code {
        0 => Ok(Success),
        1 => Ok(UnsupportedProtocolVersion),
        2 => Ok(ClientIdentifierNotValid),
        3 => Ok(ServerUnavailable),
        4 => Ok(BadUserNameOrPassword),
        5 => Ok(NotAuthorized),
        _ => Err(DecodeError::malformed("a return code that CONNACK does not have")),
    }
}
