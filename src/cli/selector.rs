//! `rewindmq selector`: what a selector says of a message that the command line describes.

use std::io::Read;
use std::path::PathBuf;
use std::{fs, io};

use bytes::BytesMut;

use crate::broker::selector_says;
use crate::codec::encode_user_property;
use crate::selector::{Fault, Selector, Truth};
use crate::topic::check_topic_name;
use crate::types::{Message, MessageParts, QoS, Timestamp};

/// A selector, and the message that it is tried on.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct SelectorArgs {
    /// The selector, such as "region = 'eu' AND payload.temp > 20"
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    pub text: String,
    /// A user property of the message; repeatable
    #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,
    /// The file with the payload; - is the standard input
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,
    /// The topic
    #[arg(long, value_name = "TOPIC", default_value = "topic")]
    pub topic: String,
    /// The QoS
    #[arg(long, value_name = "QOS", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// The message is published with RETAIN
    #[arg(long)]
    pub retain: bool,
}

/// Why a selector could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// It is refused; the text shows where.
    #[error("the selector is refused:\n{0}")]
    Refused(String),
    /// The payload cannot be read.
    #[error("the payload {0} cannot be read: {1}")]
    Payload(PathBuf, io::Error),
    /// The topic is none.
    #[error("{0:?} is no topic")]
    Topic(String),
}

/// Says `true`, `false` or `unknown`; only the first is delivered.
pub fn try_selector(args: &SelectorArgs) -> Result<String, SelectorError> {
    let refused = |fault: Fault| SelectorError::Refused(fault.explain(&args.text));
    let selector = Selector::compile(&args.text).map_err(refused)?;
    let payload = read_payload(args)?;
    check_topic_name(&args.topic).map_err(|_| SelectorError::Topic(args.topic.clone()))?;
    let mut properties = BytesMut::new();
    for (name, value) in &args.properties {
        encode_user_property(name, value, &mut properties);
    }
    let parts = MessageParts {
        topic: &args.topic,
        properties: &properties,
        payload: &payload,
        qos: QoS::from_bits(args.qos).unwrap_or(QoS::AtMostOnce),
        retain: args.retain,
        expiry_secs: None,
        received: Timestamp(0),
    };
    let said = match selector_says(&selector, &Message::new(parts, None)) {
        Truth::True => "true\n",
        Truth::False => "false\n",
        Truth::Unknown => "unknown\n",
    };
    Ok(said.into())
}

fn read_payload(args: &SelectorArgs) -> Result<Vec<u8>, SelectorError> {
    let Some(path) = &args.payload else {
        return Ok(Vec::new());
    };
    let mut payload = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().read_to_end(&mut payload).map(|_| payload)
    } else {
        fs::read(path)
    };
    read.map_err(|fault| SelectorError::Payload(path.clone(), fault))
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
