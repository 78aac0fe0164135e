//! Families with a row for each of many objects, piece by piece, so that however many there are they
//! take little memory.

use std::fmt::Write;
use std::sync::Arc;

/// Objects in a piece.
const PIECE: usize = 512;

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
    fn labels(&self) -> Vec<(&'static str, String)>;

    /// As of now.
    fn numbers(&self) -> Self::Numbers;
}

/// Pieces of text.
pub(super) type Pieces = Box<dyn Iterator<Item = String> + Send>;

/// The rows of objects. `prefix`: what the names begin with that do not say so themselves.
pub(super) fn rows<O: Object>(
    prefix: &'static str,
    columns: Vec<&'static Column<O::Numbers>>,
    objects: Vec<O>,
) -> Pieces {
    let objects: Arc<[O]> = objects.into();
    Box::new(columns.into_iter().flat_map(move |column| {
        let (objects, name) = (objects.clone(), full_name(prefix, column.name));
        (0..objects.len()).step_by(PIECE).map(move |from| {
            let mut text = String::new();
            if from == 0 {
                head(&mut text, &name, column);
            }
            for object in objects.iter().skip(from).take(PIECE) {
                let value = (column.of)(&object.numbers());
                if !value.is_nan() {
                    row(&mut text, &name, &object.labels(), value);
                }
            }
            text
        })
    }))
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

fn row(text: &mut String, name: &str, labels: &[(&str, String)], value: f64) {
    text.push_str(name);
    for (at, (label, value)) in labels.iter().enumerate() {
        text.push(if at == 0 { '{' } else { ',' });
        text.push_str(label);
        text.push_str("=\"");
        escape(text, value);
        text.push('"');
    }
    let _ = writeln!(text, "}} {value}");
}

fn escape(text: &mut String, value: &str) {
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

        fn labels(&self) -> Vec<(&'static str, String)> {
            vec![("name", format!("a \"\\\n{}", self.0)), ("kind", "x".to_owned())]
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
        let pieces: Vec<String> = rows("rabbitmq_", vec![&COLUMN], things).collect();
        assert_eq!(pieces.len(), 3);
        let first = "# HELP rabbitmq_number What it is\n# TYPE rabbitmq_number gauge\n\
                     rabbitmq_number{name=\"a \\\"\\\\\\n0\",kind=\"x\"} 0\n\
                     rabbitmq_number{name=\"a \\\"\\\\\\n2\",kind=\"x\"} 2\n";
        assert!(pieces[0].starts_with(first), "{}", pieces[0]);
        assert_eq!(pieces.concat().lines().count(), 2 + PIECE + 1);
    }
}
