//! An answer in Prometheus' text format, family by family.

use lepus_storage::Distribution;
use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// Names and values.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// What was written so far.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    /// What names of families begin with.
    prefix: &'static str,
}

impl Page {
    pub fn new(prefix: &'static str) -> Self {
        Self { text: String::new(), prefix }
    }

    /// What names of families begin with from now on.
    pub fn set_prefix(&mut self, prefix: &'static str) {
        self.prefix = prefix;
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }

    /// Something that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, &[(&[], value)]);
    }

    /// Something that only rises.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, &[(&[], value as f64)]);
    }

    /// The same for several things.
    pub fn gauges(&mut self, name: &str, help: &str, values: &[(Labels<'_>, f64)]) {
        let metrics = values.iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(*value);
            let mut metric = labelled(labels);
            metric.set_gauge(gauge);
            metric
        });
        let metrics = metrics.collect();
        self.family(name, help, MetricType::GAUGE, metrics);
    }

    /// The same for several things.
    pub fn counters(&mut self, name: &str, help: &str, values: &[(Labels<'_>, f64)]) {
        let metrics = values.iter().map(|(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(*value);
            let mut metric = labelled(labels);
            metric.set_counter(counter);
            metric
        });
        let metrics = metrics.collect();
        self.family(name, help, MetricType::COUNTER, metrics);
    }

    /// How values are distributed, in units of which there are `per_unit` in what Prometheus is told.
    pub fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: Labels<'_>,
        values: &Distribution,
        per_unit: f64,
    ) {
        let mut histogram = Histogram::default();
        let mut so_far = 0;
        let buckets = values.bounds.iter().zip(&values.counts).map(|(bound, count)| {
            so_far += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound as f64 / per_unit);
            bucket.set_cumulative_count(so_far);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(values.count());
        histogram.set_sample_sum(values.sum as f64 / per_unit);
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        let begin = self.text.len();
        self.family(name, help, MetricType::HISTOGRAM, vec![metric]);
        for bound in values.bounds {
            let bound = *bound as f64 / per_unit;
            let normal = normal(bound);
            if let Some(written) = self.text.get(begin..) {
                let written = written.replace(&format!("le=\"{bound}\""), &normal);
                self.text.truncate(begin);
                self.text.push_str(&written);
            }
        }
    }

    fn family(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(format!("{}{name}", self.prefix));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        // A family without anything in it is left out.
        let _ = TextEncoder::new().encode_utf8(&[family], &mut self.text);
    }
}

/// A bound as Prometheus 3 has it whatever it is told, and Prometheus 2 only if it is told so.
fn normal(bound: f64) -> String {
    let scientific = format!("{bound:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if !(1e-4..1e6).contains(&bound) => {
            let exponent: i32 = exponent.parse().unwrap_or_default();
            format!("le=\"{digits}e{exponent:+03}\"")
        }
        _ => format!("le=\"{bound:?}\""),
    }
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_the_dashboards_have_them() {
        let mut page = Page::new("lepus_");
        let values = Distribution {
            bounds: &[100, 1_000_000, 50_000_000],
            counts: vec![1, 0, 2, 3],
            sum: 7,
        };
        page.histogram("size", "Sizes", &[("protocol", "amqp091")], &values, 1.0);
        assert_eq!(
            page.finish(),
            "# HELP lepus_size Sizes\n\
             # TYPE lepus_size histogram\n\
             lepus_size_bucket{protocol=\"amqp091\",le=\"100.0\"} 1\n\
             lepus_size_bucket{protocol=\"amqp091\",le=\"1e+06\"} 1\n\
             lepus_size_bucket{protocol=\"amqp091\",le=\"5e+07\"} 3\n\
             lepus_size_bucket{protocol=\"amqp091\",le=\"+Inf\"} 6\n\
             lepus_size_sum{protocol=\"amqp091\"} 7\n\
             lepus_size_count{protocol=\"amqp091\"} 6\n"
        );
        let shown = [0.00005, 0.0001, 0.005, 1.0, 2.5, 999_999.0, 4e6].map(normal);
        let expected = ["5e-05", "0.0001", "0.005", "1.0", "2.5", "999999.0", "4e+06"];
        assert_eq!(shown, expected.map(|bound| format!("le=\"{bound}\"")));
    }
}
