//! Models are run in ever other orders (`cargo xtask models`). A wait that never ends is found as a deadlock.

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Runs a model in as many orders by chance as `LEPUS_MODEL_RUNS` says (500), and as often with few changes from
/// one thread to another at the worst places. Panics with the schedule of an order that fails.
pub fn check(model: impl Fn() + Send + Sync + Copy + 'static) {
    let runs = std::env::var("LEPUS_MODEL_RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs = runs.unwrap_or(500);
    run(RandomScheduler::new(runs), model);
    run(PctScheduler::new(3, runs), model);
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(scheduler, config).run(model);
}
