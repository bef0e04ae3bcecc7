//! Walks a compiled selector. Knows no message: values come by slot.

use super::compile::Slot;
use super::tree::{Comparison, Condition, Literal, Operand};
use super::{Truth, Value};

/// Where the values come from.
pub(super) trait Values {
    /// The value of a slot.
    fn value(&self, slot: Slot) -> Value<'_>;
}

/// What a condition comes to. No deeper than the tree, no longer than it is large.
pub(super) fn condition(tree: &Condition<Slot>, values: &impl Values) -> Truth {
    match tree {
        Condition::Or(list) => !fold(list, values, |part| !part),
        Condition::And(list) => fold(list, values, |part| part),
        Condition::Not(inner) => !condition(inner, values),
        Condition::Compare(comparison, left, right) => {
            operand(left, values).compare(*comparison, &operand(right, values))
        }
        Condition::Between {
            operand: middle,
            low,
            high,
            negated,
        } => {
            let middle = operand(middle, values);
            let (low, high) = (operand(low, values), operand(high, values));
            // NOT BETWEEN is "below or above", which no text is that is no number.
            if *negated {
                let below = middle.compare(Comparison::Less, &low);
                below.or(middle.compare(Comparison::Greater, &high))
            } else {
                let above = middle.compare(Comparison::GreaterOrEqual, &low);
                above.and(middle.compare(Comparison::LessOrEqual, &high))
            }
        }
        Condition::In { name, items, negated } => is_in(&values.value(*name), items).negated_if(*negated),
        Condition::Like { name, pattern, negated } => {
            let like = match values.value(*name) {
                Value::Null => Truth::Unknown,
                value => value.as_text().is_some_and(|text| pattern.matches(text)).into(),
            };
            like.negated_if(*negated)
        }
        Condition::IsNull { name, negated } => {
            let is_null = matches!(values.value(*name), Value::Null);
            Truth::from(is_null != *negated)
        }
        Condition::Name(name) => values.value(*name).truth(),
        Condition::Always(always) => Truth::from(*always),
    }
}

/// All of a list, as seen through `view`; the first that is false ends it.
fn fold(list: &[Condition<Slot>], values: &impl Values, view: impl Fn(Truth) -> Truth) -> Truth {
    let mut all = Truth::True;
    for part in list {
        all = all.and(view(condition(part, values)));
        if all == Truth::False {
            break;
        }
    }
    all
}

fn is_in(value: &Value<'_>, items: &[Literal]) -> Truth {
    if *value == Value::Null {
        return Truth::Unknown;
    }
    let equals = |item| value.compare(Comparison::Equal, &Value::of(item)) == Truth::True;
    Truth::from(items.iter().any(equals))
}

fn operand<'v>(tree: &'v Operand<Slot>, values: &'v impl Values) -> Value<'v> {
    match tree {
        Operand::Literal(literal) => Value::of(literal),
        Operand::Name(name) => values.value(*name),
        Operand::Signed(sign, inner) => operand(inner, values).signed(*sign),
        Operand::Sum(first, rest) => rest.iter().fold(operand(first, values), |sum, (sign, part)| {
            sum.add(*sign, &operand(part, values))
        }),
        Operand::Product(first, rest) => rest.iter().fold(operand(first, values), |product, (scale, part)| {
            product.scale(*scale, &operand(part, values))
        }),
    }
}
