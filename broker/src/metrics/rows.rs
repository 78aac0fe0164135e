//! Families with a row for each of many objects, piece by piece, so that however many there are they
//! take little memory.

use std::fmt::Write;
use std::ops::Range;

/// Objects in a piece.
const PIECE: usize = 512;

/// Families whose numbers are kept at once: an object is asked once for all of them.
const BLOCK: usize = 8;

/// A family.
pub(super) struct Column<N> {
    /// RabbitMQ's name of those that are asked for together.
    pub group: &'static str,
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    /// NaN: there is none.
    pub of: fn(&N) -> f64,
}

/// What may become of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only rises.
    Counter,
}

/// What has rows.
pub(super) trait Object: Send + Sync + 'static {
    /// What its rows show.
    type Numbers: 'static;

    /// Names and values that tell it from others.
    fn labels(&self, put: &mut dyn FnMut(&'static str, &str));

    /// As of now.
    fn numbers(&self) -> Self::Numbers;
}

/// Pieces of text.
pub(super) type Pieces = Box<dyn Iterator<Item = String> + Send>;

/// The rows of objects. `prefix`: what the names begin with that do not say so themselves.
/// Some pieces are empty: then something was found out that later ones need.
pub(super) fn rows<O: Object>(
    prefix: &'static str,
    columns: Vec<&'static Column<O::Numbers>>,
    objects: Vec<O>,
) -> Pieces {
    let (labels, values) = (Labels::default(), Vec::new());
    Box::new(Rows { prefix, columns, objects, labels, values, column: 0, from: 0 })
}

/// Rows on their way: column after column, and of each object after object.
struct Rows<O: Object> {
    prefix: &'static str,
    columns: Vec<&'static Column<O::Numbers>>,
    objects: Vec<O>,
    /// Of the objects that were asked for the first time.
    labels: Labels,
    /// Of the column's block, object after object.
    values: Vec<f64>,
    column: usize,
    /// The next object of the column.
    from: usize,
}

impl<O: Object> Iterator for Rows<O> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let block = self.block();
        let column = *self.columns.get(self.column)?;
        let known = self.values.len() / block.len();
        if known < self.objects.len() {
            self.ask(known, block);
            return Some(String::new());
        }
        if self.objects.is_empty() {
            return None;
        }
        let piece = self.piece(column, self.column - block.start, block.len());
        self.from += PIECE;
        if self.from >= self.objects.len() {
            self.from = 0;
            self.column += 1;
            if self.column == block.end {
                self.values.clear();
            }
        }
        Some(piece)
    }

    /// Exactly so many pieces are left.
    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.column == self.columns.len() {
            return (0, Some(0));
        }
        let block = self.block();
        let of_all = self.objects.len().div_ceil(PIECE);
        let asked = self.values.len() / block.len();
        let to_ask = (self.objects.len() - asked).div_ceil(PIECE)
            + (self.columns.len() - block.end).div_ceil(BLOCK) * of_all;
        let left = to_ask + (self.columns.len() - self.column) * of_all - self.from / PIECE;
        (left, Some(left))
    }
}

impl<O: Object> Rows<O> {
    /// The columns whose numbers are kept at once.
    fn block(&self) -> Range<usize> {
        let first = self.column / BLOCK * BLOCK;
        first..self.columns.len().min(first + BLOCK)
    }

    /// Asks some objects.
    fn ask(&mut self, from: usize, block: Range<usize>) {
        let columns = self.columns.get(block).unwrap_or_default();
        for (at, object) in self.objects.iter().enumerate().skip(from).take(PIECE) {
            if at == self.labels.ends.len() {
                self.labels.add(object);
            }
            let numbers = object.numbers();
            self.values.extend(columns.iter().map(|column| (column.of)(&numbers)));
        }
    }

    fn piece(&self, column: &Column<O::Numbers>, at: usize, width: usize) -> String {
        let name = full_name(self.prefix, column.name);
        let mut text = String::with_capacity(PIECE * (name.len() + 64));
        if self.from == 0 {
            head(&mut text, &name, column);
        }
        let values = self.values.iter().skip(self.from * width + at).step_by(width);
        for (number, value) in (self.from..self.objects.len()).zip(values).take(PIECE) {
            if !value.is_nan() {
                row(&mut text, &name, self.labels.of(number), *value);
            }
        }
        text
    }
}

/// The labels of objects as rows have them, in braces; they are needed for each column.
#[derive(Default)]
struct Labels {
    text: String,
    ends: Vec<usize>,
}

impl Labels {
    fn add(&mut self, object: &impl Object) {
        let text = &mut self.text;
        let mut before = '{';
        object.labels(&mut |label, value| {
            text.push(before);
            text.push_str(label);
            text.push_str("=\"");
            escape(text, value);
            text.push('"');
            before = ',';
        });
        text.push('}');
        self.ends.push(text.len());
    }

    fn of(&self, object: usize) -> &str {
        let before = object.checked_sub(1);
        let from = before.and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let to = self.ends.get(object).copied().unwrap_or_default();
        self.text.get(from..to).unwrap_or_default()
    }
}

/// Our own names say whose they are.
fn full_name(prefix: &str, name: &str) -> String {
    if name.starts_with("lepus_") { name.to_owned() } else { format!("{prefix}{name}") }
}

fn head<N>(text: &mut String, name: &str, column: &Column<N>) {
    let kind = if column.kind == Kind::Gauge { "gauge" } else { "counter" };
    // Writing to a string never fails.
    let _ = write!(text, "# HELP {name} {}\n# TYPE {name} {kind}\n", column.help);
}

fn row(text: &mut String, name: &str, labels: &str, value: f64) {
    /// Whole numbers below it are written as such, which is quicker.
    const WHOLE: f64 = 9e15;
    text.push_str(name);
    text.push_str(labels);
    text.push(' ');
    if value.fract() == 0.0 && (0.0..WHOLE).contains(&value) {
        text.push_str(itoa::Buffer::new().format(value as u64));
    } else {
        let _ = write!(text, "{value}");
    }
    text.push('\n');
}

fn escape(text: &mut String, value: &str) {
    if !value.bytes().any(|octet| matches!(octet, b'\\' | b'"' | b'\n')) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(usize);

    impl Object for Thing {
        type Numbers = usize;

        fn labels(&self, put: &mut dyn FnMut(&'static str, &str)) {
            put("name", &format!("a \"\\\n{}", self.0));
            put("kind", "x");
        }

        fn numbers(&self) -> usize {
            self.0
        }
    }

    static COLUMN: Column<usize> = Column {
        group: "things",
        name: "number",
        help: "What it is",
        kind: Kind::Gauge,
        of: |number| if number % 2 == 0 { *number as f64 } else { f64::NAN },
    };

    #[test]
    fn pieces_are_bounded_and_together_they_are_all() {
        let things = (0..2 * PIECE + 1).map(Thing).collect();
        let mut pieces: Vec<String> = counted(rows("rabbitmq_", vec![&COLUMN], things));
        pieces.retain(|piece| !piece.is_empty());
        assert_eq!(pieces.len(), 3);
        let first = "# HELP rabbitmq_number What it is\n# TYPE rabbitmq_number gauge\n\
                     rabbitmq_number{name=\"a \\\"\\\\\\n0\",kind=\"x\"} 0\n\
                     rabbitmq_number{name=\"a \\\"\\\\\\n2\",kind=\"x\"} 2\n";
        assert!(pieces[0].starts_with(first), "{}", pieces[0]);
        assert_eq!(pieces.concat().lines().count(), 2 + PIECE + 1);
    }

    #[test]
    fn columns_come_one_after_another_however_many_there_are() {
        let things = || vec![Thing(0), Thing(2), Thing(5)];
        let columns = vec![&COLUMN; 2 * BLOCK + 1];
        let text = counted(rows("", columns, things())).concat();
        let one: String = rows("", vec![&COLUMN], things()).collect();
        assert_eq!(text, one.repeat(2 * BLOCK + 1));
        assert!(counted(rows::<Thing>("", vec![&COLUMN], vec![])).is_empty());
        assert!(counted(rows("", vec![], things())).is_empty());
        let many = (0..2 * PIECE + 1).map(Thing).collect();
        assert_eq!(counted(rows("", vec![&COLUMN; 2 * BLOCK], many)).len(), 2 * 3 + 2 * BLOCK * 3);
    }

    /// All pieces; it is known before each how many are left.
    fn counted(mut pieces: Pieces) -> Vec<String> {
        let mut told = vec![pieces.size_hint()];
        let mut all = Vec::new();
        while let Some(piece) = pieces.next() {
            all.push(piece);
            told.push(pieces.size_hint());
        }
        let left = (0..=all.len()).rev().map(|left| (left, Some(left)));
        assert_eq!(told, left.collect::<Vec<_>>());
        all
    }
}
