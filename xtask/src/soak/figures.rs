//! What the parts have come to: what they leave in a file, and one table of it in the documentation.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bench::{machine, replace_table, today};
use crate::tools;

/// The table's place.
const DOCUMENT: &str = "docs/reliability.md";
const MARKER: &str = "soak";
/// Of the table.
pub(super) const HEADER: &str = "| part | figure | | by |\n|---|---|---|---|\n";

/// A file that the programs of a part add lines to: `name: value`.
pub(super) struct Figures {
    path: PathBuf,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    part: &'static str,
    name: String,
    value: String,
}

impl Row {
    pub(super) fn new(part: &'static str, name: &str, value: impl ToString) -> Self {
        Self { part, name: name.trim().to_owned(), value: value.to_string() }
    }
}

impl Figures {
    /// An empty file.
    pub(super) fn new() -> Result<Self> {
        let path = tools::scratch("soak")?.join(format!("figures.{}", std::process::id()));
        std::fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where programs find its name: the variable `LEPUS_TEST_FIGURES`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All lines, names and values.
    pub(super) fn lines(&self) -> Result<Vec<(String, String)>> {
        let text = std::fs::read_to_string(&self.path).context("cannot read the figures")?;
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        Ok(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The sum of all numbers of that name.
    pub(super) fn sum(&self, name: &str) -> Result<u64> {
        let lines = self.lines()?;
        let of_name = lines.iter().filter(|(found, _)| found == name);
        Ok(of_name.filter_map(|(_, value)| value.parse::<u64>().ok()).sum())
    }
}

impl Drop for Figures {
    fn drop(&mut self) {
        // A file that stays is in nobody's way.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The rows as they stand in the table, with what they came from.
pub(super) fn table(rows: &[Row], by: &str) -> String {
    let lines = rows
        .iter()
        .map(|Row { part, name, value }| format!("| {part} | {name} | {value} | {by} |\n"));
    lines.collect()
}

/// Writes rows of one part into the documentation; those of the others stay as they are.
pub(super) fn write(part: &str, rows: &str, parts: &[&str]) -> Result<()> {
    let path = tools::root()?.join(DOCUMENT);
    let old = std::fs::read_to_string(&path).context("cannot read the documentation")?;
    let lines = merged(&old, part, rows, parts);
    let about = format!("Last written on {}, {}.", today(), machine());
    replace_table(&path, MARKER, &format!("{about}\n\n{HEADER}{}", lines.trim_end()))
}

/// The rows of all parts, in their order: the new ones, or those that were there.
fn merged(old: &str, part: &str, rows: &str, parts: &[&str]) -> String {
    let (start, end) = (format!("<!-- {MARKER}:start -->"), format!("<!-- {MARKER}:end -->"));
    let section = old.split_once(&start).and_then(|(_, rest)| rest.split_once(&end));
    let section = section.map_or("", |(section, _)| section);
    let of = |each: &&str| match *each == part {
        true => rows.to_owned(),
        false => {
            let begin = format!("| {each} |");
            let lines = section.lines().filter(|line| line.starts_with(&begin));
            lines.map(|line| format!("{line}\n")).collect()
        }
    };
    parts.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_parts_stay_and_all_are_in_order() {
        let old = "text\n<!-- soak:start -->\nabout\n\n| part | figure | | by |\n|---|---|---|---|\n\
                   | a | old | 1 | x |\n| c | kept | 2 | x |\n<!-- soak:end -->\n| c | not this | 3 | x |\n";
        let new = table(&[Row::new("b", " lost", 0), Row::new("b", "found", 7)], "`y`");
        let all = merged(old, "b", &new, &["a", "b", "c"]);
        let wanted = "| a | old | 1 | x |\n| b | lost | 0 | `y` |\n| b | found | 7 | `y` |\n| c | kept | 2 | x |\n";
        assert_eq!(all, wanted);
        let again = merged(old, "a", "| a | new | 9 | z |\n", &["a", "b", "c"]);
        assert_eq!(again, "| a | new | 9 | z |\n| c | kept | 2 | x |\n");
    }
}
