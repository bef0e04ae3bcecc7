//! Looks at the retained messages: each is the last acknowledged one of its topic or a later one that was sent.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::time::Instant;

use super::ledger::Ledger;
use super::life::{End, Life};
use super::witness::matches;
use crate::client::{DEADLINE, filter, v5};

/// Where retained messages are.
pub const RETAINED: &str = "retained/#";

/// Asks for them with a new client. Nobody publishes any meanwhile.
pub fn check(life: &Life, ledger: &Ledger) -> Result<(), End> {
    let mut client = life.connect(v5("retained"), false)?;
    client.try_subscribe(&[filter(RETAINED, 1)], &[])?;
    let mut found = HashMap::new();
    while let Some(missing) = missing(&found, ledger) {
        let message = match client.try_next(Instant::now() + DEADLINE) {
            Err(fault) if fault.kind() == ErrorKind::TimedOut => return Err(End::Wrong(missing)),
            result => result?,
        };
        if !message.retain {
            return Err(End::Wrong(format!("gets {} without RETAIN", message.text())));
        }
        add(&mut found, &message.topic, &message.payload, ledger)?;
    }
    Ok(())
}

/// A retained message, by its topic.
type Found = HashMap<String, u64>;

/// A retained message came.
pub fn add(found: &mut Found, topic: &str, payload: &[u8], ledger: &Ledger) -> Result<(), String> {
    let (id, number) = ledger.find(topic, payload)?;
    let stream = ledger.stream(id);
    let acknowledged = stream.acknowledged();
    if number < acknowledged {
        return Err(format!(
            "{} is retained, number {acknowledged} was acknowledged",
            stream.text(number)
        ));
    }
    if found.insert(topic.to_owned(), number).is_some() {
        return Err(format!("gets two retained messages of {topic}"));
    }
    Ok(())
}

/// What must be retained and did not come, if anything.
pub fn missing(found: &Found, ledger: &Ledger) -> Option<String> {
    let streams = ledger.ids().map(|id| ledger.stream(id));
    let mut owed = streams.filter(|stream| matches(RETAINED, stream.topic) && stream.acknowledged() > 0);
    let stream = owed.find(|stream| !found.contains_key(stream.topic))?;
    Some(format!("{} is not retained", stream.text(stream.acknowledged())))
}
