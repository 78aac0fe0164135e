//! How far a long piece of work is.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// Between two turns of a spinner.
const TURN: Duration = Duration::from_millis(100);

/// A bar on standard error, if that is a terminal; its length comes later, if there will be one.
pub fn bar(ends: bool, what: &'static str) -> ProgressBar {
    let shape = match ends {
        true => "{msg} [{bar:30}] {pos}/{len} {per_sec} {eta}",
        false => "{msg} {spinner} {pos} {per_sec}",
    };
    let bar = ProgressBar::new_spinner();
    // Without a shape of ours it has one of its own.
    if let Ok(style) = ProgressStyle::with_template(shape) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message(what)
}

/// Shows, in the same place, that something goes on, until this is dropped.
pub fn spinner(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear);
    if let Ok(style) = ProgressStyle::with_template("{msg} {spinner} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TURN);
    bar.with_message(what)
}
