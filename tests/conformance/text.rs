//! The words of a line: `name=value` with quotes, variables and alternatives. Knows no packet.

use std::collections::HashMap;

use super::script::Version;

/// One argument of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    pub only: Option<Version>,
    pub name: String,
    pub value: Option<String>,
}

/// What `{name}` stands for.
pub type Variables = HashMap<String, String>;

impl Arg {
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            only: None,
            name: name.to_owned(),
            value: Some(value.into()),
        }
    }

    pub fn flag(name: &str) -> Self {
        Self {
            only: None,
            name: name.to_owned(),
            value: None,
        }
    }

    /// The value; a flag alone is 1.
    pub fn value(&self) -> &str {
        self.value.as_deref().unwrap_or("1")
    }

    pub fn number(&self) -> Result<u32, String> {
        number(self.value()).ok_or_else(|| format!("{} is no number: {}", self.name, self.value()))
    }

    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        bytes(self.value())
    }
}

/// The arguments of a line.
pub fn args(text: &str) -> Result<Vec<Arg>, String> {
    words(text)?.into_iter().map(arg).collect()
}

/// The arguments for one version, with the values of variables in them.
pub fn resolve(args: &[Arg], version: Version, variables: &Variables) -> Result<Vec<Arg>, String> {
    let here = args.iter().filter(|arg| arg.only.is_none_or(|only| only == version));
    here.map(|arg| {
        Ok(Arg {
            only: None,
            name: substitute(&arg.name, variables)?,
            value: arg
                .value
                .as_ref()
                .map(|value| substitute(value, variables))
                .transpose()?,
        })
    })
    .collect()
}

fn substitute(text: &str, variables: &Variables) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((name, behind)) = behind.split_once('}') else {
            return Err(format!("a {{ without }} in {text}"));
        };
        let value = variables
            .get(name)
            .ok_or_else(|| format!("nothing was kept as {name}"))?;
        out.push_str(before);
        out.push_str(value);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// A decimal number, or a hexadecimal one behind `0x`.
pub fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The bytes that a value stands for.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    if let Some(digits) = text.strip_prefix("hex:") {
        return hex(digits);
    }
    match text.strip_prefix("fill:") {
        Some(count) => count
            .parse()
            .map(|count| vec![b'x'; count])
            .map_err(|_| format!("no number of bytes: {text}")),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// Bytes in hexadecimal digits.
pub fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| format!("no bytes: {digits}"))
}

fn arg(word: String) -> Result<Arg, String> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word, None),
    };
    let (only, name) = match name.as_bytes() {
        [b'5', b':', ..] => (Some(Version::V5), name[2..].to_owned()),
        [b'3', b':', ..] => (Some(Version::V3), name[2..].to_owned()),
        _ => (None, name),
    };
    Ok(Arg { only, name, value })
}

/// Splits at blanks; a quoted part keeps them.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut begun = false;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => {
                begun = true;
                quoted(&mut chars, &mut word)?;
            }
            _ if char.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                begun = true;
                word.push(char);
            }
        }
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    loop {
        match chars.next().ok_or("a quote is not closed")? {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some('u') => word.push(code_point(chars)?),
                Some(other) => word.push(other),
                None => return Err("a quote is not closed".to_owned()),
            },
            other => word.push(other),
        }
    }
}

fn code_point(chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    let digits: String = chars
        .skip_while(|char| *char == '{')
        .take_while(|char| *char != '}')
        .collect();
    let found = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
    found.ok_or_else(|| format!("no code point: {digits}"))
}
