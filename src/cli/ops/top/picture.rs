//! What two looks at a broker look like: a head, and as many rows of what is behind, waits and is busy as there is room for.

use serde_json::{Value, json};

use super::look::Pair;
use super::screen::Size;
use crate::cli::ops::cells::{Column, show_bytes, show_count, show_seconds, show_text};
use crate::cli::ops::shell::Shell;
use crate::cli::ops::table::{Table, cut};

impl Pair<'_> {
    /// For people, or for programs if they are asked for; as large as the screen, if there is one.
    pub fn shown(&self, shell: &Shell, size: Option<Size>) -> String {
        if shell.json {
            return format!("{}\n", self.document());
        }
        let size = size.unwrap_or(Size {
            columns: shell.width.unwrap_or(80),
            rows: 24,
        });
        self.picture(shell.api.url(), size)
    }

    fn picture(&self, url: &str, size: Size) -> String {
        let mut lines = self.head(url);
        let parts = self.parts();
        // Each part has a line before it and one of titles; the last line of the screen says how to end.
        let room = size.rows.saturating_sub(lines.len() + 1 + 2 * parts.len());
        let shares = shared([0, 1, 2].map(|at: usize| parts[at].1.len()), room);
        for ((columns, items), most) in parts.into_iter().zip(shares) {
            lines.push(String::new());
            let table = Table::of(columns, &items[..most]).show(Some(size.columns));
            lines.extend(table.lines().map(str::to_owned));
        }
        lines.truncate(size.rows.saturating_sub(1).max(1));
        let cut_lines = lines.iter().map(|line| cut(line, size.columns) + "\n");
        cut_lines.collect()
    }

    fn head(&self, url: &str) -> Vec<String> {
        let broker = &self.now.broker;
        let number = |name: &str| show_count(broker[name].as_f64().unwrap_or_default());
        let bytes = |name: &str| show_bytes(broker[name].as_f64().unwrap_or_default());
        let rate = |name: &str| self.rates.get(name).copied().unwrap_or_default();
        let version = show_text(broker["version"].as_str().unwrap_or_default());
        let uptime = show_seconds(broker["uptime_seconds"].as_f64().unwrap_or_default());
        let stopping = if broker["stopping"] == true { ", stopping" } else { "" };
        let pair = |name: &str, received: String, sent: String| format!("{name:<10}{received:>14}  in {sent:>14}  out");
        vec![
            format!("RewindMQ {version}   {}   up {uptime}{stopping}", show_text(url)),
            format!(
                "clients   {:>14} of {} sessions, {} subscriptions",
                number("connections"),
                number("sessions"),
                number("subscriptions")
            ),
            pair(
                "messages/s",
                show_count(rate("messages_received")),
                show_count(rate("messages_sent")),
            ) + &format!("  {:>10}  dropped", show_count(rate("dropped"))),
            pair(
                "bytes/s",
                show_bytes(rate("bytes_received")),
                show_bytes(rate("bytes_sent")),
            ),
            format!(
                "store     {:>14}  records/s, {} in {} channels, {} to commit",
                show_count(rate("position")),
                bytes("store_used_bytes"),
                number("channels"),
                bytes("queued_bytes")
            ),
        ]
    }

    fn parts(&self) -> [(&'static [Column], Vec<Value>); 3] {
        let rows = |list: &Value, is_idle: fn(&Value) -> bool| {
            let items = list["items"].as_array().cloned().unwrap_or_default();
            items.into_iter().filter(|item| !is_idle(item)).collect::<Vec<_>>()
        };
        let behind = rows(&self.now.cursors, |cursor| cursor["lag"]["events"] == 0);
        let waiting = rows(&self.now.clients, |client| client["waiting"] == 0);
        let busiest = match &self.busiest {
            Some(busiest) => busiest
                .iter()
                .map(|(topic, rate)| json!({ "topic": topic, "rate": show_count(*rate) }))
                .collect(),
            None => vec![json!({ "topic": "(more than 1,000 channels are not compared)" })],
        };
        [(CURSORS, behind), (CLIENTS, waiting), (CHANNELS, busiest)]
    }
}

/// How many rows each of several gets: as many as it has, or as the others.
fn shared<const N: usize>(wanted: [usize; N], room: usize) -> [usize; N] {
    let mut given = [0; N];
    let mut left = room;
    while left > 0 && given != wanted {
        for at in 0..N {
            if given[at] < wanted[at] && left > 0 {
                given[at] += 1;
                left -= 1;
            }
        }
    }
    given
}

const CURSORS: &[Column] = &[
    Column::count("EVENTS BEHIND", "lag.events"),
    Column::seconds("SINCE", "lag.seconds"),
    Column::text("CURSOR OF", "owner"),
    Column::text("KIND", "kind"),
    Column::text("FILTER", "filter"),
];

const CLIENTS: &[Column] = &[
    Column::count("WAITING OR IN FLIGHT", "waiting"),
    Column::text("CLIENT", "client_id"),
    Column::text("USER", "user"),
];

const CHANNELS: &[Column] = &[
    Column::right("EVENTS/S", "rate"),
    Column::text("BUSIEST CHANNEL", "topic"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_one_part_does_not_need_are_for_the_others() {
        assert_eq!(shared([50, 0, 3], 12), [9, 0, 3]);
        assert_eq!(shared([50, 50, 50], 12), [4, 4, 4]);
        assert_eq!(shared([1, 1, 1], 12), [1, 1, 1]);
        assert_eq!(shared([5, 5, 5], 0), [0, 0, 0]);
    }
}
