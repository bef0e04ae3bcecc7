//! Whether a packet is the one that a line expects. Knows no connection.

use super::decode::{Received, Value};
use super::script::Version;
use super::text::{self, Arg, Variables};

/// Compares a packet with the arguments of a line; keeps what the line asks to keep.
pub fn check(version: Version, args: &[Arg], received: &Received, kept: &mut Variables) -> Result<(), String> {
    let mut args = args.iter();
    let name = args.next().ok_or("a line names its packet")?;
    if name.name != received.name {
        return Err(format!("no {}", name.name));
    }
    let args: Vec<&Arg> = args.collect();
    for arg in &args {
        one(version, arg, received, kept)?;
    }
    check_defaults(&args, received)
}

fn one(version: Version, arg: &Arg, received: &Received, kept: &mut Variables) -> Result<(), String> {
    match arg.name.as_str() {
        "codes" => return codes(version, arg, received),
        // Compared as a whole.
        "user" | "subscription_id" if received.name == "PUBLISH" && !is_loose(arg) => return Ok(()),
        _ => {}
    }
    let values: Vec<&Value> = received
        .fields
        .iter()
        .filter(|(name, _)| *name == arg.name)
        .map(|(_, value)| value)
        .collect();
    let wanted = arg.value();
    if wanted == "-" {
        return match values.first() {
            Some(value) => Err(format!("{}={value}, which should not be there", arg.name)),
            None => Ok(()),
        };
    }
    if let Some(variable) = wanted.strip_prefix('?') {
        let value = values.first().ok_or_else(|| format!("no {}", arg.name))?;
        kept.insert(variable.to_owned(), plain(value));
        return Ok(());
    }
    for value in &values {
        if fits(wanted, value)? {
            return Ok(());
        }
    }
    match values.first() {
        Some(value) => Err(format!("{} is {value}", arg.name)),
        None => Err(format!("no {}", arg.name)),
    }
}

fn is_loose(arg: &Arg) -> bool {
    matches!(arg.value(), "*" | "-")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn fits(wanted: &str, value: &Value) -> Result<bool, String> {
    if wanted == "*" {
        return Ok(true);
    }
    match value {
        Value::Bytes(bytes) => Ok(text::bytes(wanted)? == *bytes),
        Value::Number(number) => {
            for alternative in wanted.split('|') {
                let (first, last) = alternative.split_once("..").unwrap_or((alternative, alternative));
                let bounds = text::number(first).zip(text::number(last));
                let (first, last) = bounds.ok_or_else(|| format!("no number: {wanted}"))?;
                if (first..=last).contains(number) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// One reason code for each filter; an UNSUBACK of MQTT 3.1.1 has none.
fn codes(version: Version, arg: &Arg, received: &Received) -> Result<(), String> {
    let came: Vec<&Value> = all(received, "codes").collect();
    if version == Version::V3 && received.name == "UNSUBACK" {
        return Ok(());
    }
    let wanted: Vec<&str> = arg.value().split(',').collect();
    let mut fit = wanted.len() == came.len();
    for (wanted, value) in wanted.iter().zip(&came) {
        fit &= fits(wanted, value)?;
    }
    match fit {
        true => Ok(()),
        false => Err(format!("codes are {}", list(&came))),
    }
}

/// What a packet must be where the line says nothing.
fn check_defaults(args: &[&Arg], received: &Received) -> Result<(), String> {
    let said = |name: &str| args.iter().any(|arg| arg.name == name);
    if received.name != "PUBLISH" {
        let code = received.number("code").unwrap_or(0);
        let limit = if received.name == "CONNACK" { 1 } else { 0x80 };
        return match code < limit || said("code") || received.name == "DISCONNECT" {
            true => Ok(()),
            false => Err(format!("code is {code:#04X}")),
        };
    }
    for (name, value) in &received.fields {
        let free = matches!(*name, "topic" | "payload" | "id" | "user" | "subscription_id") || said(name);
        let zero = matches!(*name, "qos" | "dup" | "retain") && *value == Value::Number(0);
        if !free && !zero {
            return Err(format!("{name}={value}, which no argument names"));
        }
    }
    let named = |name: &'static str| args.iter().filter(move |arg| arg.name == name).map(|arg| arg.value());
    if !named("user").any(|value| value == "*") {
        let wanted: Vec<&str> = named("user").filter(|value| *value != "-").collect();
        let came: Vec<String> = all(received, "user").map(plain).collect();
        if came != wanted {
            return Err(format!("user properties are {came:?}"));
        }
    }
    if !named("subscription_id").any(|value| value == "*") {
        let mut wanted: Vec<&str> = named("subscription_id").filter(|value| *value != "-").collect();
        let mut came: Vec<String> = all(received, "subscription_id").map(plain).collect();
        wanted.sort_unstable();
        came.sort_unstable();
        if came != wanted {
            return Err(format!("subscription identifiers are {came:?}"));
        }
    }
    Ok(())
}

fn all<'a>(received: &'a Received, name: &'static str) -> impl Iterator<Item = &'a Value> {
    received
        .fields
        .iter()
        .filter(move |(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn list(values: &[&Value]) -> String {
    let texts: Vec<String> = values.iter().map(|value| value.to_string()).collect();
    texts.join(",")
}
