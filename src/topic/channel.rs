//! The name of a channel: the dotted text of a topic, one to one. Knows nothing of what a channel holds.

use std::fmt::Write as _;

/// Why a text is no channel name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// Two dots in a row, or a dot at an end: an empty level is written `%-`.
    #[error("a level of the channel name is empty: an empty topic level is written %-")]
    EmptyLevel,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("% must be followed by two upper-case hexadecimal digits")]
    MalformedEscape,
    /// The escaped bytes are not UTF-8.
    #[error("the escaped bytes are not UTF-8")]
    NotUtf8,
    /// No topic has this name: something is escaped that must not be, or not escaped that must be.
    #[error("not the way a channel name is written: the channel of that topic is {0}")]
    NotCanonical(String),
}

/// The name of the channel that holds the events of a topic.
pub fn channel_name(topic: &str) -> String {
    if is_plain(topic.as_bytes()) {
        return topic.replace('/', ".");
    }
    let mut name = String::with_capacity(topic.len() + 2);
    for (depth, level) in topic.split('/').enumerate() {
        if depth > 0 {
            name.push('.');
        }
        push_level(&mut name, level);
    }
    name
}

/// Writes the name of the channel that holds the events of a topic in place of what is in `name`.
pub fn put_channel_name(topic: &str, name: &mut Vec<u8>) {
    name.clear();
    if is_plain(topic.as_bytes()) {
        let dotted = topic.bytes().map(|byte| if byte == b'/' { b'.' } else { byte });
        name.extend(dotted);
    } else {
        name.extend_from_slice(channel_name(topic).as_bytes());
    }
}

/// The topic whose channel has this name; exactly the names that [`channel_name`] gives are accepted.
pub fn topic_of_channel(channel: &str) -> Result<String, ChannelError> {
    let mut bytes = Vec::with_capacity(channel.len());
    for (depth, level) in channel.split('.').enumerate() {
        if depth > 0 {
            bytes.push(b'/');
        }
        match level {
            "" => return Err(ChannelError::EmptyLevel),
            "%-" => {}
            text => percent_decode(text, &mut bytes).ok_or(ChannelError::MalformedEscape)?,
        }
    }
    let topic = String::from_utf8(bytes).map_err(|_| ChannelError::NotUtf8)?;
    let canonical = channel_name(&topic);
    if canonical != channel {
        return Err(ChannelError::NotCanonical(canonical));
    }
    Ok(topic)
}

/// Whether every level is spelled as it is: most topics are.
fn is_plain(topic: &[u8]) -> bool {
    let [first, .., last] = topic else {
        return topic.first().is_some_and(|&byte| byte != b'/' && is_plain_byte(byte));
    };
    // Without a way out of the loops, so that they take many bytes at a time.
    let plain = topic.iter().fold(true, |plain, &byte| plain & is_plain_byte(byte));
    let neighbours = topic.iter().zip(&topic[1..]);
    let empty = neighbours.fold(false, |empty, (&a, &b)| empty | ((a == b'/') & (b == b'/')));
    plain && !empty && *first != b'/' && *last != b'/'
}

fn is_plain_byte(byte: u8) -> bool {
    (byte > b' ') & (byte < 0x7f) & (byte != b'%') & (byte != b'.') & (byte != b'*') & (byte != b'>')
}

/// Appends one topic level as a channel name spells it.
pub(super) fn push_level(name: &mut String, level: &str) {
    if level.is_empty() {
        name.push_str("%-");
    }
    for character in level.chars() {
        if matches!(character, '%' | '.' | '*' | '>') || character.is_whitespace() || character.is_control() {
            let mut utf8 = [0; 4];
            for byte in character.encode_utf8(&mut utf8).bytes() {
                write!(name, "%{byte:02X}").expect("a String takes all that is written to it");
            }
        } else {
            name.push(character);
        }
    }
}

/// Appends the bytes of a percent-encoded text; `None` where a `%` lacks its two hexadecimal digits.
pub(super) fn percent_decode(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        bytes.push(hex(digits[0])? << 4 | hex(digits[1])?);
        rest = after;
    }
    Some(())
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_spelt_as_documented() {
        let table = [
            ("a/b", "a.b"),
            ("a.b/c", "a%2Eb.c"),
            ("/", "%-.%-"),
            ("a//b", "a.%-.b"),
            ("/a", "%-.a"),
            ("a/", "a.%-"),
            ("a-_$/B~9/c", "a-_$.B~9.c"),
            ("100%/x", "100%25.x"),
            ("%-", "%25-"),
            ("*/>", "%2A.%3E"),
            ("a b/\t", "a%20b.%09"),
            ("\u{a0}/é", "%C2%A0.é"),
            ("\u{85}", "%C2%85"),
            ("$store/+", "$store.+"),
        ];
        for (topic, channel) in table {
            assert_eq!(channel_name(topic), channel);
            assert_eq!(topic_of_channel(channel).as_deref(), Ok(topic));
        }
    }

    #[test]
    fn only_canonical_names_are_read() {
        assert_eq!(topic_of_channel(""), Err(ChannelError::EmptyLevel));
        assert_eq!(topic_of_channel("a..b"), Err(ChannelError::EmptyLevel));
        assert_eq!(topic_of_channel("a%2"), Err(ChannelError::MalformedEscape));
        assert_eq!(topic_of_channel("a%é1"), Err(ChannelError::MalformedEscape));
        assert_eq!(topic_of_channel("%FF"), Err(ChannelError::NotUtf8));
        for (wrong, right) in [
            ("a%2eb", "a%2Eb"),
            ("%61", "a"),
            ("a%2Fb", "a.b"),
            ("a/b", "a.b"),
            ("a>", "a%3E"),
        ] {
            let expected = ChannelError::NotCanonical(right.into());
            assert_eq!(topic_of_channel(wrong), Err(expected), "{wrong}");
        }
    }

    fn any_topic() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a%./>* \\-2E\u{0}\u{a0}é]{0,12}"]
    }

    proptest! {
        #[test]
        fn a_topic_comes_back_from_its_channel(topic in any_topic()) {
            prop_assert_eq!(topic_of_channel(&channel_name(&topic)), Ok(topic));
        }

        #[test]
        fn a_name_that_is_put_is_the_name(topic in any_topic()) {
            let mut name = b"before".to_vec();
            put_channel_name(&topic, &mut name);
            prop_assert_eq!(name, channel_name(&topic).into_bytes());
        }

        #[test]
        fn two_topics_never_share_a_channel(one in any_topic(), other in any_topic()) {
            prop_assert_eq!(one == other, channel_name(&one) == channel_name(&other));
        }

        #[test]
        fn any_text_is_read_or_refused_and_reads_back(text in any_topic()) {
            if let Ok(topic) = topic_of_channel(&text) {
                prop_assert_eq!(channel_name(&topic), text);
            }
        }
    }
}
