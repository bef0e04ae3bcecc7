//! The filter of a rule, with places for what is known of a client. What is filled in never makes it match more.

use crate::topic::{TopicError, TopicFilter};

use super::Principal;

/// A filter, or one that is made for each client.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// The same for everybody.
    Fixed(TopicFilter),
    /// Made of these, one behind the other.
    Made(Box<[Piece]>),
}

/// A piece of such a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands there.
    Text(String),
    /// `%u`: the user's name.
    User,
    /// `%c`: the client identifier.
    Client,
    /// `%{name}`: what the proof says under this name.
    Claim(String),
}

/// Why a text is no pattern; the number is the byte where the fault is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PatternFault {
    /// It is no filter, whatever is filled in.
    Filter(TopicError),
    /// What stands behind this `%` names nothing.
    Percent(usize),
    /// A `%{` without its end, or without a name.
    Claim(usize),
}

impl Pattern {
    /// A pattern with `%u`, `%c`, `%{claim}`, and `%%` for a percent sign.
    pub fn parse(text: &str) -> Result<Self, PatternFault> {
        Self::of(pieces(text)?)
    }

    /// One of mosquitto: with `%u` and `%c`, and any other percent sign as it is.
    pub fn parse_mosquitto(text: &str) -> Result<Self, PatternFault> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(at) = rest.find('%') {
            let piece = match rest.as_bytes().get(at + 1) {
                Some(b'u') => Piece::User,
                Some(b'c') => Piece::Client,
                _ => {
                    push_text(&mut pieces, &rest[..=at]);
                    rest = &rest[at + 1..];
                    continue;
                }
            };
            push_text(&mut pieces, &rest[..at]);
            pieces.push(piece);
            rest = &rest[at + 2..];
        }
        push_text(&mut pieces, rest);
        Self::of(pieces)
    }

    /// The filter itself.
    pub fn fixed(text: &str) -> Result<Self, PatternFault> {
        TopicFilter::parse(text).map(Self::Fixed).map_err(PatternFault::Filter)
    }

    fn of(pieces: Vec<Piece>) -> Result<Self, PatternFault> {
        if let [Piece::Text(text)] = pieces.as_slice() {
            return Self::fixed(text);
        }
        let sample: String = pieces.iter().map(Piece::sample).collect();
        TopicFilter::parse(&sample).map_err(PatternFault::Filter)?;
        Ok(Self::Made(pieces.into()))
    }

    /// The filter for one client. `None`: something is not known of it, or would not be one level of plain text.
    pub fn fill(&self, who: &Principal<'_>) -> Option<TopicFilter> {
        let pieces = match self {
            Self::Fixed(filter) => return Some(filter.clone()),
            Self::Made(pieces) => pieces,
        };
        let mut text = String::new();
        for piece in pieces {
            let value = match piece {
                Piece::Text(text) => text,
                Piece::User => plain(who.user?, text.is_empty())?,
                Piece::Client => plain(who.client, text.is_empty())?,
                Piece::Claim(name) => plain((who.claim)(name)?, text.is_empty())?,
            };
            text.push_str(value);
        }
        TopicFilter::parse(&text).ok()
    }
}

impl Piece {
    fn sample(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "x",
        }
    }
}

/// A value that stays within its level. At the start of a filter, one that begins with `$` would reach topics that no
/// wildcard reaches.
fn plain(value: &str, first: bool) -> Option<&str> {
    let widens = value.contains(['+', '#', '/', '\0']) || first && value.starts_with('$');
    (!widens && !value.is_empty()).then_some(value)
}

fn pieces(text: &str) -> Result<Vec<Piece>, PatternFault> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('%') {
        let fault = text.len() - rest.len() + at;
        push_text(&mut pieces, &rest[..at]);
        rest = &rest[at + 1..];
        let mut length = 1;
        match rest.as_bytes().first() {
            Some(b'u') => pieces.push(Piece::User),
            Some(b'c') => pieces.push(Piece::Client),
            Some(b'%') => push_text(&mut pieces, "%"),
            Some(b'{') => {
                let end = rest
                    .find('}')
                    .filter(|end| *end > 1)
                    .ok_or(PatternFault::Claim(fault))?;
                pieces.push(Piece::Claim(rest[1..end].to_owned()));
                length = end + 1;
            }
            _ => return Err(PatternFault::Percent(fault)),
        }
        rest = &rest[length..];
    }
    push_text(&mut pieces, rest);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}
