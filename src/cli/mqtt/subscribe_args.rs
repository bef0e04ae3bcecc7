//! The options of `rewindmq sub`, and the packets they ask for.

use std::time::Duration;

use super::connection::ConnectionArgs;
use super::duration::{duration, seconds};
use super::error::MqttError;
use super::screen::Format;
use super::start::StartText;
use crate::codec::{Connect, RetainHandling, Subscribe, SubscribeFilter};
use crate::selector::Selector;
use crate::topic::SubscriptionFilter;
use crate::types::{PacketId, QoS};

/// What is subscribed to, from where on, until when, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct SubArgs {
    /// Topics, or filters with + and #
    #[arg(value_name = "FILTER", required = true, value_parser = filter)]
    pub filters: Vec<String>,
    /// Replay stored events from here on, and go on live: new, first, last, last:N, seq:N, how long ago (5m, 1h30m), or a
    /// time (2026-11-22T10:00:00Z, time:UNIX-SECONDS) [default: live, what comes from now on]
    #[arg(long, value_name = "START")]
    pub from: Option<StartText>,
    /// Only messages of which this is true, such as "region = 'eu' AND payload.temp > 20"
    #[arg(long, value_name = "EXPR", value_parser = selector, allow_hyphen_values = true)]
    pub selector: Option<String>,
    /// Share what comes with the other members of this group; with --from the group has one cursor
    #[arg(short, long, value_name = "GROUP", value_parser = group)]
    pub group: Option<String>,
    /// Keep a session of this client identifier: what is published with QoS 1 or 2 meanwhile waits for the next time
    #[arg(long, value_name = "ID", conflicts_with = "client_id")]
    pub durable: Option<String>,
    /// How long the session of --durable is kept after this client has left [default: 7d]
    #[arg(long, value_name = "DURATION", requires = "durable", value_parser = seconds)]
    pub session_expiry: Option<u32>,
    /// Start at --from again, though this client or group has a cursor
    #[arg(long, requires = "from")]
    pub reset: bool,
    /// The highest QoS wanted
    #[arg(long, value_name = "QOS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// End after so many messages
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End when no message came for so long; exit code 3 if --count was not reached
    #[arg(short, long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Print the payloads alone, byte for byte, each with a line break behind it
    #[arg(short = 'q', long, conflicts_with = "json")]
    pub payload_only: bool,
    /// Print payloads in hexadecimal digits
    #[arg(long, conflicts_with = "json")]
    pub hex: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Don't cut lines at the width of the terminal
    #[arg(short, long)]
    pub wide: bool,
    /// Connect to nothing; print the mosquitto_sub command line that does the same
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its options have theirs")]
    pub connection: ConnectionArgs,
}

impl SubArgs {
    /// The filters as they go into SUBSCRIBE.
    pub(super) fn full_filters(&self) -> impl Iterator<Item = String> + '_ {
        self.filters.iter().map(|filter| match &self.group {
            Some(group) => format!("$share/{group}/{filter}"),
            None => filter.clone(),
        })
    }

    /// The user properties of SUBSCRIBE.
    pub(super) fn user_properties(&self) -> Vec<(String, String)> {
        let start = self.from.as_ref().map(StartText::as_str);
        let reset = self.reset.then_some("reset");
        let options = [
            ("replay", start),
            ("cursor", reset),
            ("selector", self.selector.as_deref()),
        ];
        let given = options.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The session's client identifier, and how long it is kept, seconds.
    pub(super) fn session(&self) -> Option<(&str, u32)> {
        let id = self.durable.as_deref()?;
        Some((id, self.session_expiry.unwrap_or(WEEK_SECS)))
    }

    pub(super) fn connect(&self) -> Result<Connect, MqttError> {
        let mut connect = self.connection.connect()?;
        if let Some((id, expiry_secs)) = self.session() {
            connect.client_id = id.to_owned();
            connect.clean_start = false;
            connect.session_expiry_secs = Some(expiry_secs);
        }
        // Who wants few messages takes no more from a group than it may keep.
        let count = self.count.map_or(MOST_IN_FLIGHT, |count| count.min(MOST_IN_FLIGHT));
        connect.receive_maximum = u16::try_from(count).ok();
        Ok(connect)
    }

    pub(super) fn subscribe(&self) -> Subscribe {
        let qos = QoS::from_bits(self.qos).unwrap_or(QoS::AtLeastOnce);
        let filters = self.full_filters().map(|filter| SubscribeFilter {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        });
        Subscribe {
            packet_id: PacketId::MIN,
            subscription_id: None,
            user_properties: self.user_properties(),
            filters: filters.collect(),
        }
    }

    pub(super) fn format(&self) -> Format {
        let hex = self.hex;
        match (self.json, self.payload_only) {
            (true, _) => Format::Json,
            (false, true) => Format::Payload { hex },
            (false, false) => Format::People { hex },
        }
    }

    /// Whether the broker tells sequence and time of what it delivers.
    pub(super) fn is_replay(&self) -> bool {
        self.from.is_some()
    }
}

fn filter(text: &str) -> Result<String, String> {
    let parsed = SubscriptionFilter::parse(text).map_err(|fault| fault.to_string())?;
    if parsed.group.is_some() {
        return Err("write the group as --group GROUP".to_owned());
    }
    if parsed.replay.is_some() || parsed.selector.is_some() {
        return Err("write the start as --from START, and the selector as --selector EXPR".to_owned());
    }
    Ok(text.to_owned())
}

fn group(text: &str) -> Result<String, String> {
    let shared = format!("$share/{text}/a");
    match SubscriptionFilter::parse(&shared) {
        Ok(parsed) if parsed.group.as_deref() == Some(text) => Ok(text.to_owned()),
        Ok(_) => Err("the name of a group has no /".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

fn selector(text: &str) -> Result<String, String> {
    match Selector::compile(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(fault) => Err(format!("\n{}", fault.explain(text))),
    }
}

const WEEK_SECS: u32 = 7 * 86_400;
/// Messages that may be underway to here unacknowledged.
const MOST_IN_FLIGHT: u64 = 1_000;
