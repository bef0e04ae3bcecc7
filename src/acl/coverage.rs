//! Of how much of a filter's topics something is allowed: exact, by walking levels until both answers are seen.

use super::{Effect, Rule};
use crate::topic::TopicFilter;

/// Of how much of a filter's topics something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Of none.
    None,
    /// Of some and not of others, or that is not known: each topic has to be looked at.
    Part,
    /// Of all.
    Whole,
}

/// The rules that decide of some topics of a filter.
#[derive(Debug, Default)]
pub struct Deciding<'a> {
    /// Those that allow, in their order.
    pub allowing: Vec<&'a Rule>,
    /// Those that deny, in their order.
    pub denying: Vec<&'a Rule>,
    /// Whether some topics are denied because no rule speaks of them.
    pub unmentioned: bool,
    /// Whether there were too many combinations to look at, so that rules may be missing here.
    pub incomplete: bool,
}

/// Of how much of a filter's topics the first rule that matches allows something.
pub(super) fn coverage(rules: &[(&Rule, &TopicFilter)], filter: &TopicFilter) -> Coverage {
    walk(rules, filter, true).coverage()
}

/// The same, with all rules that decide.
pub(super) fn explain<'a>(rules: &[(&'a Rule, &TopicFilter)], filter: &TopicFilter) -> (Coverage, Deciding<'a>) {
    let seen = walk(rules, filter, false);
    let mut deciding = Deciding {
        unmentioned: seen.unmentioned,
        incomplete: seen.budget == 0,
        ..Deciding::default()
    };
    for ((rule, _), _) in rules.iter().zip(&seen.decides).filter(|(_, decides)| **decides) {
        match rule.effect {
            Effect::Allow => deciding.allowing.push(rule),
            Effect::Deny => deciding.denying.push(rule),
        }
    }
    (seen.coverage(), deciding)
}

fn walk<'a>(rules: &'a [(&'a Rule, &'a TopicFilter)], filter: &'a TopicFilter, stops_early: bool) -> Seen<'a> {
    let mut seen = Seen {
        rules,
        decides: vec![false; rules.len()],
        allowed: false,
        denied: false,
        unmentioned: false,
        stops_early,
        budget: MAX_STEPS,
    };
    let alive = rules.iter().enumerate().map(|(rule, (_, filter))| Alive {
        rule,
        rest: Some(filter.as_str()),
    });
    seen.descend(filter.as_str(), 0, alive.collect());
    seen
}

/// What the walk has found.
struct Seen<'a> {
    rules: &'a [(&'a Rule, &'a TopicFilter)],
    /// By rule: whether it decides of any topic.
    decides: Vec<bool>,
    allowed: bool,
    denied: bool,
    unmentioned: bool,
    stops_early: bool,
    budget: usize,
}

/// A rule that matches the levels gone through so far.
#[derive(Clone, Copy)]
struct Alive<'a> {
    rule: usize,
    /// What is left of its filter; `None`: it matches whatever follows.
    rest: Option<&'a str>,
}

/// One level of topics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level<'a> {
    /// This text.
    Is(&'a str),
    /// Any text that no rule names here.
    Other,
}

impl<'a> Seen<'a> {
    fn coverage(&self) -> Coverage {
        match (self.allowed, self.denied) {
            _ if self.budget == 0 => Coverage::Part,
            (true, true) => Coverage::Part,
            (true, false) => Coverage::Whole,
            (false, _) => Coverage::None,
        }
    }

    fn is_done(&self) -> bool {
        self.budget == 0 || (self.stops_early && self.allowed && self.denied)
    }

    fn decide(&mut self, rule: Option<usize>) {
        match rule {
            None => (self.denied, self.unmentioned) = (true, true),
            Some(rule) => {
                self.decides[rule] = true;
                match self.rules[rule].0.effect {
                    Effect::Allow => self.allowed = true,
                    Effect::Deny => self.denied = true,
                }
            }
        }
    }

    /// Decides of all topics of `asked`, at a level: those that begin with the levels that led here.
    fn descend(&mut self, asked: &'a str, depth: usize, alive: Vec<Alive<'a>>) {
        // What the first rule matches anyway it decides, and with no rule there is none.
        match alive.first() {
            None => return self.decide(None),
            Some(first) if first.rest.is_none() => return self.decide(Some(first.rule)),
            Some(_) => {}
        }
        let (level, rest) = split(asked);
        match level {
            "#" => {
                for level in named(&alive, depth) {
                    self.step(asked, None, depth, &alive, level);
                }
            }
            "+" => {
                for level in named(&alive, depth) {
                    self.step(asked, Some(rest), depth, &alive, level);
                }
            }
            text => self.step(asked, Some(rest), depth, &alive, Level::Is(text)),
        }
    }

    /// Goes through one level; `rest` is what is asked behind it, `None` if that is all there may be.
    fn step(
        &mut self,
        asked: &'a str,
        rest: Option<Option<&'a str>>,
        depth: usize,
        alive: &[Alive<'a>],
        level: Level<'a>,
    ) {
        if self.is_done() {
            return;
        }
        self.budget = self.budget.saturating_sub(1 + alive.len());
        let alive: Vec<_> = alive.iter().filter_map(|alive| alive.pass(level, depth)).collect();
        // No topic is empty.
        let may_end = depth > 0 || level != Level::Is("");
        match rest {
            None => {
                if may_end {
                    self.decide(first_at_end(&alive));
                }
                self.descend_below(asked, depth + 1, alive);
            }
            Some(None) => {
                if may_end {
                    self.decide(first_at_end(&alive));
                }
            }
            Some(Some("#")) => {
                if may_end {
                    self.decide(first_at_end(&alive));
                }
                self.descend_below("#", depth + 1, alive);
            }
            Some(Some(rest)) => self.descend_below(rest, depth + 1, alive),
        }
    }

    fn descend_below(&mut self, asked: &'a str, depth: usize, alive: Vec<Alive<'a>>) {
        // What has ended matches nothing below.
        let goes_on = |alive: &Alive<'_>| alive.rest != Some(ENDED);
        self.descend(asked, depth, alive.into_iter().filter(goes_on).collect());
    }
}

impl<'a> Alive<'a> {
    /// The rule behind one more level, if it matches that.
    fn pass(&self, level: Level<'a>, depth: usize) -> Option<Self> {
        let Some(rest) = self.rest else { return Some(*self) };
        let (own, rest) = split(rest);
        let is_reserved = depth == 0 && matches!(level, Level::Is(text) if text.starts_with('$'));
        let rest = match own {
            // [MQTT-4.7.2-1]
            "#" | "+" if is_reserved => return None,
            "#" => None,
            "+" => Some(rest.unwrap_or(ENDED)),
            text if level == Level::Is(text) => Some(rest.unwrap_or(ENDED)),
            _ => return None,
        };
        // `a/#` matches `a`, and all below it.
        Some(Self { rule: self.rule, rest })
    }
}

/// The rule that decides of the topic that ends here.
fn first_at_end(alive: &[Alive<'_>]) -> Option<usize> {
    let matches = |alive: &&Alive<'_>| matches!(alive.rest, None | Some(ENDED | "#"));
    alive.iter().find(matches).map(|alive| alive.rule)
}

/// The levels that wildcards stand for, as far as rules tell them apart.
fn named<'a>(alive: &[Alive<'a>], depth: usize) -> Vec<Level<'a>> {
    let texts = alive.iter().filter_map(|alive| alive.rest.map(|rest| split(rest).0));
    let mut texts: Vec<_> = texts
        .filter(|text| !(matches!(*text, "#" | "+") || depth == 0 && text.starts_with('$')))
        .collect();
    texts.sort_unstable();
    texts.dedup();
    let mut levels = vec![Level::Other];
    levels.extend(texts.into_iter().map(Level::Is));
    levels
}

/// The first level of a filter, and what is behind it.
fn split(filter: &str) -> (&str, Option<&str>) {
    filter
        .split_once('/')
        .map_or((filter, None), |(first, rest)| (first, Some(rest)))
}

/// What is left of a filter that has ended: no filter has this in it.
const ENDED: &str = "\0";
/// Rules that are looked at, again for each combination of levels, before it is left to looking at each topic.
const MAX_STEPS: usize = 200_000;
