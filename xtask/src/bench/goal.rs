//! What Lepus is to reach, and whether it did.

use super::run::{Results, Who};
use super::scenario::{Metric, Scenario, digits};

/// One target.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// A figure is at least so much.
    Least(Metric, f64),
    /// A figure is at most so much.
    Most(Metric, f64),
    /// The first figure is so many times better than RabbitMQ's.
    Ratio(f64),
    /// The first figure is at most so many times the floor's.
    OfFloor(f64),
}

/// All targets of a scenario, each with its verdict.
pub(super) fn all(results: &Results, scenario: &Scenario) -> String {
    let shown = |goal: &Goal| match goal.reached(results, scenario) {
        Some(true) => format!("{} (met)", goal.text()),
        Some(false) => format!("{} (**missed**)", goal.text()),
        None => goal.text(),
    };
    scenario.goals.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// The targets that were missed.
pub(super) fn missed(results: &Results, scenario: &Scenario) -> Vec<String> {
    let missed = |goal: &&Goal| goal.reached(results, scenario) == Some(false);
    scenario.goals.iter().filter(missed).map(|goal| goal.text()).collect()
}

/// How many times better Lepus is than RabbitMQ, by the first figure.
pub(super) fn ratio(results: &Results, scenario: &Scenario) -> Option<f64> {
    let metric = *scenario.metrics.first()?;
    let of = |who| results.median(scenario, who, metric);
    metric.unit.advantage(of(Who::Lepus)?, of(Who::RabbitMq)?)
}

impl Goal {
    fn reached(self, results: &Results, scenario: &Scenario) -> Option<bool> {
        let of = |who, metric| results.median(scenario, who, metric);
        Some(match self {
            Self::Least(metric, bound) => of(Who::Lepus, metric)? >= bound,
            Self::Most(metric, bound) => of(Who::Lepus, metric)? <= bound,
            Self::Ratio(bound) => ratio(results, scenario)? >= bound,
            Self::OfFloor(bound) => {
                let metric = *scenario.metrics.first()?;
                of(Who::Lepus, metric)? <= bound * of(Who::Floor, metric)?
            }
        })
    }

    fn text(self) -> String {
        match self {
            Self::Least(metric, bound) => metric.unit.bound("≥", bound),
            Self::Most(metric, bound) => metric.unit.bound("≤", bound),
            Self::Ratio(bound) => format!("≥ {} × RabbitMQ", digits(bound)),
            Self::OfFloor(bound) => format!("≤ {} × floor", digits(bound)),
        }
    }
}
