//! x
use std::process::ExitCode;
/// t
#[derive(Clone, Copy)]
pub enum Tool { /// c
 Ctl }
impl Tool { /// c
 pub fn called_as() -> Option<Self> { None } }
/// r
pub fn run(_: Tool, _: impl IntoIterator<Item = String>) -> ExitCode { ExitCode::SUCCESS }
