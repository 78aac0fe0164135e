//! How far a long piece of work is.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error, if that is a terminal; with an end if it is known.
pub fn bar(total: Option<u64>, what: &'static str) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let shape = match total {
        Some(_) => "{msg} [{bar:30}] {pos}/{len} {per_sec} {eta}",
        None => "{msg} {spinner} {pos} {per_sec}",
    };
    // Without a shape of our own it has one of its own.
    if let Ok(style) = ProgressStyle::with_template(shape) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message(what)
}
