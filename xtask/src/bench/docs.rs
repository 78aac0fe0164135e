//! The tables' places in the documentation.

use std::path::Path;

use anyhow::{Context, Result};

/// Replaces what stands between the markers of this name in a file.
pub(crate) fn replace(path: &Path, name: &str, text: &str) -> Result<()> {
    let old =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let [start, end] = markers(name);
    let new = replaced(&old, name, text).with_context(|| {
        format!("{} has no {start} … {end}, so its table was not updated", path.display())
    })?;
    std::fs::write(path, new).with_context(|| format!("cannot write {}", path.display()))
}

fn markers(name: &str) -> [String; 2] {
    ["start", "end"].map(|edge| format!("<!-- {name}:{edge} -->"))
}

fn replaced(old: &str, name: &str, text: &str) -> Option<String> {
    let [start, end] = markers(name);
    let (before, rest) = old.split_once(&start)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{start}\n\n{text}\n\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_between_the_markers() {
        let old = "a\n<!-- bench:start -->\nold\n<!-- bench:end -->\nb";
        let new = replaced(old, "bench", "new").unwrap();
        assert_eq!(new, "a\n<!-- bench:start -->\n\nnew\n\n<!-- bench:end -->\nb");
        assert_eq!(replaced(&new, "bench", "new").unwrap(), new);
        assert_eq!(replaced(old, "other", "new"), None);
    }
}
