//! The numbered events of a run: what is in each one, so that a reader can tell what is missing, double or out of order.

use rewindmq::codec::{self, Packet, Publish};
use rewindmq::types::QoS;

use crate::connection::{Connection, packet_id};
use crate::error::BenchError;
use crate::faults::Faults;

/// How many events, how large, and over how many channels; ingest and replay need the same.
#[derive(Clone, Debug, clap::Args)]
pub struct Events {
    /// Events in all
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    pub messages: u64,
    /// Channels over which they are spread at random
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub channels: u64,
    /// Publishers, each with a connection of its own
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub publishers: u64,
    /// Bytes of payload
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = clap::value_parser!(u32).range(8..=16 << 20))]
    pub payload: u32,
}

impl Events {
    /// The channel of an event; spread by a hash of its number, so that ingest and replay agree without a table.
    pub fn channel_of(&self, number: u64) -> u64 {
        scramble(number) % self.channels
    }

    /// The topics of all channels.
    pub fn topics(&self) -> Vec<String> {
        (0..self.channels)
            .map(|channel| format!("bench/channel/{channel:05}"))
            .collect()
    }

    /// The numbers of the events of one publisher, in the order in which it publishes them.
    pub fn numbers_of(&self, publisher: u64) -> impl Iterator<Item = u64> + use<> {
        (publisher..self.messages).step_by(usize::try_from(self.publishers).expect("at most 10,000"))
    }

    /// How many events each channel gets.
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; usize::try_from(self.channels).expect("at most 2^24")];
        for number in 0..self.messages {
            counts[self.channel_of(number) as usize] += 1;
        }
        counts
    }
}

/// A payload that carries its number in the first eight bytes.
#[derive(Clone, Debug)]
pub struct Payload(Vec<u8>);

impl Payload {
    /// A payload of this length, which is at least eight.
    pub fn new(len: u32) -> Self {
        Self((0..len).map(|byte| b'a' + (byte % 26) as u8).collect())
    }

    /// Adds a QoS 1 PUBLISH of this number to the batch of a connection, the nth that it sends.
    ///
    /// # Errors
    /// If the packet is too large.
    pub fn put(&mut self, topic: &str, number: u64, nth: u64, connection: &mut Connection) -> Result<(), BenchError> {
        self.0[..8].copy_from_slice(&number.to_be_bytes());
        connection.put(&Packet::Publish(Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic,
            packet_id: Some(packet_id(nth)),
            topic_alias: None,
            expiry_secs: None,
            properties: &[],
            has_hop_properties: false,
            has_user_properties: false,
            payload: &self.0,
        }))
    }

    /// The number in a payload.
    pub fn number(payload: &[u8]) -> Option<u64> {
        payload.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
    }
}

/// What a reader of all events has seen.
#[derive(Debug)]
pub struct Seen {
    events: Events,
    topics: Vec<String>,
    numbers: Vec<bool>,
    received: u64,
    /// By channel: the sequence that must come next; `None` where deliveries have none.
    next_sequence: Option<Vec<u64>>,
    /// By channel and publisher: the number after the last one that came.
    next_number: Vec<u64>,
    faults: Faults,
}

impl Seen {
    /// Nothing yet, of a replay: every delivery tells its sequence.
    pub fn of_replay(events: &Events) -> Self {
        let channels = usize::try_from(events.channels).expect("at most 2^24");
        Self {
            next_sequence: Some(vec![1; channels]),
            ..Self::of_session(events)
        }
    }

    /// Nothing yet, of a plain subscription: no delivery tells a sequence.
    pub fn of_session(events: &Events) -> Self {
        let channels = usize::try_from(events.channels).expect("at most 2^24");
        Self {
            events: events.clone(),
            topics: events.topics(),
            numbers: vec![false; usize::try_from(events.messages).expect("at most 2^32")],
            received: 0,
            next_sequence: None,
            next_number: vec![0; channels * events.publishers as usize],
            faults: Faults::default(),
        }
    }

    /// How many events there are to receive.
    pub fn due(&self) -> u64 {
        self.events.messages
    }

    /// How many different events were received.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Checks one event against its number: its topic, its sequence if it must have one, and that it comes once and in its publisher's order.
    pub fn receive(&mut self, publish: &Publish<'_>) {
        let number = Payload::number(publish.payload).filter(|number| *number < self.events.messages);
        let sequence = sequence(publish.properties);
        let told = sequence.is_some() == self.next_sequence.is_some();
        let Some(number) = number.filter(|_| told) else {
            self.faults.altered += 1;
            return;
        };
        if std::mem::replace(&mut self.numbers[number as usize], true) {
            self.faults.duplicated += 1;
            return;
        }
        self.received += 1;
        let channel = self.events.channel_of(number);
        let whole = publish.payload.len() == self.events.payload as usize;
        if !whole || publish.topic != self.topics[channel as usize] {
            self.faults.altered += 1;
        }
        if !self.follows(channel, number, sequence) {
            self.faults.out_of_order += 1;
        }
    }

    /// Whether the sequence is the next of its channel and the number above the last of its publisher there.
    fn follows(&mut self, channel: u64, number: u64, sequence: Option<u64>) -> bool {
        let publisher = number % self.events.publishers;
        let next_number = &mut self.next_number[(channel * self.events.publishers + publisher) as usize];
        let mut follows = number >= *next_number;
        *next_number = number + 1;
        if let (Some(next), Some(sequence)) = (&mut self.next_sequence, sequence) {
            let next = &mut next[channel as usize];
            follows &= sequence == *next;
            *next = sequence + 1;
        }
        follows
    }

    /// What went wrong, with what never came.
    pub fn faults(&self) -> Faults {
        Faults {
            lost: self.events.messages - self.received,
            ..self.faults
        }
    }
}

/// The `es-seq` among the properties of a delivery.
fn sequence(properties: &[u8]) -> Option<u64> {
    let (_, text) = codec::user_properties(properties).find(|(name, _)| *name == "es-seq")?;
    text.parse().ok()
}

/// A well-spread 64-bit mix: the finaliser of SplitMix64.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: Events = Events {
        messages: 4,
        channels: 1,
        publishers: 2,
        payload: 8,
    };

    fn receive(seen: &mut Seen, number: u64, sequence: Option<u64>) {
        let mut properties = Vec::new();
        if let Some(sequence) = sequence {
            codec::encode_user_property("es-seq", &sequence.to_string(), &mut properties);
        }
        seen.receive(&Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: "bench/channel/00000",
            packet_id: None,
            topic_alias: None,
            expiry_secs: None,
            properties: &properties,
            has_hop_properties: false,
            has_user_properties: true,
            payload: &number.to_be_bytes(),
        });
    }

    fn faults_after(numbers_and_sequences: &[(u64, u64)]) -> Faults {
        let mut seen = Seen::of_replay(&EVENTS);
        for (number, sequence) in numbers_and_sequences {
            receive(&mut seen, *number, Some(*sequence));
        }
        seen.faults()
    }

    fn faults_of_session_after(numbers: &[u64]) -> Faults {
        let mut seen = Seen::of_session(&EVENTS);
        for number in numbers {
            receive(&mut seen, *number, None);
        }
        seen.faults()
    }

    #[test]
    fn each_once_and_dense_is_no_fault_however_publishers_mix() {
        assert!(faults_after(&[(1, 1), (0, 2), (2, 3), (3, 4)]).is_none());
    }

    #[test]
    fn what_never_came_is_lost_and_leaves_a_gap() {
        let faults = faults_after(&[(0, 1), (2, 3), (3, 4)]);
        assert_eq!((faults.lost, faults.out_of_order), (1, 1));
    }

    #[test]
    fn what_comes_twice_is_duplicated() {
        let faults = faults_after(&[(0, 1), (0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!((faults.lost, faults.duplicated, faults.out_of_order), (0, 1, 0));
    }

    #[test]
    fn one_publisher_s_events_out_of_order_are_seen() {
        assert_eq!(faults_after(&[(2, 1), (0, 2), (1, 3), (3, 4)]).out_of_order, 1);
    }

    #[test]
    fn a_session_sees_gaps_repeats_and_wrong_order_without_sequences() {
        assert!(faults_of_session_after(&[1, 0, 2, 3]).is_none());
        let faults = faults_of_session_after(&[2, 0, 1, 1]);
        assert_eq!((faults.lost, faults.duplicated, faults.out_of_order), (1, 1, 1));
    }

    #[test]
    fn a_sequence_must_be_told_by_a_replay_and_only_by_it() {
        let mut seen = Seen::of_replay(&EVENTS);
        receive(&mut seen, 0, None);
        assert_eq!(seen.faults().altered, 1);
        let mut seen = Seen::of_session(&EVENTS);
        receive(&mut seen, 0, Some(1));
        assert_eq!(seen.faults().altered, 1);
    }

    #[test]
    fn numbers_of_all_publishers_are_all_numbers() {
        let mut numbers: Vec<u64> = (0..2).flat_map(|publisher| EVENTS.numbers_of(publisher)).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3]);
    }
}
