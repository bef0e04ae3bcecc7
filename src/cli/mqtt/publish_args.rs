//! The options of `rewindmq pub`.

use std::path::PathBuf;

use super::connection::ConnectionArgs;
use super::duration::seconds;
use crate::codec::{MAX_STRING_LENGTH, encode_user_property};
use crate::topic::check_topic_name;

/// What is published, where, and how.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct PubArgs {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic)]
    pub topic: String,
    /// The payload
    #[arg(short, long, value_name = "TEXT", group = "what", allow_hyphen_values = true)]
    pub message: Option<String>,
    /// The file with the payload
    #[arg(short, long, value_name = "FILE", group = "what")]
    pub file: Option<PathBuf>,
    /// The payload is all of the standard input
    #[arg(long, group = "what")]
    pub stdin: bool,
    /// Each line of the standard input is a message
    #[arg(short, long, requires = "stdin", conflicts_with_all = ["message", "file"])]
    pub lines: bool,
    /// QoS: 0 is sent and forgotten; 1 and 2 are acknowledged, a stored message when it is on disk
    #[arg(long, value_name = "QOS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// Retain it: later subscribers get the topic's last message of this kind; an empty payload removes that
    #[arg(short, long)]
    pub retain: bool,
    /// A user property of the message; repeatable
    #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,
    /// Store it, though no rule of the broker says so
    #[arg(short, long)]
    pub store: bool,
    /// Deliver it only for so long
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    pub expiry: Option<u32>,
    /// Publish it so many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "stdin")]
    pub repeat: u64,
    /// Print what became of it as a JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its options have theirs")]
    pub connection: ConnectionArgs,
}

impl PubArgs {
    /// The user properties as a PUBLISH carries them.
    pub(super) fn raw_properties(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        if self.store {
            encode_user_property("store", "true", &mut raw);
        }
        for (name, value) in &self.properties {
            encode_user_property(name, value, &mut raw);
        }
        raw
    }
}

fn topic(text: &str) -> Result<String, String> {
    check_topic_name(text).map_err(|fault| fault.to_string())?;
    Ok(text.to_owned())
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.len().max(value.len()) > MAX_STRING_LENGTH {
        return Err("a name or value has at most 65535 bytes".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}
