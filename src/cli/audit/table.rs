//! Rows for a person at a terminal: the heading on stderr, the rows, which are data, on stdout.

use std::borrow::Cow;

use super::super::output::{data, plain, say};

/// What fits a terminal beside other windows.
const WIDTH: usize = 100;
const GAP: usize = 2;
/// The last column takes what is left, and never less than this.
const LEAST: usize = 12;

pub struct Column {
    head: &'static str,
    most: usize,
    right: bool,
}

/// A column of texts, cut to `most` places.
pub const fn left(head: &'static str, most: usize) -> Column {
    Column { head, most, right: false }
}

/// A column of numbers.
pub const fn right(head: &'static str) -> Column {
    Column { head, most: 20, right: true }
}

pub fn print<const N: usize>(columns: &[Column; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return;
    }
    let rows: Vec<[Cow<'_, str>; N]> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let mut widths = [0; N];
    let mut left = WIDTH;
    for (at, column) in columns.iter().enumerate() {
        let widest = rows.iter().map(|row| width(&row[at])).max().unwrap_or(0).max(column.head.len());
        let most = if at + 1 == N { left.max(LEAST) } else { column.most };
        widths[at] = widest.min(most);
        left = left.saturating_sub(widths[at] + GAP);
    }
    say(&line(columns, &widths, columns.each_ref().map(|column| Cow::Borrowed(column.head))));
    for row in rows {
        data(&line(columns, &widths, row));
    }
}

fn line<const N: usize>(columns: &[Column; N], widths: &[usize; N], cells: [Cow<'_, str>; N]) -> String {
    let mut line = String::new();
    for ((column, most), cell) in columns.iter().zip(widths).zip(cells) {
        let cell = cut(&cell, *most);
        let filler = " ".repeat(most - width(&cell).min(*most));
        let (before, after) = if column.right { (filler.as_str(), "") } else { ("", filler.as_str()) };
        line.extend([before, &cell, after, "  "]);
    }
    line.truncate(line.trim_end().len());
    line
}

/// The whole of it is in the JSON.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if width(text) <= most {
        return Cow::Borrowed(text);
    }
    let (mut kept, mut taken) = (String::new(), 1);
    for c in text.chars() {
        taken += places(c);
        if taken > most {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    Cow::Owned(kept)
}

fn width(text: &str) -> usize {
    text.chars().map(places).sum()
}

/// From the CJK radicals on, a character takes two places (Unicode's UAX 11), near enough.
fn places(c: char) -> usize {
    if c >= '\u{2e80}' { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis_and_wide_characters_count_twice() {
        assert_eq!(cut("GW4-0030954", 11), "GW4-0030954");
        assert_eq!(cut("GW4-0030954", 6), "GW4-0…");
        assert_eq!(cut("再加工した", 6), "再加…");
        assert_eq!(width("再a"), 3);
    }

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let columns = [right("event"), left("serial", 4), left("thing", 0)];
        let row = |cells: [&'static str; 3]| line(&columns, &[5, 4, 5], cells.map(Cow::Borrowed));
        assert_eq!(row(["7", "A1", "gw-A1"]), "    7  A1    gw-A1");
        assert_eq!(row(["12", "A12345", "-"]), "   12  A12…  -");
    }
}
