//! What may stand as a topic filter in a rule.

use crate::topic::TopicFilter;

/// Whether a text is a topic filter that events can match (MQTT 5.0 section 4.7).
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(text: &str) -> Result<(), String> {
    if text.starts_with('$') {
        return Err("topics that begin with $ are never stored".to_owned());
    }
    TopicFilter::parse(text)
        .map(|_| ())
        .map_err(|fault| format!("{fault}, found \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_by_the_specification_pass_and_others_do_not() {
        for text in ["#", "+", "a", "/", "a/#", "+/a/+/#", "a b/é", "/a"] {
            assert_eq!(check_filter(text), Ok(()), "{text}");
        }
        for text in ["", "a#", "#/a", "a/+b", "a/#/b", "a\0b", "$SYS/#", "$share/g/a"] {
            assert!(check_filter(text).is_err(), "{text}");
        }
    }
}
