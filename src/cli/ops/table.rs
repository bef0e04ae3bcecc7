//! Tables that fit the terminal: the widest columns give way, and what is cut ends with an ellipsis. Knows no broker.

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cells::{Column, Kind};

/// A table of cells under titles.
#[derive(Debug)]
pub(super) struct Table {
    titles: Vec<&'static str>,
    is_text: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A row for each item.
    pub fn of(columns: &[Column], items: &[Value]) -> Self {
        Self {
            titles: columns.iter().map(|column| column.title).collect(),
            is_text: columns
                .iter()
                .map(|column| matches!(column.kind, Kind::Text | Kind::Flag))
                .collect(),
            rows: items
                .iter()
                .map(|item| columns.iter().map(|column| column.cell(item)).collect())
                .collect(),
        }
    }

    /// The table, with a line break after each line; without a width nothing is cut.
    pub fn show(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let titles: Vec<String> = self.titles.iter().map(|&title| title.to_owned()).collect();
        let lines = std::iter::once(&titles).chain(&self.rows);
        let mut text = String::new();
        for cells in lines {
            let line = self.line(cells, &widths);
            text += match width {
                Some(width) => cut(line.trim_end(), width),
                None => line.trim_end().to_owned(),
            }
            .as_str();
            text.push('\n');
        }
        text
    }

    /// The rows without titles; the last column goes on in further lines where it does not fit.
    pub fn wrapped(&self, width: Option<usize>) -> String {
        let widths = self.widths(None);
        let (Some(width), [first @ .., _]) = (width, &widths[..]) else {
            return self
                .rows
                .iter()
                .map(|row| self.line(row, &widths).trim_end().to_owned() + "\n")
                .collect();
        };
        let before: usize = first.iter().map(|width| width + GAP.len()).sum();
        let room = width.saturating_sub(before).max(LEAST);
        let mut text = String::new();
        for row in &self.rows {
            let [others @ .., last] = &row[..] else { continue };
            let mut begin = self.line(others, first) + GAP;
            for part in words(last, room) {
                text += format!("{begin}{part}").trim_end();
                text.push('\n');
                begin = " ".repeat(before);
            }
        }
        text
    }

    /// Natural widths, or those that fit: the widest column of text loses one until it does.
    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.titles.iter().map(|title| title.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let Some(most) = width else { return widths };
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > most {
            let can_give = |&at: &usize| self.is_text[at] && widths[at] > self.titles[at].width().max(LEAST);
            let Some(widest) = (0..widths.len()).filter(can_give).max_by_key(|&at| widths[at]) else {
                break;
            };
            widths[widest] -= 1;
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let cells = cells
            .iter()
            .zip(widths)
            .zip(&self.is_text)
            .map(|((cell, &width), &left)| {
                let cell = cut(cell, width);
                let blanks = " ".repeat(width - cell.width());
                if left { cell + &blanks } else { blanks + &cell }
            });
        cells.collect::<Vec<_>>().join(GAP)
    }
}

/// One line for each column of one thing.
pub(super) fn details(columns: &[Column], item: &Value) -> String {
    let widest = columns.iter().map(|column| column.title.width()).max().unwrap_or(0);
    let lines = columns
        .iter()
        .map(|column| format!("{:<widest$}{GAP}{}\n", column.title, column.cell(item)));
    lines.collect()
}

/// The beginning of a text that takes at most so many columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut taken, mut used) = (String::new(), 0);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        taken.push(c);
    }
    if width > 0 {
        taken.push('…');
    }
    taken
}

/// A text in lines of at most so many columns, broken at blanks.
fn words(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if lines[last].width() + 1 + word.width() <= width {
            lines[last] += " ";
            lines[last] += word;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

const GAP: &str = "  ";
/// A column of text keeps so many columns of the terminal.
const LEAST: usize = 8;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column] = &[Column::text("NAME", "name"), Column::number("COUNT", "count")];

    fn table() -> Table {
        let items = [
            json!({"name": "short", "count": 5}),
            json!({"name": "a/long/name/of/a/topic", "count": 1_234_567}),
        ];
        Table::of(COLUMNS, &items)
    }

    #[test]
    fn without_a_width_nothing_is_cut() {
        let expected = "\
NAME                      COUNT
short                         5
a/long/name/of/a/topic  1234567
";
        assert_eq!(table().show(None), expected);
    }

    #[test]
    fn text_gives_way_and_numbers_do_not() {
        let expected = "\
NAME           COUNT
short              5
a/long/nam…  1234567
";
        assert_eq!(table().show(Some(20)), expected);
        assert!(table().show(Some(12)).lines().all(|line| line.width() <= 12));
    }

    #[test]
    fn a_long_text_goes_on_in_further_lines() {
        let items = [json!({"name": "a", "count": "one two three"})];
        let table = Table::of(COLUMNS, &items);
        assert_eq!(table.wrapped(None), "a     one two three\n");
        assert_eq!(table.wrapped(Some(14)), "a     one two\n      three\n");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
