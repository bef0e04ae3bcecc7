//! What the store must hold: reads what is new after each restart and compares it with what publishers know.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::super::client::{DEADLINE, Message, v5};
use super::{CHANNELS, Life, Publisher, place, topic};

#[derive(Default)]
pub struct History {
    channels: [Channel; CHANNELS],
    /// Every message found so far: publisher and number.
    found: HashSet<(usize, u64)>,
}

#[derive(Default)]
struct Channel {
    /// How many events were checked.
    checked: u64,
    /// The newest message of each publisher.
    newest: HashMap<usize, u64>,
}

impl History {
    /// How many events each channel has.
    pub fn counts(&self) -> [u64; CHANNELS] {
        self.channels.each_ref().map(|channel| channel.checked)
    }

    /// Reads on where the last check ended, up to the mark of this life.
    pub fn read(&mut self, life: &Life, publishers: &[Publisher]) {
        let end = format!("mark:{}", life.number);
        let mut sequences: Vec<HashMap<u64, u64>> = vec![HashMap::new(); publishers.len()];
        for number in 0..CHANNELS {
            let mut client = life
                .connect(v5(&format!("history-{}-{number}", life.number)))
                .expect("the broker lives");
            let start = format!("seq:{}", self.channels[number].checked + 1);
            client.subscribe(&topic(number), 0, &[("replay", &start)]);
            loop {
                let message = client.try_next(Instant::now() + DEADLINE).expect("the mark comes");
                if let Some((publisher, number)) = self.event(&message, publishers) {
                    sequences[publisher].insert(number, message.sequence());
                }
                if message.text() == end {
                    break;
                }
            }
        }
        for publisher in publishers {
            for (number, sequence) in &publisher.acknowledged {
                let stored = sequences[publisher.number].get(number);
                assert_eq!(stored, Some(sequence), "{}:{number} was acknowledged", publisher.number);
            }
        }
    }

    /// Checks one event; gives the publisher and the number of its message.
    fn event(&mut self, message: &Message, publishers: &[Publisher]) -> Option<(usize, u64)> {
        let place = place(message);
        let channel = &mut self.channels[place.channel];
        channel.checked += 1;
        assert_eq!(place.sequence, channel.checked, "dense: {message:?}");
        let (publisher, number) = message.text().split_once(':').expect("publisher:number");
        if publisher == "mark" {
            return None;
        }
        let (publisher, number): (usize, u64) = (
            publisher.parse().expect("a publisher"),
            number.parse().expect("a number"),
        );
        assert!(number <= publishers[publisher].sent, "invented: {message:?}");
        assert_eq!(number as usize % CHANNELS, place.channel, "in its channel: {message:?}");
        assert!(self.found.insert((publisher, number)), "twice: {message:?}");
        let earlier = channel.newest.insert(publisher, number);
        assert!(earlier.is_none_or(|earlier| earlier < number), "order: {message:?}");
        Some((publisher, number))
    }
}
