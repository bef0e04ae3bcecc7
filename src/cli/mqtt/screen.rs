//! Lines of output for the messages that come: for people, for programs, or the payload alone.

use std::io::{IsTerminal, stdout};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::view::{View, hex, printable};
use crate::codec::Publish;
use crate::types::{Timestamp, rfc3339};

/// What a line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Time, topic, sequence and payload.
    People {
        /// The payload in hexadecimal digits.
        hex: bool,
    },
    /// The payload.
    Payload {
        /// In hexadecimal digits.
        hex: bool,
    },
    /// An object of JSON.
    Json,
}

/// Writes lines; keeps columns in line with what came before.
pub(super) struct Screen {
    format: Format,
    replay: bool,
    /// Whether lines are cut at the width of a terminal.
    cuts: bool,
    columns: Option<usize>,
    topic_width: usize,
    number_width: usize,
}

impl Screen {
    /// For the standard output; `whole` cuts nothing.
    pub(super) fn new(format: Format, replay: bool, whole: bool) -> Self {
        Self {
            format,
            cuts: !whole && stdout().is_terminal(),
            columns: None,
            replay,
            topic_width: 0,
            number_width: 2,
        }
    }

    /// Looks how wide the terminal is now.
    pub(super) fn fit(&mut self) {
        if self.cuts {
            let size = crossterm::terminal::size().ok();
            let columns = size.map(|(columns, _)| usize::from(columns));
            self.columns = columns.filter(|columns| *columns >= NARROWEST);
        }
    }

    /// Appends the line of a message.
    pub(super) fn put(&mut self, publish: &Publish<'_>, now: Timestamp, out: &mut Vec<u8>) {
        match self.format {
            Format::People { hex } => self.put_for_people(publish, hex, now, out),
            Format::Payload { hex: true } => out.extend_from_slice(hex(publish.payload).as_bytes()),
            Format::Payload { hex: false } => out.extend_from_slice(publish.payload),
            Format::Json => {
                let view = View::of(publish, self.replay, now);
                serde_json::to_writer(&mut *out, &view).expect("text and numbers are JSON, and a Vec takes it");
            }
        }
        out.push(b'\n');
    }

    fn put_for_people(&mut self, publish: &Publish<'_>, in_hex: bool, now: Timestamp, out: &mut Vec<u8>) {
        let view = View::of(publish, self.replay, now);
        let topic = printable(publish.topic.as_bytes());
        let number = number(&view);
        self.topic_width = self.topic_width.max(topic.width().min(WIDEST_TOPIC));
        self.number_width = self.number_width.max(number.width());
        let payload = if in_hex {
            hex(publish.payload)
        } else {
            printable(publish.payload)
        };
        let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(text.width()));
        let line = format!(
            "{}  {topic}{}  {number}{}  {payload}",
            short_time(view.stored.unwrap_or(now), now),
            pad(&topic, self.topic_width),
            pad(&number, self.number_width),
        );
        let line = match self.columns {
            Some(columns) => cut(line, columns),
            None => line,
        };
        out.extend_from_slice(line.as_bytes());
    }
}

/// A line that fits, with a mark where it was cut.
fn cut(mut line: String, columns: usize) -> String {
    if line.width() <= columns {
        return line;
    }
    let mut used = 0;
    let end = line.char_indices().find(|(_, character)| {
        used += character.width().unwrap_or(0);
        used + 1 > columns
    });
    line.truncate(end.map_or(line.len(), |(at, _)| at));
    line.push('…');
    line
}

/// The sequence, or what is to be said in its place.
fn number(view: &View<'_>) -> String {
    let again = if view.redelivered { " again" } else { "" };
    match view.sequence {
        Some(sequence) => format!("#{sequence}{again}"),
        None if view.retain => "retained".to_owned(),
        None => "-".to_owned(),
    }
}

/// The time of today, or the minute of another day; UTC, twelve columns.
fn short_time(time: Timestamp, now: Timestamp) -> String {
    let text = rfc3339(time);
    let Some((date, clock)) = text.split_once('T') else {
        return " ".repeat(12);
    };
    if rfc3339(now).starts_with(date) {
        let (seconds, fraction) = clock.trim_end_matches('Z').split_at(8);
        return format!("{seconds}.{:0<3.3}", fraction.trim_start_matches('.'));
    }
    let month = date.get(5..7).and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&"");
    format!(
        "{month} {} {}",
        date.get(8..10).unwrap_or(""),
        clock.get(..5).unwrap_or("")
    )
}

/// Columns that a long topic does not make wider for the lines after it.
const WIDEST_TOPIC: usize = 28;
/// A terminal that claims to be narrower has no columns.
const NARROWEST: usize = 20;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode_user_property;
    use crate::types::QoS;

    const DAY: u64 = 86_400_000_000_000;

    fn line(screen: &mut Screen, topic: &str, properties: &[(&str, &str)], payload: &[u8], now: u64) -> String {
        let mut raw = Vec::new();
        for (name, value) in properties {
            encode_user_property(name, value, &mut raw);
        }
        let publish = Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            topic_alias: None,
            expiry_secs: None,
            properties: &raw,
            has_hop_properties: false,
            has_user_properties: true,
            payload,
        };
        let mut out = Vec::new();
        screen.put(&publish, Timestamp(now), &mut out);
        String::from_utf8(out).expect("text")
    }

    fn screen(format: Format, columns: Option<usize>) -> Screen {
        Screen {
            columns,
            ..Screen::new(format, true, true)
        }
    }

    #[test]
    fn lines_for_people_have_columns() {
        let mut screen = screen(Format::People { hex: false }, None);
        let stored = [("es-seq", "12"), ("es-time", "3661001000000")];
        let now = 2 * 3_600_000_000_000;
        assert_eq!(
            line(&mut screen, "plant/1", &stored, b"21 C", now),
            "01:01:01.001  plant/1  #12  21 C\n"
        );
        assert_eq!(
            line(&mut screen, "a", &[], b"x\n", now),
            "02:00:00.000  a        -    x\\n\n"
        );
        let again = [stored[0], stored[1], ("es-redelivered", "true")];
        let another_day = now + 40 * DAY;
        assert_eq!(
            line(&mut screen, "a", &again, b"", another_day),
            "Jan 01 01:01  a        #12 again  \n"
        );
    }

    #[test]
    fn a_terminal_gets_no_line_that_it_would_break() {
        let mut screen = screen(Format::People { hex: false }, Some(24));
        let told = line(&mut screen, "t", &[], "漢字漢字漢字漢字".as_bytes(), 0);
        assert_eq!(told, "00:00:00.000  t  -   漢…\n");
        assert_eq!(line(&mut screen, "t", &[], b"12345", 0), "00:00:00.000  t  -   12…\n");
        assert_eq!(line(&mut screen, "t", &[], b"123", 0), "00:00:00.000  t  -   123\n");
    }

    #[test]
    fn the_payload_alone_is_the_payload_alone() {
        let mut plain = screen(Format::Payload { hex: false }, Some(3));
        assert_eq!(line(&mut plain, "t", &[], b"a\tlong one", 0), "a\tlong one\n");
        let mut digits = screen(Format::Payload { hex: true }, Some(3));
        assert_eq!(line(&mut digits, "t", &[], b"a\xff", 0), "61ff\n");
    }

    #[test]
    fn json_is_one_line_whatever_is_in_it() {
        let mut screen = screen(Format::Json, Some(3));
        let told = line(&mut screen, "t", &[("es-seq", "1")], b"two\nlines", 0);
        assert_eq!(told.lines().count(), 1);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!((&told["payload"], &told["sequence"]), (&"two\nlines".into(), &1.into()));
    }
}
