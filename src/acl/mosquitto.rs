//! The syntax of mosquitto's `acl_file`, and what it means: refusals first, then what is allowed to the user, then the patterns.

use ahash::AHashMap;

use super::parse::pattern_or_fault;
use super::pattern::Pattern;
use super::rule::Actions;
use super::words::{Words, lines};
use super::{Acl, AclFault, Action, Effect, Rule, Who};

/// Reads all lines, or says everything that is wrong.
pub(super) fn parse(text: &str) -> Result<Acl, Vec<AclFault>> {
    let (mut topics, mut patterns, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut who = Who::Anonymous;
    for (number, line) in lines(text) {
        match parse_line(line, number, &who) {
            Ok(Line::User(name)) => who = Who::User(name),
            Ok(Line::Topic(rule)) => topics.push(rule),
            Ok(Line::Pattern(rule)) => patterns.push(rule),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    // Within each list a refusal goes before what is allowed; the order is otherwise kept.
    topics.sort_by_key(|rule| rule.effect == Effect::Allow);
    patterns.sort_by_key(|rule| rule.effect == Effect::Allow);
    topics.append(&mut patterns);
    Ok(Acl::new(topics, AHashMap::new()))
}

enum Line {
    User(String),
    Topic(Rule),
    Pattern(Rule),
}

fn parse_line(line: &str, number: u32, who: &Who) -> Result<Line, AclFault> {
    let mut words = Words::new(line, number);
    // A quotation mark means nothing here.
    let (text, at) = words.remainder();
    let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest_at = at + text.len() - rest.trim_start().len();
    let rest = rest.trim_start();
    let needs = |what: &str| words.fault(at + keyword.len(), format!("write {what} behind `{keyword}`"));
    match keyword {
        "user" if rest.is_empty() => Err(needs("the name of a user")),
        "user" => Ok(Line::User(rest.to_owned())),
        "topic" | "pattern" if rest.is_empty() => Err(needs("[read|write|readwrite|deny] and a topic")),
        "topic" | "pattern" => {
            let (access, topic) = match rest.split_once(char::is_whitespace) {
                Some((access, topic)) => (access, topic.trim_start()),
                None => ("readwrite", rest),
            };
            let Some((effect, actions)) = parse_access(access) else {
                let what = format!("`{access}` is no access; write read, write, readwrite or deny, and then the topic");
                return Err(words.fault(rest_at, what));
            };
            let is_pattern = keyword == "pattern";
            let pattern = match is_pattern {
                true => Pattern::parse_mosquitto(topic),
                false => Pattern::fixed(topic),
            };
            let topic_at = at + text.len() - topic.len();
            let rule = Rule {
                line: number,
                effect,
                who: if is_pattern { Who::Anyone } else { who.clone() },
                actions,
                pattern: pattern_or_fault(pattern, topic, &words, topic_at)?,
                text: text.into(),
            };
            Ok(if is_pattern {
                Line::Pattern(rule)
            } else {
                Line::Topic(rule)
            })
        }
        other => Err(words.fault(
            at,
            format!("`{other}` begins no line; write `user`, `topic` or `pattern`"),
        )),
    }
}

/// Reading is to subscribe and to replay, writing is to publish and to ask for storing.
fn parse_access(word: &str) -> Option<(Effect, Actions)> {
    Some(match word {
        "read" => (Effect::Allow, Actions::of(&[Action::Subscribe, Action::Replay])),
        "write" => (Effect::Allow, Actions::of(&[Action::Publish, Action::Store])),
        "readwrite" => (Effect::Allow, Actions::ALL),
        "deny" => (Effect::Deny, Actions::ALL),
        _ => return None,
    })
}
