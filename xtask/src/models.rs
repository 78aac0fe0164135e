//! `cargo xtask models`: what threads agree on, run in ever other orders by Shuttle.

use anyhow::{Context, Result};

use crate::tools;

/// Options of `cargo xtask models`.
#[derive(Debug, clap::Args)]
pub(crate) struct ModelsArgs {
    /// Orders of each model, and of each of the two ways to choose them
    #[arg(long, default_value_t = 10_000)]
    runs: u32,
}

/// Runs the models of the store and of the broker. They are built with Shuttle's locks, with which
/// nothing else works.
pub(crate) fn run(args: &ModelsArgs) -> Result<()> {
    for package in ["lepus-storage", "lepus"] {
        let mut test = tools::cargo();
        test.args(["test", "--package", package, "--lib", "--features", "models", "models::"]);
        test.env("LEPUS_MODEL_RUNS", args.runs.to_string());
        tools::run(&mut test).context("it prints a schedule, which shuttle::replay repeats")?;
    }
    Ok(())
}

/// Few of them, for `cargo xtask test`.
pub(crate) fn few() -> ModelsArgs {
    ModelsArgs { runs: 500 }
}
