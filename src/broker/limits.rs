//! Which topics, filters, wills and user properties are within the configured limits.

use super::Broker;
use super::connect::Refused;
use crate::codec::{self, Connect, Packet};
use crate::config::Limits;
use crate::metrics::{Limit, RefusalReason};
use crate::session::Fault;
use crate::types::ReasonCode;

impl Broker {
    /// Whether a topic is short and flat enough; one that is not is counted.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_topic(&self, topic: &str) -> Result<(), &'static str> {
        if self.topic_fits(topic) {
            return Ok(());
        }
        self.metrics.limited.of(Limit::Topic).increment(1);
        Err("the topic is longer, or has more levels, than allowed (limits.max_topic_bytes, max_topic_levels)")
    }

    /// The same without counting.
    pub(super) fn topic_fits(&self, topic: &str) -> bool {
        let limits = &self.config().limits;
        fits(topic, limits.max_topic_bytes, limits.max_topic_levels)
    }

    /// The same for the text of a subscription's filter.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_filter(&self, filter: &str) -> Result<(), &'static str> {
        let limits = &self.config().limits;
        if fits(filter, limits.max_filter_bytes, limits.max_filter_levels) {
            return Ok(());
        }
        self.metrics.limited.of(Limit::Filter).increment(1);
        Err("the filter is longer, or has more levels, than allowed (limits.max_filter_bytes, max_filter_levels)")
    }

    /// Whether the will and the user properties of a CONNECT are within the limits.
    pub(super) fn check_connect(&self, connect: &Connect) -> Result<(), Refused> {
        let refused = |code, why: &str| Err(Refused::new(code, RefusalReason::Limit, why));
        if let Some(why) = too_many_user_properties(&self.config().limits, connect.user_properties.iter().map(pair)) {
            self.metrics.limited.of(Limit::UserProperties).increment(1);
            return refused(ReasonCode::QuotaExceeded, why);
        }
        let Some(will) = &connect.will else { return Ok(()) };
        if let Err(why) = self.check_topic(&will.topic) {
            return refused(ReasonCode::TopicNameInvalid, why);
        }
        if let Some(why) = too_many_user_properties(&self.config().limits, codec::user_properties(&will.properties)) {
            self.metrics.limited.of(Limit::UserProperties).increment(1);
            return refused(ReasonCode::QuotaExceeded, why);
        }
        if will.payload.len() > usize::from(self.config().limits.max_will_bytes) {
            self.metrics.limited.of(Limit::Will).increment(1);
            return refused(
                ReasonCode::QuotaExceeded,
                "the payload of the will is longer than allowed (limits.max_will_bytes)",
            );
        }
        Ok(())
    }

    /// Ends the connection of a client whose packet has too many user properties. Costs one test for all others.
    #[inline]
    pub(super) fn check_user_properties(&self, packet: &Packet<'_>) -> Result<(), Fault> {
        let has_some = match packet {
            Packet::Publish(publish) => publish.has_user_properties,
            _ => packet
                .user_properties()
                .is_some_and(|properties| !properties.is_empty()),
        };
        if has_some {
            self.count_user_properties(packet)
        } else {
            Ok(())
        }
    }

    fn count_user_properties(&self, packet: &Packet<'_>) -> Result<(), Fault> {
        let limits = &self.config().limits;
        let why = match packet {
            Packet::Publish(publish) => too_many_user_properties(limits, codec::user_properties(publish.properties)),
            _ => too_many_user_properties(limits, packet.user_properties().into_iter().flatten().map(pair)),
        };
        let Some(why) = why else { return Ok(()) };
        self.metrics.limited.of(Limit::UserProperties).increment(1);
        Err(Fault::new(ReasonCode::QuotaExceeded, why))
    }
}

fn pair((name, value): &(String, String)) -> (&str, &str) {
    (name, value)
}

fn fits(text: &str, max_bytes: u16, max_levels: u16) -> bool {
    // A text of n bytes has at most n + 1 levels: most are never looked through.
    let flat = text.len() < usize::from(max_levels);
    text.len() <= usize::from(max_bytes)
        && (flat || text.bytes().filter(|byte| *byte == b'/').count() < usize::from(max_levels))
}

fn too_many_user_properties<'a>(
    limits: &Limits,
    properties: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<&'static str> {
    let (mut count, mut bytes) = (0_u64, 0_u64);
    for (name, value) in properties {
        count += 1;
        bytes += (name.len() + value.len()) as u64;
    }
    if limits.max_user_properties.is_some_and(|max| count > max) {
        return Some("the packet has more user properties than allowed (limits.max_user_properties)");
    }
    let too_long = limits.max_user_property_bytes.is_some_and(|max| bytes > max);
    too_long.then_some("the packet's user properties are longer than allowed (limits.max_user_property_bytes)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_up_to_its_bytes_and_levels() {
        for (text, max_bytes, max_levels, expected) in [
            ("a/b/c", 5, 3, true),
            ("a/b/c", 4, 3, false),
            ("a/b/c", 5, 2, false),
            ("///", 9, 4, true),
            ("///", 9, 3, false),
            ("a", 1, 1, true),
            ("a/", 2, 1, false),
        ] {
            assert_eq!(
                fits(text, max_bytes, max_levels),
                expected,
                "{text} {max_bytes} {max_levels}"
            );
        }
    }

    #[test]
    fn user_properties_are_counted_and_measured() {
        let limits = |count, bytes| Limits {
            max_user_properties: count,
            max_user_property_bytes: bytes,
            ..Limits::default()
        };
        let three = [("a", "1"), ("b", "22"), ("", "")];
        let refused = |limits: &Limits| too_many_user_properties(limits, three.into_iter()).is_some();
        assert!(!refused(&limits(Some(3), Some(5))));
        assert!(refused(&limits(Some(2), Some(5))));
        assert!(refused(&limits(Some(3), Some(4))));
        assert!(!refused(&limits(None, None)));
    }
}
