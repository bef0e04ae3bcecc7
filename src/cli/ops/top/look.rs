//! One look at a broker, and what changed between two. Draws nothing.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::ops::api::{Api, OpsError};

/// What a broker said at one time.
#[derive(Clone, Debug)]
pub(super) struct Look {
    at: Instant,
    pub broker: Value,
    pub cursors: Value,
    pub clients: Value,
    /// By topic; nothing if there are too many to compare.
    channels: Option<Value>,
}

/// What a broker said last, and at which rates that changed.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub now: &'a Look,
    /// Per second, by the names of the broker's counters.
    pub rates: HashMap<&'static str, f64>,
    /// Channels by their events per second, the busiest first; nothing if there are too many to compare.
    pub busiest: Option<Vec<(String, f64)>>,
}

impl Look {
    /// Asks the API.
    pub fn at(api: &Api) -> Result<Self, OpsError> {
        let most = |sort: &str, more| {
            let sorted = [("sort", Some(sort.to_owned())), ("limit", Some(MOST_ROWS.to_string()))];
            sorted.into_iter().chain(more).collect::<Vec<_>>()
        };
        let broker = api.read("/broker", &[])?;
        let connected = [("connected", Some("true".to_owned()))];
        let few = broker["channels"]
            .as_u64()
            .is_some_and(|channels| channels <= MOST_CHANNELS);
        let all = [("limit", Some(MOST_CHANNELS.to_string()))];
        Ok(Self {
            cursors: api.read("/cursors", &most("lag", None))?,
            clients: api.read("/clients", &most("waiting", connected.into_iter().next()))?,
            channels: few.then(|| api.read("/channels", &all)).transpose()?,
            broker,
            at: Instant::now(),
        })
    }

    fn sequences(&self) -> Option<HashMap<&str, u64>> {
        let items = self.channels.as_ref()?["items"].as_array()?;
        let sequence = |item: &'_ Value| item["next"].as_u64();
        let of = items
            .iter()
            .filter_map(|item| Some((item["topic"].as_str()?, sequence(item)?)));
        Some(of.collect())
    }
}

impl<'a> Pair<'a> {
    /// Two looks, the second later than the first.
    pub fn of(before: &Look, now: &'a Look) -> Self {
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        let rate = |before: u64, now: u64| match seconds {
            0.0 => 0.0,
            // It was started anew if there is less than before.
            _ => now.saturating_sub(before) as f64 / seconds,
        };
        let counter = |look: &Look, name: &str| look.broker[name].as_u64().unwrap_or(0);
        let rates = COUNTERS.map(|name| (name, rate(counter(before, name), counter(now, name))));
        let busiest = before.sequences().zip(now.sequences()).map(|(before, now)| {
            let first = |topic| before.get(topic).copied().unwrap_or(1);
            let rates = now
                .iter()
                .map(|(topic, &next)| ((*topic).to_owned(), rate(first(*topic), next)));
            let mut busy: Vec<_> = rates.filter(|(_, rate)| *rate > 0.0).collect();
            busy.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            busy.truncate(MOST_ROWS);
            busy
        });
        Self {
            now,
            rates: rates.into(),
            busiest,
        }
    }

    /// For programs.
    pub fn document(&self) -> Value {
        let busiest = self.busiest.as_ref().map(|busiest| {
            let rows = busiest.iter();
            rows.map(|(topic, rate)| json!({ "topic": topic, "events_per_second": rate }))
                .collect::<Vec<_>>()
        });
        json!({
            "broker": self.now.broker,
            "per_second": self.rates,
            "cursors": self.now.cursors["items"],
            "clients": self.now.clients["items"],
            "channels": busiest,
        })
    }
}

/// Counters of the broker whose rates are shown.
const COUNTERS: [&str; 6] = [
    "messages_received",
    "messages_sent",
    "position",
    "dropped",
    "bytes_received",
    "bytes_sent",
];
/// More than a tall terminal shows.
const MOST_ROWS: usize = 50;
/// Channels that are compared; what one page of the API holds.
const MOST_CHANNELS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn look(at: Instant, received: u64, next: &[(&str, u64)]) -> Look {
        let items: Vec<_> = next
            .iter()
            .map(|(topic, next)| json!({"topic": topic, "next": next}))
            .collect();
        Look {
            at,
            broker: json!({ "messages_received": received }),
            cursors: json!({"items": []}),
            clients: json!({"items": []}),
            channels: Some(json!({ "items": items })),
        }
    }

    #[test]
    fn rates_are_what_changed_in_the_time_between() {
        let begin = Instant::now();
        let before = look(begin, 100, &[("a", 5), ("still", 7)]);
        let now = look(
            begin + Duration::from_secs(2),
            300,
            &[("a", 25), ("still", 7), ("new", 41)],
        );
        let pair = Pair::of(&before, &now);
        assert_eq!(pair.rates["messages_received"], 100.0);
        let busiest = pair.busiest.expect("few channels");
        assert_eq!(busiest, [("new".to_owned(), 20.0), ("a".to_owned(), 10.0)]);
    }

    #[test]
    fn a_broker_that_was_started_anew_has_no_negative_rates() {
        let begin = Instant::now();
        let (before, now) = (look(begin, 100, &[]), look(begin + Duration::from_secs(1), 3, &[]));
        assert_eq!(Pair::of(&before, &now).rates["messages_received"], 0.0);
        assert_eq!(Pair::of(&now, &now).rates["messages_received"], 0.0);
    }
}
