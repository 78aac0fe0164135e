//! Memory and descriptors of the broker, once a second, and whether they grow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::sleep;

/// Of a life, the part that is not looked at: caches fill, connections come.
const WARM_UP: f64 = 0.25;
/// Points that a slope is computed from.
const POINTS: usize = 400;

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Seconds since the begin.
    at: f64,
    /// Octets.
    memory: f64,
    descriptors: f64,
    process: u32,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Samples {
    all: Vec<Sample>,
}

/// How a figure went in the last life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    pub seconds: f64,
    pub median: f64,
    pub most: f64,
    /// A second.
    pub slope: f64,
}

impl Course {
    /// By how much it grew, by its slope.
    pub fn growth(&self) -> f64 {
        self.slope * self.seconds
    }
}

/// Looks at the process of that number, which may be another one from time to time.
pub async fn watch(process: Arc<Mutex<Option<u32>>>, samples: Arc<Mutex<Samples>>) {
    let began = Instant::now();
    loop {
        let id = *process.lock();
        if let Some((id, (memory, descriptors))) = id.and_then(|id| Some((id, look(id)?))) {
            let at = began.elapsed().as_secs_f64();
            samples.lock().all.push(Sample { at, memory, descriptors, process: id });
        }
        sleep(Duration::from_secs(1)).await;
    }
}

fn look(process: u32) -> Option<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
    Some((kib * 1024.0, descriptors as f64))
}

impl Samples {
    /// Memory and descriptors in the last life, once it was warm.
    pub fn last_life(&self) -> Option<(Course, Course)> {
        let process = self.all.last()?.process;
        let life: Vec<Sample> =
            self.all.iter().copied().filter(|sample| sample.process == process).collect();
        let warm = life.get((life.len() as f64 * WARM_UP) as usize..)?;
        let of = |value: fn(&Sample) -> f64| {
            let points: Vec<_> = warm.iter().map(|sample| (sample.at, value(sample))).collect();
            course(&points)
        };
        Some((of(|sample| sample.memory)?, of(|sample| sample.descriptors)?))
    }
}

/// The slope is the median of those between any two points (Theil and Sen): peaks do not count.
fn course(points: &[(f64, f64)]) -> Option<Course> {
    let few: Vec<_> = points.iter().step_by(points.len().div_ceil(POINTS).max(1)).collect();
    let mut slopes = Vec::new();
    for (at, (x, y)) in few.iter().enumerate() {
        slopes.extend(few.iter().skip(at + 1).map(|(later, then)| (then - y) / (later - x)));
    }
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    Some(Course {
        seconds: points.last()?.0 - points.first()?.0,
        most: values.iter().copied().fold(f64::MIN, f64::max),
        median: median(values)?,
        slope: median(slopes)?,
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_slope_is_seen_through_peaks() {
        let grows =
            |at: u32| f64::from(at) * 3.0 + if at.is_multiple_of(10) { 5_000.0 } else { 0.0 };
        let points: Vec<_> = (0..1000).map(|at| (f64::from(at), grows(at))).collect();
        let course = course(&points).unwrap();
        assert!((course.slope - 3.0).abs() < 0.1, "{course:?}");
        assert!((course.growth() - 2997.0).abs() < 100.0, "{course:?}");
        let flat: Vec<_> = (0..100).map(|at| (f64::from(at), f64::from(at % 7))).collect();
        assert!(super::course(&flat).unwrap().growth().abs() < 1.0);
        assert_eq!(super::course(&[]), None);
    }

    #[test]
    fn only_the_last_life_counts_without_its_begin() {
        let sample = |at: u32, process, memory| Sample {
            at: f64::from(at),
            memory,
            descriptors: 9.0,
            process,
        };
        let mut samples = Samples::default();
        samples.all.extend((0..50).map(|at| sample(at, 1, f64::from(at) * 100.0)));
        samples.all.extend((50..150).map(|at| sample(at, 2, f64::from(at.min(70)) * 10.0)));
        let (memory, descriptors) = samples.last_life().unwrap();
        assert_eq!((memory.slope, memory.median, descriptors.slope), (0.0, 700.0, 0.0));
    }
}
