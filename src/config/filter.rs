//! What may stand as a topic filter in a rule.

/// Whether a text is a topic filter that events can match (MQTT 5.0 section 4.7).
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(text: &str) -> Result<(), String> {
    let fault = if text.is_empty() {
        "an empty topic filter matches nothing"
    } else if text.len() > usize::from(u16::MAX) {
        "a topic filter has at most 65535 bytes"
    } else if text.contains('\0') {
        "a topic filter has no null character"
    } else if text.starts_with('$') {
        "topics that begin with $ are never stored"
    } else {
        return check_wildcards(text);
    };
    Err(fault.to_owned())
}

/// A wildcard fills its level, and `#` is the last one [MQTT-4.7.1-1] [MQTT-4.7.1-2].
fn check_wildcards(text: &str) -> Result<(), String> {
    let last = text.split('/').count() - 1;
    for (index, level) in text.split('/').enumerate() {
        if level.contains(['+', '#']) && level.len() > 1 {
            return Err(format!(
                "a wildcard fills its whole level, found \"{level}\" in \"{text}\""
            ));
        }
        if level == "#" && index != last {
            return Err(format!("# can only be the last level, found \"{text}\""));
        }
    }
    Ok(())
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
