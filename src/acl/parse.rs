//! Our own syntax: `allow publish, subscribe user alice on site/#`, and `group fitters = alice, bob`.

use ahash::AHashMap;

use super::pattern::{Pattern, PatternFault};
use super::rule::Actions;
use super::words::{Words, lines};
use super::{Acl, AclFault, Action, Effect, Rule, Who};

/// Reads all lines, or says everything that is wrong.
pub(super) fn parse(text: &str) -> Result<Acl, Vec<AclFault>> {
    let (mut rules, mut faults) = (Vec::new(), Vec::new());
    let mut groups: AHashMap<String, Vec<String>> = AHashMap::new();
    for (number, line) in lines(text) {
        match parse_line(line, number) {
            Ok(Line::Rule(rule)) => rules.push(rule),
            Ok(Line::Group(group, users)) => {
                for user in users {
                    groups.entry(user).or_default().push(group.clone());
                }
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(Acl::new(rules, groups))
    } else {
        Err(faults)
    }
}

enum Line {
    Rule(Rule),
    Group(String, Vec<String>),
}

fn parse_line(line: &str, number: u32) -> Result<Line, AclFault> {
    let mut words = Words::new(line, number);
    let at = words.at();
    let first = words.next(&[])?.map(|word| (word.text, word.at));
    let effect = match first.as_ref().map(|(text, at)| (text.as_str(), *at)) {
        Some(("allow", _)) => Effect::Allow,
        Some(("deny", _)) => Effect::Deny,
        Some(("group", _)) => return parse_group(&mut words),
        Some((other, at)) => {
            let what = format!("`{other}` begins no line; write `allow`, `deny` or `group`");
            return Err(words.fault(at, what));
        }
        None => return Err(words.fault(at, "write `allow`, `deny` or `group`")),
    };
    let actions = parse_actions(&mut words)?;
    let who = parse_who(&mut words)?;
    let at = words.at();
    match words.next(&[])? {
        Some(word) if word.text == "on" && !word.is_quoted => {}
        Some(word) => {
            let what = format!("`{}` is not expected here; write `on` and a topic filter", word.text);
            return Err(words.fault(word.at, what));
        }
        None => return Err(words.fault(at, "write `on` and a topic filter")),
    }
    Ok(Line::Rule(Rule {
        line: number,
        effect,
        who,
        actions,
        pattern: parse_filter(&mut words)?,
        text: line.trim().into(),
    }))
}

fn parse_actions(words: &mut Words<'_>) -> Result<Actions, AclFault> {
    let mut actions = Actions::NONE;
    loop {
        let at = words.at();
        let word = words.next(&[','])?;
        let text = word.as_ref().map_or("", |word| word.text.as_str());
        match (text, Action::parse(text)) {
            ("all", _) => actions = Actions::ALL,
            (_, Some(action)) => actions = actions.with(action),
            _ => {
                let at = word.as_ref().map_or(at, |word| word.at);
                let what = format!("`{text}` is no action; {ACTIONS}");
                return Err(words.fault(at, what));
            }
        }
        if !words.skip(',') {
            return Ok(actions);
        }
    }
}

fn parse_who(words: &mut Words<'_>) -> Result<Who, AclFault> {
    let at = words.at();
    let word = words.next(&[])?;
    let text = word.as_ref().map_or("", |word| word.text.as_str());
    let named: fn(String) -> Who = match text {
        "anyone" => return Ok(Who::Anyone),
        "anonymous" => return Ok(Who::Anonymous),
        "user" => Who::User,
        "group" => Who::Group,
        "client" => Who::Client,
        _ => {
            let at = word.as_ref().map_or(at, |word| word.at);
            let what = format!("`{text}` is nobody; {WHO}");
            return Err(words.fault(at, what));
        }
    };
    let at = words.at();
    match words.next(&[])? {
        Some(name) if !name.text.is_empty() => Ok(named(name.text)),
        _ => Err(words.fault(
            at,
            format!("write a name behind `{text}`, in double quotes if it has spaces"),
        )),
    }
}

fn parse_filter(words: &mut Words<'_>) -> Result<Pattern, AclFault> {
    let (text, at) = words.remainder();
    if text.is_empty() {
        return Err(words.fault(at, "write a topic filter behind `on`, such as site/+/state or site/#"));
    }
    let pattern = Pattern::parse(text);
    pattern_or_fault(pattern, text, words, at)
}

/// The pattern, or what is wrong with it as a fault of the line.
pub(super) fn pattern_or_fault(
    pattern: Result<Pattern, PatternFault>,
    text: &str,
    words: &Words<'_>,
    at: usize,
) -> Result<Pattern, AclFault> {
    if text.split('/').count() > MAX_LEVELS {
        return Err(words.fault(at, format!("the filter of a rule has at most {MAX_LEVELS} levels")));
    }
    if let Some(prefix) = PREFIXES.into_iter().find(|prefix| text.starts_with(prefix)) {
        let what = format!(
            "rules speak of topics; leave {prefix} out (write the action `replay` or `store` where that is meant)"
        );
        return Err(words.fault(at, what));
    }
    pattern.map_err(|fault| match fault {
        PatternFault::Filter(fault) => words.fault(at, format!("`{text}` is no topic filter: {fault}")),
        PatternFault::Percent(byte) => words.fault(
            at + byte,
            "write %u (user), %c (client identifier), %{claim}, or %% for a percent sign",
        ),
        PatternFault::Claim(byte) => words.fault(at + byte, "write %{claim} with the name of a claim"),
    })
}

/// `group fitters = alice, bob "the boss"`.
fn parse_group(words: &mut Words<'_>) -> Result<Line, AclFault> {
    let at = words.at();
    let name = words.next(&['='])?.filter(|name| !name.text.is_empty());
    let Some(name) = name else {
        return Err(words.fault(at, "write the name of a group, `=`, and its users"));
    };
    if !words.skip('=') {
        return Err(words.fault(words.at(), "write `=` and the users of the group"));
    }
    let mut users = Vec::new();
    while let Some(user) = words.next(&[','])? {
        users.push(user.text);
        words.skip(',');
    }
    let (rest, at) = words.remainder();
    if !rest.is_empty() {
        return Err(words.fault(at, "a user is missing before this comma"));
    }
    Ok(Line::Group(name.text, users))
}

const ACTIONS: &str = "write publish, subscribe, replay, store (several with commas) or all";
const WHO: &str = "write `user NAME`, `group NAME`, `client NAME`, `anonymous` or `anyone`";
/// Of the filter of a rule: how deep a look at all rules goes.
const MAX_LEVELS: usize = 128;
const PREFIXES: [&str; 4] = ["$share/", "$replay/", "$select/", "$store/"];
