//! The tables' places in the documentation.

use std::path::Path;

use anyhow::{Context, Result};

const START: &str = "<!-- bench:start -->";
const END: &str = "<!-- bench:end -->";

/// Replaces what stands between the markers in a file.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let old =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let new = replaced(&old, text).with_context(|| {
        format!("{} has no {START} … {END}, so its table was not updated", path.display())
    })?;
    std::fs::write(path, new).with_context(|| format!("cannot write {}", path.display()))
}

fn replaced(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}\n\n{text}\n\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_between_the_markers() {
        let old = "a\n<!-- bench:start -->\nold\n<!-- bench:end -->\nb";
        let new = replaced(old, "new").unwrap();
        assert_eq!(new, "a\n<!-- bench:start -->\n\nnew\n\n<!-- bench:end -->\nb");
        assert_eq!(replaced(&new, "new").unwrap(), new);
        assert_eq!(replaced("no markers", "new"), None);
    }
}
