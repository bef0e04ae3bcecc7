//! Writes a tree as a selector that parses to the same tree.

use std::fmt::{self, Display, Formatter};

use super::lexer::{begins_name, continues_name, is_reserved};
use super::tree::{Comparison, Condition, Literal, Name, Operand, PAYLOAD, Scale, Sign, Step};

impl<N: Display> Display for Condition<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(list) => join(f, list, " OR ", |part| matches!(part, Self::Or(_))),
            Self::And(list) => join(f, list, " AND ", |part| matches!(part, Self::Or(_) | Self::And(_))),
            Self::Not(inner) if matches!(**inner, Self::Or(_) | Self::And(_)) => write!(f, "NOT ({inner})"),
            Self::Not(inner) => write!(f, "NOT {inner}"),
            Self::Compare(comparison, left, right) => write!(f, "{left} {} {right}", comparison.text()),
            Self::Between {
                operand,
                low,
                high,
                negated,
            } => write!(f, "{operand} {}BETWEEN {low} AND {high}", not(*negated)),
            Self::In { name, items, negated } => {
                write!(f, "{name} {}IN (", not(*negated))?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                write!(f, ")")
            }
            Self::Like { name, pattern, negated } => {
                write!(f, "{name} {}LIKE {}", not(*negated), Quoted(pattern.text(), '\''))?;
                match pattern.escape() {
                    Some(escape) => write!(f, " ESCAPE {}", Quoted(escape.encode_utf8(&mut [0; 4]), '\'')),
                    None => Ok(()),
                }
            }
            Self::IsNull { name, negated } => write!(f, "{name} IS {}NULL", not(*negated)),
            Self::Name(name) => write!(f, "{name}"),
            Self::Always(always) => write!(f, "{}", Literal::Bool(*always)),
        }
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn join<N: Display>(
    f: &mut Formatter<'_>,
    list: &[Condition<N>],
    word: &str,
    needs_parentheses: impl Fn(&Condition<N>) -> bool,
) -> fmt::Result {
    for (index, part) in list.iter().enumerate() {
        let word = if index == 0 { "" } else { word };
        if needs_parentheses(part) {
            write!(f, "{word}({part})")?;
        } else {
            write!(f, "{word}{part}")?;
        }
    }
    Ok(())
}

impl<N: Display> Display for Operand<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => write!(f, "{literal}"),
            Self::Name(name) => write!(f, "{name}"),
            Self::Signed(sign, inner) => write!(f, "{} {}", sign.text(), Factor(inner)),
            Self::Sum(first, rest) => {
                write!(f, "{}", Summand(first))?;
                rest.iter()
                    .try_for_each(|(sign, part)| write!(f, " {} {}", sign.text(), Summand(part)))
            }
            Self::Product(first, rest) => {
                write!(f, "{}", Factor(first))?;
                rest.iter()
                    .try_for_each(|(scale, part)| write!(f, " {} {}", scale.text(), Factor(part)))
            }
        }
    }
}

/// What binds at least like a product.
struct Summand<'a, N>(&'a Operand<N>);

impl<N: Display> Display for Summand<'_, N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Operand::Sum(..) => write!(f, "({})", self.0),
            operand => write!(f, "{operand}"),
        }
    }
}

/// What binds stronger than a product.
struct Factor<'a, N>(&'a Operand<N>);

impl<N: Display> Display for Factor<'_, N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Operand::Sum(..) | Operand::Product(..) => write!(f, "({})", self.0),
            operand => write!(f, "{operand}"),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{}", Quoted(text, '\'')),
            Self::Bool(true) => write!(f, "TRUE"),
            Self::Bool(false) => write!(f, "FALSE"),
        }
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(header) => write!(f, "{}", header.text()),
            Self::Property(name) if is_reserved(name) => write!(f, "{}", Quoted(name, '"')),
            Self::Property(name) => write!(f, "{}", Word(name)),
            Self::Payload(steps) => {
                write!(f, "{PAYLOAD}")?;
                steps.iter().try_for_each(|step| match step {
                    Step::Member(name) => write!(f, ".{}", Word(name)),
                    Step::Element(index) => write!(f, "[{index}]"),
                })
            }
        }
    }
}

/// A name, quoted if it must be.
struct Word<'a>(&'a str);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.starts_with(begins_name) && self.0.chars().all(continues_name) {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{}", Quoted(self.0, '"'))
        }
    }
}

struct Quoted<'a>(&'a str, char);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(text, quote) = self;
        let twice = format!("{quote}{quote}");
        write!(f, "{quote}{}{quote}", text.replace(*quote, &twice))
    }
}

impl Comparison {
    fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Sign {
    fn text(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus => "-",
        }
    }
}

impl Scale {
    fn text(self) -> &'static str {
        match self {
            Self::Times => "*",
            Self::Over => "/",
        }
    }
}
