//! Finds the word that was probably meant. Knows no option.

/// The fault of a word that is none of `words`, with the nearest of them or all of them.
pub(super) fn word<'a>(found: &str, words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    let list = words
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ");
    let hint = nearest(found, words.into_iter()).map(|word| format!("; did you mean \"{word}\"?"));
    format!("expected one of {list}, found \"{found}\"{}", hint.unwrap_or_default())
}

/// The word nearest to `found`, if one is near enough to have been meant.
pub(super) fn nearest<'a>(found: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase().replace('-', "_");
    let rated = words.map(|word| (distance(&found, &word.to_lowercase()), word));
    let (distance, word) = rated.min_by_key(|(distance, _)| *distance)?;
    let longest = found.chars().count().max(word.len());
    (distance <= (longest / 3).max(1)).then_some(word)
}

/// How many characters must be put in, left out, replaced or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits_and_swaps() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("path", "psth", 1),
            ("path", "ptah", 1),
            ("abc", "xyz", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let words = ["max_bytes", "path", "rules"];
        assert_eq!(nearest("max_byts", words.into_iter()), Some("max_bytes"));
        assert_eq!(nearest("Max-Bytes", words.into_iter()), Some("max_bytes"));
        assert_eq!(nearest("rule", words.into_iter()), Some("rules"));
        assert_eq!(nearest("frequency", words.into_iter()), None);
        assert_eq!(nearest("x", [].into_iter()), None);
    }
}
