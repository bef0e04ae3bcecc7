//! A report as text: one line for each fact, columns for lists.

use std::fmt;

use super::report::{ChannelReport, CursorReport, Report, RetainedReport, SessionReport, TableReport, WillReport};

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used: u64 = self.tables.iter().map(|table| table.bytes).sum();
        writeln!(out, "folder      {}, format {}", self.path, self.format)?;
        writeln!(out, "file        {} bytes, {used} in use", self.file_bytes)?;
        writeln!(out, "positions   last {}, checkpoint {}", self.last, self.checkpoint)?;
        writeln!(
            out,
            "damage      {}",
            match self.damage.count {
                0 => "none seen".to_owned(),
                count => format!("{count} rows or tables cannot be read"),
            }
        )?;
        list(out, "", &self.damage.first)?;
        writeln!(out, "\ntables")?;
        list(out, "          rows         bytes  name", &self.tables)?;
        let channels = &self.channels;
        writeln!(out, "\nchannels    {} event, {} held", channels.event, channels.held)?;
        list(
            out,
            "         bytes         count         first          next  kind   topic",
            &channels.largest,
        )?;
        writeln!(out, "\ncursors     {}", self.cursors.count)?;
        list(
            out,
            "           lag         floor  owner, filter, last used",
            &self.cursors.furthest_behind,
        )?;
        let sessions = &self.sessions;
        writeln!(out, "\nsessions    {}, {} absent", sessions.count, sessions.absent)?;
        list(
            out,
            "           lag     in flight      received  client, expiry, presence, subscriptions",
            &sessions.furthest_behind,
        )?;
        let retained = &self.retained;
        writeln!(out, "\nretained    {}, {} bytes", retained.count, retained.bytes)?;
        list(out, "         bytes  topic, received", &retained.largest)?;
        writeln!(out, "\nwills       {}", self.wills.count)?;
        list(out, "         bytes  client, topic, delay", &self.wills.first)
    }
}

/// A heading and a line for each element; nothing for none.
fn list<T: fmt::Display>(out: &mut fmt::Formatter<'_>, heading: &str, elements: &[T]) -> fmt::Result {
    if !elements.is_empty() && !heading.is_empty() {
        writeln!(out, "{heading}")?;
    }
    elements.iter().try_for_each(|element| writeln!(out, "{element}"))
}

impl fmt::Display for TableReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:>14}{:>14}  {}", self.rows, self.bytes, self.name)
    }
}

impl fmt::Display for ChannelReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, count, first, next) = (self.bytes, self.count, self.first, self.next);
        write!(
            out,
            "{bytes:>14}{count:>14}{first:>14}{next:>14}  {:<5}  {}",
            self.kind,
            self.topic.escape_debug()
        )
    }
}

impl fmt::Display for CursorReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:>14}{:>14}  {} {}, {}, {}",
            self.lag,
            self.floor,
            self.owner,
            self.name.escape_debug(),
            self.filter.escape_debug(),
            self.used
        )
    }
}

impl fmt::Display for SessionReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expiry = self.expiry_secs.map_or("never".to_owned(), |secs| format!("{secs}s"));
        let presence = match &self.absent_since {
            Some(since) => format!("absent since {since}"),
            None => "connected".to_owned(),
        };
        let filters: Vec<String> = self
            .filters
            .iter()
            .map(|filter| filter.escape_debug().to_string())
            .collect();
        let more = if self.subscriptions > filters.len() as u64 {
            " ..."
        } else {
            ""
        };
        write!(
            out,
            "{:>14}{:>14}{:>14}  {}, {expiry}, {presence}, {}: {}{more}",
            self.lag,
            self.in_flight,
            self.received,
            self.client.escape_debug(),
            self.subscriptions,
            filters.join(" ")
        )
    }
}

impl fmt::Display for RetainedReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:>14}  {}, {}",
            self.bytes,
            self.topic.escape_debug(),
            self.received
        )
    }
}

impl fmt::Display for WillReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:>14}  {}, {}, {}s",
            self.bytes,
            self.client.as_deref().unwrap_or("(no session)").escape_debug(),
            self.topic.escape_debug(),
            self.delay_secs
        )
    }
}
