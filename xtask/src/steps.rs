//! `cargo xtask test`: named steps, one after another, up to the first that fails.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::{crash, deb, deny, differential, image, interop, models, sbom, tools};

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Only this step (may be repeated)
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Not this step (may be repeated)
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// In the interop step, only this client (may be repeated)
    #[arg(long, value_name = "CLIENT")]
    client: Vec<String>,
    /// In the interop step, use the broker that runs here instead of starting Lepus
    #[arg(long, value_name = "URL")]
    broker_url: Option<String>,
}

/// How a step ended, short of failing.
pub(crate) enum Outcome {
    Passed,
    /// Left out, and why.
    Skipped(&'static str),
}

type Step = (&'static str, fn(&TestArgs) -> Result<Outcome>);

const STEPS: &[Step] = &[
    ("fmt", |_| cargo(&["fmt", "--all", "--check"])),
    ("clippy", |_| cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("build", |_| build_lepus().map(|_| Outcome::Passed)),
    ("unit+blackbox", |_| unit_and_blackbox()),
    ("models", |_| models_step()),
    ("interop", interop_step),
    ("crash", |_| crash_step()),
    ("differential", |_| differential_step()),
    ("image", |_| image_step()),
    ("deb", |_| deb_step()),
    ("deny", |_| deny_step()),
    ("sbom", |_| sbom_step()),
];

/// Runs the chosen steps; the last line counts those that passed and failed.
pub(crate) fn test(args: &TestArgs) -> Result<()> {
    check_names(args)?;
    let (mut passed, mut skipped) = (0, Vec::new());
    for (name, run) in chosen(args) {
        println!("==> {name}");
        let started = Instant::now();
        let outcome = run(args);
        let seconds = started.elapsed().as_secs_f32();
        match outcome {
            Ok(Outcome::Passed) => {
                passed += 1;
                println!("==> {name}: ok in {seconds:.1} s");
            }
            Ok(Outcome::Skipped(why)) => {
                skipped.push(name);
                println!("==> {name}: skipped: {why}");
            }
            Err(error) => {
                println!("==> {name}: FAILED after {seconds:.1} s: {error:#}");
                println!("{passed} passed, 1 failed");
                bail!("the step {name} failed; again: cargo xtask test --only {name}");
            }
        }
    }
    if !skipped.is_empty() {
        println!("skipped: {}", skipped.join(", "));
    }
    println!("{passed} passed, 0 failed");
    Ok(())
}

fn chosen(args: &TestArgs) -> impl Iterator<Item = Step> {
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let unwanted = |name: &str| args.skip.iter().any(|skip| skip == name);
    STEPS.iter().copied().filter(move |(name, _)| wanted(name) && !unwanted(name))
}

fn check_names(args: &TestArgs) -> Result<()> {
    let known: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
    for name in args.only.iter().chain(&args.skip) {
        ensure!(
            known.contains(&name.as_str()),
            "no step {name}; the steps are {}",
            known.join(", ")
        );
    }
    interop::check_names(&args.client)?;
    ensure!(chosen(args).next().is_some(), "no step is left to run");
    Ok(())
}

fn cargo(args: &[&str]) -> Result<Outcome> {
    tools::run(tools::cargo().args(args))?;
    Ok(Outcome::Passed)
}

/// Builds the broker as the tests use it: the dev profile, which is optimised enough and quick to build.
pub(crate) fn build_lepus() -> Result<PathBuf> {
    tools::build(&["--package", "lepus", "--bin", "lepus"]).context("building the broker")
}

fn unit_and_blackbox() -> Result<Outcome> {
    if tools::can_install() {
        // The tests of the metrics use it if it is there.
        tools::ensure_program("promtool", &["--version"], &["prometheus"])?;
    }
    let lepus = build_lepus()?;
    let runner: &[&str] = if tools::answers("cargo-nextest", &["nextest", "--version"]) {
        &["nextest", "run", "--workspace"]
    } else {
        &["test", "--workspace", "--all-targets"]
    };
    tools::run(tools::cargo().args(runner).env("LEPUS_BIN", &lepus))?;
    tools::run(tools::cargo().args(["test", "--workspace", "--doc"]).env("LEPUS_BIN", &lepus))?;
    Ok(Outcome::Passed)
}

fn interop_step(args: &TestArgs) -> Result<Outcome> {
    match &args.broker_url {
        Some(url) => interop::run(url, &args.client)?,
        None => {
            let lepus = build_lepus()?;
            interop::run_against(&lepus, &args.client)?;
            interop::run_with_tls(&lepus, &args.client)?;
        }
    }
    Ok(Outcome::Passed)
}

fn models_step() -> Result<Outcome> {
    models::run(&models::few())?;
    Ok(Outcome::Passed)
}

fn crash_step() -> Result<Outcome> {
    crash::rounds(&build_lepus()?, &crash::CrashArgs::of(10, 3))?;
    Ok(Outcome::Passed)
}

fn differential_step() -> Result<Outcome> {
    if !differential::has_rabbitmq() {
        return Ok(Outcome::Skipped(
            "RabbitMQ is not installed, and only root can: `sudo apt-get install rabbitmq-server`",
        ));
    }
    differential::compare(&build_lepus()?, &differential::DifferentialArgs::few())?;
    Ok(Outcome::Passed)
}

fn image_step() -> Result<Outcome> {
    if let Some(why) = image::obstacle() {
        return Ok(Outcome::Skipped(why));
    }
    println!(
        "the binary is not the static one that is shipped: `cargo xtask image --release` is about that"
    );
    image::try_out(&build_lepus()?, false)?;
    Ok(Outcome::Passed)
}

fn deb_step() -> Result<Outcome> {
    if let Some(why) = deb::obstacle() {
        return Ok(Outcome::Skipped(why));
    }
    deb::try_out(&deb::build(true)?)?;
    Ok(Outcome::Passed)
}

fn deny_step() -> Result<Outcome> {
    if !tools::cargo_can("deny") {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed; `cargo xtask deny` installs it (some minutes) and runs it",
        ));
    }
    deny::check()?;
    Ok(Outcome::Passed)
}

fn sbom_step() -> Result<Outcome> {
    if !tools::cargo_can("cyclonedx") {
        return Ok(Outcome::Skipped(
            "cargo-cyclonedx is not installed; `cargo xtask sbom` installs it (some minutes) and runs it",
        ));
    }
    sbom::write()?;
    Ok(Outcome::Passed)
}
