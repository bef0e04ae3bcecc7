//! The patterns of LIKE. Time is linear in the text, also where a pattern wants to go back and forth.

use std::collections::BTreeMap;

use super::fault::FaultKind;

/// A pattern of LIKE, as written and taken apart. `%` is any text, `_` any one character.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    escape: Option<char>,
    /// What stands before, between and behind the `%`.
    pieces: Vec<Piece>,
}

/// Characters in a row, `None` for any.
#[derive(Clone, Debug)]
struct Piece {
    chars: Vec<Option<char>>,
    search: Search,
}

/// How a piece between two `%` is found.
#[derive(Clone, Debug)]
enum Search {
    /// It has no `_`.
    Text(String),
    /// It has one: all beginnings are followed at once, one bit each.
    Bits(Bits),
    /// It stands at an end of the pattern and is not searched for.
    Anchored,
}

#[derive(Clone, Debug)]
struct Bits {
    /// Where each character may stand, a bit for each place.
    places: BTreeMap<char, Box<[u64]>>,
    /// Where a character that the piece does not name may stand.
    others: Box<[u64]>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.escape) == (&other.text, other.escape)
    }
}

impl Pattern {
    /// Takes a pattern apart.
    pub fn parse(text: &str, escape: Option<char>) -> Result<Self, FaultKind> {
        let mut rows = vec![Vec::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let row = rows.last_mut().expect("there is always one");
            match c {
                _ if Some(c) == escape => row.push(Some(chars.next().ok_or(FaultKind::OpenEscape)?)),
                '%' => rows.push(Vec::new()),
                '_' => row.push(None),
                _ => row.push(Some(c)),
            }
        }
        let last = rows.len() - 1;
        let pieces = rows.into_iter().enumerate();
        let pieces: Result<_, _> = pieces
            .map(|(index, chars)| Piece::new(chars, index == 0 || index == last))
            .collect();
        Ok(Self {
            text: text.into(),
            escape,
            pieces: pieces?,
        })
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The character that takes `%` and `_` their meaning.
    pub fn escape(&self) -> Option<char> {
        self.escape
    }

    /// Whether a text is like this.
    pub fn matches(&self, text: &str) -> bool {
        let [first, rest @ ..] = &self.pieces[..] else {
            return false;
        };
        let Some(text) = first.strip_front(text) else {
            return false;
        };
        let [between @ .., last] = rest else {
            return text.is_empty();
        };
        let Some(mut text) = last.strip_back(text) else {
            return false;
        };
        for piece in between {
            match piece.find_end(text) {
                Some(end) => text = &text[end..],
                None => return false,
            }
        }
        true
    }
}

impl Piece {
    fn new(chars: Vec<Option<char>>, anchored: bool) -> Result<Self, FaultKind> {
        let search = if anchored {
            Search::Anchored
        } else if let Some(text) = chars.iter().copied().collect::<Option<String>>() {
            Search::Text(text)
        } else if chars.len() <= MOST_WITH_ANY {
            Search::Bits(Bits::new(&chars))
        } else {
            return Err(FaultKind::LongPattern);
        };
        Ok(Self { chars, search })
    }

    fn strip_front<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text.chars();
        let fits = self
            .chars
            .iter()
            .all(|wanted| rest.next().is_some_and(|c| wanted.is_none_or(|wanted| wanted == c)));
        fits.then_some(rest.as_str())
    }

    fn strip_back<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text.chars();
        let mut wanted = self.chars.iter().rev();
        let fits = wanted.all(|wanted| {
            rest.next_back()
                .is_some_and(|c| wanted.is_none_or(|wanted| wanted == c))
        });
        fits.then_some(rest.as_str())
    }

    /// Where the first place ends at which the piece stands.
    fn find_end(&self, text: &str) -> Option<usize> {
        match &self.search {
            Search::Text(wanted) => text.find(wanted.as_str()).map(|at| at + wanted.len()),
            Search::Bits(bits) => bits.find_end(text, self.chars.len()),
            Search::Anchored => None,
        }
    }
}

impl Bits {
    fn new(chars: &[Option<char>]) -> Self {
        let words = chars.len().div_ceil(64);
        let mut others = vec![0_u64; words];
        for (place, _) in chars.iter().enumerate().filter(|(_, c)| c.is_none()) {
            others[place / 64] |= 1 << (place % 64);
        }
        let mut places: BTreeMap<char, Box<[u64]>> = BTreeMap::new();
        for (place, c) in chars.iter().enumerate() {
            if let Some(c) = c {
                let row = places.entry(*c).or_insert_with(|| others.clone().into());
                row[place / 64] |= 1 << (place % 64);
            }
        }
        Self {
            places,
            others: others.into(),
        }
    }

    fn find_end(&self, text: &str, len: usize) -> Option<usize> {
        let mut reached = vec![0_u64; self.others.len()];
        let (last_word, last_bit) = ((len - 1) / 64, 1 << ((len - 1) % 64));
        for (at, c) in text.char_indices() {
            let allowed = self.places.get(&c).unwrap_or(&self.others);
            // Every beginning goes one place on, and a new one begins here.
            let mut carry = 1;
            for (word, allowed) in reached.iter_mut().zip(allowed) {
                let moved = *word << 1 | carry;
                carry = *word >> 63;
                *word = moved & allowed;
            }
            if reached[last_word] & last_bit != 0 {
                return Some(at + c.len_utf8());
            }
        }
        None
    }
}

/// The longest piece with a `_` between two `%`, characters.
const MOST_WITH_ANY: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Says the same, in the obvious and slow way.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            Some(('_', rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    fn like(text: &str, pattern: &str) -> bool {
        Pattern::parse(pattern, None).expect(pattern).matches(text)
    }

    #[test]
    fn pieces_of_many_words_are_found() {
        let piece = "ab_".repeat(300);
        let text = "x".repeat(1_000) + &"abé".repeat(300) + "y";
        assert!(like(&text, &format!("%{piece}%")));
        assert!(!like(&text, &format!("%{piece}a%")));
        assert!(matches!(
            Pattern::parse(&format!("%{}%", "_".repeat(1_025)), None),
            Err(FaultKind::LongPattern)
        ));
        assert!(
            like(&"a".repeat(60_000), &"_".repeat(60_000)),
            "an end is not searched for"
        );
    }

    #[test]
    fn the_worst_patterns_end_soon() {
        let text = "a".repeat(60_000);
        assert!(!like(&text, &format!("%{}b%", "a".repeat(60_000))));
        assert!(!like(&text, &("%a".repeat(20_000) + "%b%")));
        assert!(!like(&text, &format!("%{}b%", "a_".repeat(500))));
    }

    proptest! {
        #[test]
        fn as_the_obvious_way_says(pattern in "[aé%_]{0,9}", text in "[abé]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(like(&text, &pattern), naive(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn an_escaped_text_is_like_itself(text in any::<String>()) {
            let escaped: String = text.chars().flat_map(|c| ['!', c]).collect();
            let pattern = Pattern::parse(&escaped, Some('!')).expect("every escape has its character");
            prop_assert!(pattern.matches(&text));
        }
    }
}
