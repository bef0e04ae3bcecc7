//! The live scenarios: what each one is, and how many messages it takes for a figure of each program.

use rewindmq::types::{QoS, Version};

use super::shape::Shape;
use crate::label::Side;

/// One live scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its short name.
    pub key: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// Who publishes to whom.
    pub shape: Shape,
    /// Version of all clients.
    pub version: Version,
    /// QoS of messages and subscriptions.
    pub qos: QoS,
    /// Bytes of payload.
    pub payload: u32,
    /// Topics of each publisher.
    pub topics: usize,
    /// Whether filters have wildcards.
    pub wildcards: bool,
    /// When a publisher may send.
    pub pace: Pace,
    /// How many distinct selectors the subscribers have, if messages have properties to select by; all messages pass.
    pub selectors: Option<usize>,
    /// Messages for this broker, for mosquitto and for the relay; 0: it cannot do that.
    messages: [u64; 3],
}

/// When a publisher may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In batches of this many messages; this many batches may be on their way.
    Batches(u64, u64),
    /// As many as are not yet acknowledged at most; ten times as many may be on their way to the subscriber.
    Window(u64),
    /// The next one when the last has arrived (and, at QoS 1, is acknowledged).
    One,
    /// This many messages a second of all publishers together, on time whatever the broker does.
    PerSecond(u64),
}

impl Scenario {
    /// The scenario of this short name.
    pub fn named(key: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.key == key)
    }

    /// The user properties of every message.
    pub fn properties(&self) -> &'static [(&'static str, &'static str)] {
        match self.selectors {
            Some(_) => &[("device", "press-4"), ("region", "eu"), ("temp", "21.5")],
            None => &[],
        }
    }

    /// The selector of a subscriber.
    pub fn selector(&self, subscriber: usize) -> Option<String> {
        let distinct = self.selectors.filter(|distinct| *distinct > 0)?;
        Some(format!("region = 'eu' AND temp > {}", subscriber % distinct))
    }

    /// How many messages each publisher sends, a multiple of the batch.
    pub fn messages_each(&self, side: Side, divisor: u64) -> u64 {
        let messages = match side {
            Side::Mosquitto => self.messages[1],
            Side::Relay => self.messages[2],
            Side::Rewindmq | Side::File => self.messages[0],
        };
        let (batch, _) = self.pace.on_their_way();
        let batches = messages / divisor / self.shape.publishers() as u64 / batch;
        batches.max(2) * batch
    }
}

impl Pace {
    /// How many messages are accounted for together, and how many such batches may be on their way.
    pub fn on_their_way(self) -> (u64, u64) {
        match self {
            Self::Batches(batch, batches) => (batch, batches),
            Self::Window(window) => (window, 10),
            Self::One => (1, 1),
            Self::PerSecond(_) => (1, 2_048),
        }
    }
}

const PLAIN: Scenario = Scenario {
    key: "",
    title: "",
    shape: Shape::Pairs(10),
    version: Version::V5,
    qos: QoS::AtMostOnce,
    payload: 64,
    topics: 1,
    wildcards: false,
    pace: Pace::Batches(512, 4),
    selectors: None,
    messages: [0; 3],
};

/// Fan-out of messages with user properties.
const SELECTORS: Scenario = Scenario {
    shape: Shape::FanOut(1_000),
    pace: Pace::Batches(100, 4),
    messages: [6_000, 0, 0],
    ..PLAIN
};

/// All of them, in the order of the table.
pub const SCENARIOS: [Scenario; 16] = [
    Scenario {
        key: "pairs-qos0-64",
        title: "ten pairs, QoS 0, 64 B, batches",
        messages: [8_000_000, 400_000, 12_000_000],
        ..PLAIN
    },
    Scenario {
        key: "pairs-qos0-256",
        title: "ten pairs, QoS 0, 256 B, batches",
        payload: 256,
        pace: Pace::Batches(256, 4),
        messages: [5_000_000, 400_000, 8_000_000],
        ..PLAIN
    },
    Scenario {
        key: "pairs-qos0-4096",
        title: "ten pairs, QoS 0, 4 KiB, batches",
        payload: 4_096,
        pace: Pace::Batches(32, 4),
        messages: [1_000_000, 300_000, 1_000_000],
        ..PLAIN
    },
    Scenario {
        key: "pairs-qos1-v3",
        title: "ten pairs, QoS 1, 256 B, window 100, MQTT 3.1.1",
        version: Version::V3,
        ..QOS_1
    },
    Scenario {
        key: "pairs-qos1-v5",
        title: "ten pairs, QoS 1, 256 B, window 100, MQTT 5",
        ..QOS_1
    },
    Scenario {
        key: "one-qos0",
        title: "one message at a time, QoS 0, 64 B",
        shape: Shape::Pairs(1),
        pace: Pace::One,
        messages: [100_000; 3],
        ..PLAIN
    },
    Scenario {
        key: "one-qos1",
        title: "one message at a time, QoS 1, 64 B",
        shape: Shape::Pairs(1),
        qos: QoS::AtLeastOnce,
        pace: Pace::One,
        messages: [80_000; 3],
        ..PLAIN
    },
    Scenario {
        key: "rate",
        title: "ten pairs, QoS 0, 64 B, 10,000 a second",
        pace: Pace::PerSecond(10_000),
        messages: [40_000; 3],
        ..PLAIN
    },
    Scenario {
        key: "fan-in",
        title: "fan-in 50 to 1, QoS 0, 64 B, batches",
        shape: Shape::FanIn(50),
        // What waits for the one subscriber must stay below the broker's outbox, beyond which it drops QoS 0 as it says.
        pace: Pace::Batches(16, 4),
        messages: [4_000_000, 400_000, 8_000_000],
        ..PLAIN
    },
    Scenario {
        key: "fan-out",
        title: "fan-out 1 to 1,000, QoS 0, 64 B, batches",
        shape: Shape::FanOut(1_000),
        pace: Pace::Batches(100, 4),
        messages: [6_000, 400, 6_000],
        ..PLAIN
    },
    Scenario {
        key: "groups",
        title: "ten groups of 4, QoS 0, 64 B, batches",
        shape: Shape::Groups {
            publishers: 10,
            members: 4,
        },
        messages: [5_000_000, 300_000, 0],
        ..PLAIN
    },
    Scenario {
        key: "subscriptions-10",
        title: "10 subscriptions, wildcards mixed, QoS 0, 64 B",
        wildcards: true,
        messages: [5_000_000, 300_000, 0],
        ..PLAIN
    },
    Scenario {
        key: "subscriptions-100k",
        title: "100,000 subscriptions, wildcards mixed, QoS 0, 64 B",
        wildcards: true,
        topics: 10_000,
        messages: [5_000_000, 300_000, 0],
        ..PLAIN
    },
    Scenario {
        key: "workers",
        title: "ten pairs, QoS 0, 64 B, batches, on two cores",
        messages: [4_000_000, 0, 0],
        ..PLAIN
    },
    Scenario {
        key: "selectors-none",
        title: "fan-out 1 to 1,000, QoS 0, 64 B and 3 properties, batches",
        selectors: Some(0),
        ..SELECTORS
    },
    Scenario {
        key: "selectors-ten",
        title: "the same with 10 distinct selectors that let all pass",
        selectors: Some(10),
        ..SELECTORS
    },
];

const QOS_1: Scenario = Scenario {
    qos: QoS::AtLeastOnce,
    payload: 256,
    pace: Pace::Window(100),
    messages: [3_000_000, 150_000, 4_000_000],
    ..PLAIN
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_unique() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            let first = SCENARIOS.iter().position(|other| other.key == scenario.key);
            assert_eq!(first, Some(index), "{}", scenario.key);
        }
    }

    #[test]
    fn every_message_passes_every_selector() {
        use rewindmq::broker::selector_says;
        use rewindmq::selector::{Selector, Truth};
        use rewindmq::types::{Message, MessageParts, Timestamp};

        let scenario = Scenario::named("selectors-ten").expect("it is there");
        let mut properties = bytes::BytesMut::new();
        for (name, value) in scenario.properties() {
            rewindmq::codec::encode_user_property(name, value, &mut properties);
        }
        let parts = MessageParts {
            topic: "t",
            properties: &properties,
            payload: &[],
            qos: scenario.qos,
            retain: false,
            expiry_secs: None,
            received: Timestamp(0),
        };
        let message = Message::new(parts, None);
        let texts: std::collections::BTreeSet<_> = (0..1_000).filter_map(|n| scenario.selector(n)).collect();
        assert_eq!(texts.len(), 10);
        for text in texts {
            let selector = Selector::compile(&text).expect("a selector");
            assert_eq!(selector_says(&selector, &message), Truth::True, "{text}");
        }
    }

    /// What the broker counts for a message besides its payload, and some room.
    const OVERHEAD_BYTES: u32 = 200;

    #[test]
    fn what_is_on_its_way_fits_the_broker_s_outbox() {
        for scenario in SCENARIOS {
            let (batch, batches) = scenario.pace.on_their_way();
            let publishers_of_one = scenario.shape.publishers().div_ceil(scenario.shape.subscribers()) as u64;
            let bytes = batch * batches * publishers_of_one * u64::from(scenario.payload + OVERHEAD_BYTES);
            assert!(scenario.qos > QoS::AtMostOnce || bytes <= 1 << 20, "{}", scenario.key);
        }
    }
}
