//! Values, what they mean beside each other, and calculating with them. Three-valued where something is absent.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Not;

use super::tree::{Comparison, Literal, Scale, Sign};

/// What a condition comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds: only then is the message wanted.
    True,
    /// It does not hold.
    False,
    /// Something that it asks for is not there.
    Unknown,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl Truth {
    /// As it is, or its opposite.
    pub(super) fn negated_if(self, negated: bool) -> Self {
        if negated { !self } else { self }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        !(!self).and(!other)
    }
}

/// What a message says under a name, or what was calculated.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// It is not there.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number; never NaN.
    Float(f64),
    /// Text that the message carries: a number beside numbers, if it reads as one.
    Text(Cow<'a, str>),
    /// A string literal of the selector: always a string.
    String(&'a str),
    /// A boolean.
    Bool(bool),
    /// A JSON object or array: it is there, and no more can be said.
    Composite,
}

/// A number.
#[derive(Clone, Copy, Debug)]
enum Number {
    Integer(i64),
    Float(f64),
}

impl<'a> Value<'a> {
    pub(super) fn of(literal: &'a Literal) -> Self {
        match literal {
            Literal::Integer(number) => Self::Integer(*number),
            Literal::Float(number) => Self::Float(*number),
            Literal::Text(text) => Self::String(text),
            Literal::Bool(is) => Self::Bool(*is),
        }
    }

    /// A value that refers to this one.
    pub(super) fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::String(text) => Value::String(text),
            Self::Bool(is) => Value::Bool(*is),
            Self::Composite => Value::Composite,
        }
    }

    /// As a condition: a name alone is asked whether it is true.
    pub(super) fn truth(&self) -> Truth {
        match self.as_bool() {
            Some(is) => is.into(),
            None => Truth::Unknown,
        }
    }

    fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(is) => Some(*is),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Number> {
        match self {
            Self::Integer(number) => Some(Number::Integer(*number)),
            Self::Float(number) => Some(Number::Float(*number)),
            Self::Text(text) => read_number(text),
            _ => None,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Float(_))
    }

    /// Compares two values; unknown if one is not there, false if they cannot be compared.
    pub(super) fn compare(&self, comparison: Comparison, other: &Self) -> Truth {
        let ordering = match (self, other) {
            (Self::Null, _) | (_, Self::Null) => return Truth::Unknown,
            _ if self.is_number() || other.is_number() => order(self.as_number(), other.as_number()),
            (Self::Text(_) | Self::String(_), Self::Text(_) | Self::String(_)) if !comparison.is_ordering() => {
                self.as_text().partial_cmp(&other.as_text())
            }
            (Self::Text(_), Self::Text(_)) => order(self.as_number(), other.as_number()),
            (Self::Bool(_), _) | (_, Self::Bool(_)) if !comparison.is_ordering() => {
                let both = self.as_bool().zip(other.as_bool());
                both.map(|(one, other)| one.cmp(&other))
            }
            _ => None,
        };
        ordering.is_some_and(|ordering| comparison.holds(ordering)).into()
    }

    /// The value with a sign; nothing of what is no number.
    pub(super) fn signed(&self, sign: Sign) -> Value<'static> {
        match (sign, self.as_number()) {
            (_, None) => Value::Null,
            (Sign::Plus, Some(Number::Integer(number))) => Value::Integer(number),
            (Sign::Plus, Some(Number::Float(number))) => Value::Float(number),
            (Sign::Minus, Some(Number::Integer(number))) => match number.checked_neg() {
                Some(number) => Value::Integer(number),
                None => Value::Float(-(number as f64)),
            },
            (Sign::Minus, Some(Number::Float(number))) => Value::Float(-number),
        }
    }

    pub(super) fn add(&self, sign: Sign, other: &Self) -> Value<'static> {
        match sign {
            Sign::Plus => self.calculate(other, i64::checked_add, |one, other| one + other),
            Sign::Minus => self.calculate(other, i64::checked_sub, |one, other| one - other),
        }
    }

    pub(super) fn scale(&self, scale: Scale, other: &Self) -> Value<'static> {
        match scale {
            Scale::Times => self.calculate(other, i64::checked_mul, |one, other| one * other),
            Scale::Over => match other.as_number() {
                Some(divisor) if divisor.as_f64() != 0.0 => {
                    self.calculate(other, |_, _| None, |one, other| one / other)
                }
                _ => Value::Null,
            },
        }
    }

    /// Calculates in whole numbers as long as they suffice. What is no number gives nothing.
    fn calculate(
        &self,
        other: &Self,
        exact: impl Fn(i64, i64) -> Option<i64>,
        real: impl Fn(f64, f64) -> f64,
    ) -> Value<'static> {
        let Some((one, other)) = self.as_number().zip(other.as_number()) else {
            return Value::Null;
        };
        if let (Number::Integer(one), Number::Integer(other)) = (one, other)
            && let Some(number) = exact(one, other)
        {
            return Value::Integer(number);
        }
        let number = real(one.as_f64(), other.as_f64());
        if number.is_nan() {
            Value::Null
        } else {
            Value::Float(number)
        }
    }
}

impl Number {
    fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

fn order(one: Option<Number>, other: Option<Number>) -> Option<Ordering> {
    match (one?, other?) {
        (Number::Integer(one), Number::Integer(other)) => Some(one.cmp(&other)),
        (one, other) => one.as_f64().partial_cmp(&other.as_f64()),
    }
}

/// Reads text as a number: `[+-]digits[.digits][e[+-]digits]`, and nothing else.
fn read_number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let rest = skip_digits(unsigned.as_bytes())?;
    if rest.is_empty() {
        // Beyond 64 bits it goes on as a double.
        return text
            .parse()
            .map(Number::Integer)
            .or_else(|_| text.parse().map(Number::Float))
            .ok();
    }
    let rest = match rest {
        [b'.', rest @ ..] => skip_digits(rest)?,
        _ => rest,
    };
    let rest = match rest {
        [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => skip_digits(rest)?,
        _ => rest,
    };
    if rest.is_empty() {
        text.parse().map(Number::Float).ok()
    } else {
        None
    }
}

/// What follows the digits, of which there must be one.
fn skip_digits(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(bytes.len());
    (end > 0).then(|| &bytes[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_as_a_number_in_one_form_only() {
        for (text, expected) in [
            ("0", 0.0),
            ("007", 7.0),
            ("+5", 5.0),
            ("-5.25", -5.25),
            ("1e3", 1000.0),
            ("1.5E-1", 0.15),
            ("99999999999999999999", 1e20),
            ("1e999", f64::INFINITY),
        ] {
            let found = read_number(text).map(Number::as_f64);
            assert_eq!(found, Some(expected), "{text}");
        }
        let none = [
            "", "+", "-", ".5", "5.", "1.e1", "1e", "1e+", "0x10", "inf", "NaN", " 1", "1 ", "1_0", "--1", "1L", "٣",
            "1,5",
        ];
        for text in none {
            assert!(read_number(text).is_none(), "{text}");
        }
    }

    #[test]
    fn three_values_combine_as_in_sql() {
        use Truth::{False, True, Unknown};
        let table = [
            (True, True, True, True),
            (True, False, False, True),
            (True, Unknown, Unknown, True),
            (False, False, False, False),
            (False, Unknown, False, Unknown),
            (Unknown, Unknown, Unknown, Unknown),
        ];
        for (one, other, and, or) in table {
            assert_eq!((one.and(other), other.and(one)), (and, and));
            assert_eq!((one.or(other), other.or(one)), (or, or));
        }
        assert_eq!([!True, !False, !Unknown], [False, True, Unknown]);
    }
}
