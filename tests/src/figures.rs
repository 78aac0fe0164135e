//! What tests have measured or counted, for commands that run them for the figures.

use std::io::Write;

/// Adds a line to the file that `LEPUS_TEST_FIGURES` names, if it names one.
pub fn figure(line: &str) {
    let Some(path) = std::env::var_os("LEPUS_TEST_FIGURES") else { return };
    let file = std::fs::File::options().create(true).append(true).open(path);
    // In one piece: others write to it too.
    let line = format!("{line}\n");
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("write the figures");
}
