//! The labels that metrics have: closed sets, so that a family of counters is as large as it will ever be.

use metrics::Counter;

use crate::types::QoS;

/// A label with a closed set of values.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value, in the order of `index`, with its text.
    const VALUES: &'static [(Self, &'static str)];

    /// The place of this value in `VALUES`.
    fn index(self) -> usize;

    /// The text of this value.
    fn text(self) -> &'static str {
        Self::VALUES[self.index()].1
    }
}

/// One counter, gauge or histogram for each value of a label.
#[derive(Clone)]
pub struct Family<L, M = Counter> {
    members: Box<[M]>,
    label: std::marker::PhantomData<L>,
}

impl<L: Label, M> Family<L, M> {
    /// Makes each member by the text of its value.
    pub(super) fn new(make: impl Fn(&'static str) -> M) -> Self {
        let members = L::VALUES.iter().map(|(_, text)| make(text)).collect();
        Self {
            members,
            label: std::marker::PhantomData,
        }
    }

    /// The member of a value.
    pub fn of(&self, value: L) -> &M {
        &self.members[value.index()]
    }
}

impl Label for QoS {
    const NAME: &'static str = "qos";
    const VALUES: &'static [(Self, &'static str)] = &[
        (Self::AtMostOnce, "0"),
        (Self::AtLeastOnce, "1"),
        (Self::ExactlyOnce, "2"),
    ];

    fn index(self) -> usize {
        usize::from(self.bits())
    }
}

/// An enum that is a label: each value with its meaning and its text.
macro_rules! label {
    ($(#[$meaning:meta])* $name:ident, $label:literal, { $($(#[$about:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$meaning])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$about])* $value,)*
        }

        impl Label for $name {
            const NAME: &'static str = $label;
            const VALUES: &'static [(Self, &'static str)] = &[$((Self::$value, $text)),*];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// Where a delivered message came from.
    DeliveryKind, "kind", {
        /// Published while the subscriber was subscribed.
        Live = "live",
        /// Read from the event store.
        Replay = "replay",
        /// Sent because a subscription was made.
        Retained = "retained",
    }
}

label! {
    /// Whether a session has a connection.
    SessionState, "state", {
        /// Its client is connected.
        Connected = "connected",
        /// It waits for its client.
        Absent = "absent",
    }
}

label! {
    /// Whose cursors.
    CursorKind, "kind", {
        /// Those of replay subscriptions.
        Client = "client",
        /// Those of groups with a start option.
        Group = "group",
    }
}

label! {
    /// Which way a message took to those who are there.
    DeliveryPath, "path", {
        /// Past the store: nobody keeps it.
        Direct = "direct",
        /// Through a commit.
        Stored = "stored",
    }
}

label! {
    /// Why the store did not write.
    StoreFault, "reason", {
        /// There is no room.
        Full = "full",
        /// The disk, or what is on it, failed.
        Failed = "failed",
    }
}

label! {
    /// What a client proved itself by.
    Backend, "backend", {
        /// Enhanced authentication.
        Scram = "scram",
        /// A password of the users file.
        Users = "users",
        /// A token.
        Jwt = "jwt",
        /// The HTTP service.
        Http = "http",
        /// Its certificate alone.
        Certificate = "certificate",
    }
}

label! {
    /// Why a message did not reach somebody who should have had it.
    DropReason, "reason", {
        /// Its Message Expiry Interval was over.
        Expired = "expired",
        /// As much as may wait was waiting already.
        QueueFull = "queue_full",
        /// It was larger than the client takes.
        TooLarge = "too_large",
        /// Its session ended with it unacknowledged.
        SessionEnded = "session_ended",
        /// The event store did not take it.
        StoreRefused = "store_refused",
        /// Its `store` property was not understood.
        InvalidStoreProperty = "invalid_store_property",
        /// Its publisher may not store what no rule covers.
        StoreForbidden = "store_forbidden",
        /// It was to be retained where no more can be.
        RetainedFull = "retained_full",
        /// It was a QoS 0 message for a client that is absent.
        Qos0Offline = "qos0_offline",
        /// It was a QoS 0 message for a client that reads too slowly.
        SlowReader = "slow_reader",
        /// Its topic is none that can be published to.
        InvalidTopic = "invalid_topic",
        /// More waited for a durable session than may.
        SessionLimit = "session_limit",
        /// Its publisher, or its reader, was not allowed to.
        Unauthorized = "unauthorized",
    }
}

label! {
    /// What a client had too much of.
    Limit, "limit", {
        /// Clients that are connected (`session.max_connections`).
        Connections = "connections",
        /// Connections of one listener (`max_connections` of `[[listeners]]`).
        ListenerConnections = "listener_connections",
        /// Connections of one address (`limits.max_connections_per_address`).
        AddressConnections = "address_connections",
        /// Connections per second of one address (`limits.connection_rate`).
        ConnectionRate = "connection_rate",
        /// Sessions (`limits.max_sessions`).
        Sessions = "sessions",
        /// Subscriptions of one session (`session.max_subscriptions`).
        Subscriptions = "subscriptions",
        /// Cursors, in all or of one client (`store.max_cursors`, `store.max_cursors_per_client`).
        Cursors = "cursors",
        /// Length or levels of a topic (`limits.max_topic_bytes`, `limits.max_topic_levels`).
        Topic = "topic",
        /// Length or levels of a filter (`limits.max_filter_bytes`, `limits.max_filter_levels`).
        Filter = "filter",
        /// User properties, or their bytes (`limits.max_user_properties`, `limits.max_user_property_bytes`).
        UserProperties = "user_properties",
        /// The payload of a will (`limits.max_will_bytes`).
        Will = "will",
        /// The size of a packet (`session.max_packet_size`).
        PacketSize = "packet_size",
        /// PUBLISH packets or their bytes per second (`limits.publish_rate`, `limits.publish_bytes`): the client had to wait.
        PublishRate = "publish_rate",
    }
}

label! {
    /// What a client was not allowed to do.
    Unauthorized, "action", {
        /// To publish.
        Publish = "publish",
        /// To subscribe to any topic of a filter.
        Subscribe = "subscribe",
        /// To replay any topic of a filter.
        Replay = "replay",
        /// To have stored what it published.
        Store = "store",
        /// To have its will published.
        Will = "will",
        /// To get a message of a filter of which it may read a part.
        Delivery = "delivery",
    }
}

label! {
    /// Why a connection was closed before it was accepted.
    RefusalReason, "reason", {
        /// CONNECT was malformed, broke the protocol, or was not the first packet.
        Protocol = "protocol",
        /// The protocol version is not spoken here.
        Version = "version",
        /// Its enhanced authentication failed, or is not offered.
        Authentication = "authentication",
        /// The client identifier cannot be used.
        ClientId = "client_id",
        /// Another client with this identifier is connected.
        DuplicateClientId = "duplicate_client_id",
        /// A limit of the configuration; `rewindmq_limited_total` tells which.
        Limit = "limit",
        /// It may not publish its will.
        Will = "will",
        /// CONNECT did not come in time.
        Timeout = "timeout",
        /// The connection was lost before CONNECT was there.
        Lost = "lost",
        /// The store could not keep the session, or not read it.
        Store = "store",
        /// Its TLS handshake failed, or its certificate names nobody.
        Tls = "tls",
        /// Its WebSocket handshake failed.
        WebSocket = "websocket",
        /// It had no right to a header of the PROXY protocol, or a wrong one.
        Proxy = "proxy",
        /// The broker is stopping.
        Stopping = "stopping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices_hold<L: Label>() {
        let texts: std::collections::BTreeSet<_> = L::VALUES.iter().map(|(_, text)| text).collect();
        assert_eq!(texts.len(), L::VALUES.len(), "{}", L::NAME);
        for (index, (value, _)) in L::VALUES.iter().enumerate() {
            assert_eq!(value.index(), index, "{}", L::NAME);
        }
    }

    #[test]
    fn every_value_finds_its_own_counter() {
        indices_hold::<QoS>();
        indices_hold::<DeliveryKind>();
        indices_hold::<DropReason>();
        indices_hold::<Backend>();
        indices_hold::<RefusalReason>();
        indices_hold::<Limit>();
        indices_hold::<Unauthorized>();
        indices_hold::<SessionState>();
        indices_hold::<CursorKind>();
        indices_hold::<DeliveryPath>();
        indices_hold::<StoreFault>();
    }
}
