//! One table of well-formed packets, used by the byte-exact tests, the border tests and the fuzz.

mod connect;
mod ends;
mod publish;
mod subscribe;

use crate::codec::*;
use crate::types::Version;

pub(super) use connect::bare_connect;
pub(super) use publish::bare_publish;

/// A packet with its bytes.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) version: Version,
    /// In the shorthand of [`super::wire`].
    pub(super) wire: &'static str,
    pub(super) packet: Packet<'static>,
    /// Whether the packet encodes to just these bytes: there are longer ways to say some things.
    pub(super) canonical: bool,
}

fn row(name: &'static str, version: Version, wire: &'static str, packet: Packet<'static>) -> Sample {
    Sample {
        name,
        version,
        wire,
        packet,
        canonical: true,
    }
}

fn long_way(name: &'static str, version: Version, wire: &'static str, packet: Packet<'static>) -> Sample {
    Sample {
        canonical: false,
        ..row(name, version, wire, packet)
    }
}

fn pairs(list: &[(&str, &str)]) -> UserProperties {
    list.iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// The table.
pub(super) fn all() -> Vec<Sample> {
    [
        connect::connect(),
        connect::connack(),
        publish::publish(),
        publish::acks(),
        subscribe::subscribe(),
        subscribe::subscribe_acks(),
        ends::ends(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
