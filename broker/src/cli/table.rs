//! Tables: what of an object is in which column, and how it looks.

use std::io::{self, ErrorKind, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::Value;

use super::failure::Done;

/// A column, or a line of an object.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its head.
    pub title: &'static str,
    /// Where the value is: `message_stats.publish_details.rate`.
    pub at: &'static str,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Text,
    Count,
    Octets,
    Rate,
    Millis,
}

impl Column {
    /// Text, or anything as it is.
    pub const fn text(title: &'static str, at: &'static str) -> Self {
        Self { title, at, shape: Shape::Text }
    }

    /// How many there are.
    pub const fn count(title: &'static str, at: &'static str) -> Self {
        Self { title, at, shape: Shape::Count }
    }

    /// How large it is.
    pub const fn octets(title: &'static str, at: &'static str) -> Self {
        Self { title, at, shape: Shape::Octets }
    }

    /// How many a second.
    pub const fn rate(title: &'static str, at: &'static str) -> Self {
        Self { title, at, shape: Shape::Rate }
    }

    /// How long it takes, or how old it is, in ms.
    pub const fn millis(title: &'static str, at: &'static str) -> Self {
        Self { title, at, shape: Shape::Millis }
    }

    /// What it shows of an object.
    pub fn cell(&self, object: &Value) -> String {
        let value = find(object, self.at);
        let number = value.as_f64();
        match (self.shape, number) {
            (Shape::Octets, Some(octets)) => octets_text(octets),
            (Shape::Rate, Some(rate)) => format!("{rate:.1}"),
            (Shape::Millis, Some(millis)) => millis_text(millis),
            _ => visible(text(value)),
        }
    }
}

/// A text that does nothing to the terminal: names are whatever clients have given.
pub fn visible(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(shown).collect()
}

/// What is at `a.b.c` of an object.
pub fn find<'a>(object: &'a Value, at: &str) -> &'a Value {
    at.split('.').try_fold(object, |found, name| found.get(name)).unwrap_or(&Value::Null)
}

/// The columns, for a request that wants no more.
pub fn wanted(columns: &[Column]) -> String {
    columns.iter().map(|column| column.at).collect::<Vec<_>>().join(",")
}

/// The items of a list, which may be a page.
pub fn rows(list: &Value) -> Vec<Value> {
    let items = list.get("items").unwrap_or(list);
    items.as_array().cloned().unwrap_or_default()
}

/// A value on one line.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => other.to_string(),
    }
}

fn octets_text(octets: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut left, mut unit) = (octets, 0);
    while left >= 1024.0 && unit + 1 < UNITS.len() {
        left /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0);
    format!("{left:.digits$} {}", UNITS.get(unit).unwrap_or(&""))
}

/// A time in its two largest units.
pub fn millis_text(millis: f64) -> String {
    const UNITS: [(f64, &str); 4] =
        [(86_400_000.0, "d"), (3_600_000.0, "h"), (60_000.0, "m"), (1000.0, "s")];
    if millis < 1000.0 {
        return format!("{millis:.0}ms");
    }
    let first = UNITS.iter().position(|(size, _)| millis >= *size).unwrap_or(UNITS.len() - 1);
    let (mut left, mut shown) = (millis, String::new());
    for (size, unit) in UNITS.iter().skip(first).take(2) {
        let count = (left / size).floor();
        left -= count * size;
        if count > 0.0 || shown.is_empty() {
            shown += &format!("{count}{unit}");
        }
    }
    shown
}

/// Prints objects, one a line.
pub fn print(rows: &[Value], columns: &[Column]) -> Done {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(columns.iter().map(|column| column.title));
    for row in rows {
        table.add_row(columns.iter().map(|column| column.cell(row)));
    }
    for (column, shown) in columns.iter().zip(table.column_iter_mut()) {
        shown.set_padding((0, 2));
        if column.shape != Shape::Text {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    write(&table.trim_fmt())
}

/// Prints an object, one part a line.
pub fn print_object(object: &Value, columns: &[Column]) -> Done {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    for column in columns {
        let cell = column.cell(object);
        if !cell.is_empty() {
            table.add_row([column.title.to_owned(), cell]);
        }
    }
    if let Some(names) = table.column_mut(0) {
        names.set_padding((0, 2));
    }
    write(&table.trim_fmt())
}

/// Prints lines. Whoever has stopped to read them wants no more.
pub fn write(text: &str) -> Done {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_for_people() {
        let object = json!({"a": {"b": 3.25}, "tags": ["x", "y"], "none": {}, "size": 1536});
        assert_eq!(Column::rate("", "a.b").cell(&object), "3.2");
        assert_eq!(Column::text("", "tags").cell(&object), "x, y");
        assert_eq!(Column::text("", "none").cell(&object), "");
        assert_eq!(Column::text("", "nothing.there").cell(&object), "");
        assert_eq!(Column::octets("", "size").cell(&object), "1.5 KiB");
        let name = json!({"name": "é\x1b[2J\n"});
        assert_eq!(Column::text("", "name").cell(&name), "é\\u{1b}[2J\\n");
    }

    #[test]
    fn times_have_two_units() {
        let times = [0.0, 999.0, 1000.0, 61_000.0, 3_600_000.0, 90_000_000.0];
        assert_eq!(times.map(millis_text), ["0ms", "999ms", "1s", "1m1s", "1h", "1d1h"]);
    }
}
