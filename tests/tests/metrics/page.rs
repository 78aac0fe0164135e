//! A scrape, read as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lepus_tests::Broker;
use ureq::Agent;

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

/// Asks the port of the metrics.
pub fn ask(broker: &Broker, path: &str, headers: &[(&str, &str)]) -> Answer {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("http://{}{path}", broker.address_of("http/prometheus"));
    let mut request = agent.get(&url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call().unwrap();
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
}

/// The text of a page that must be there.
#[track_caller]
pub fn text(broker: &Broker, path: &str) -> String {
    let answer = ask(broker, path, &[]);
    assert_eq!(answer.status, 200, "{path}");
    String::from_utf8(answer.body).unwrap()
}

/// A page, by series: name and labels as they are written.
pub struct Page(pub BTreeMap<String, f64>);

impl Page {
    #[track_caller]
    pub fn of(broker: &Broker, path: &str) -> Self {
        Self::read(&text(broker, path))
    }

    /// Reads a page, which must be as promtool wants it.
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let mut series = BTreeMap::new();
        let mut families = BTreeSet::new();
        let (mut family, mut kind) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help text");
                assert!(families.insert(name.to_owned()), "{name} comes twice");
                assert!(!help.is_empty(), "{name} has no help");
                family = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, of) = rest.split_once(' ').expect("a type");
                assert_eq!(name, family, "help and type go together");
                kind = of.to_owned();
                let total = name.ends_with("_total");
                assert_eq!(kind == "counter", total, "{name} is a {kind}");
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a name and a value");
                let bare = name.split('{').next().unwrap();
                let of_family = match kind.as_str() {
                    "histogram" => ["_bucket", "_sum", "_count"]
                        .iter()
                        .any(|end| bare == format!("{family}{end}")),
                    _ => bare == family,
                };
                assert!(of_family, "{line} among {family}");
                let value: f64 = value.parse().expect("a number");
                assert!(series.insert(name.to_owned(), value).is_none(), "{name} comes twice");
            }
        }
        Self(series)
    }

    /// A series that must be there.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.0))
    }

    /// The names of all series, without labels.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(|series| series.split('{').next()).collect()
    }
}

/// Waits until the series of a page have these values.
#[track_caller]
pub fn wait_for(broker: &Broker, path: &str, expected: &[(&str, f64)]) -> Page {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let page = Page::of(broker, path);
        let wrong: Vec<_> = expected
            .iter()
            .map(|(series, value)| (series, value, page.value(series)))
            .filter(|(_, value, found)| *value != found)
            .collect();
        if wrong.is_empty() {
            return page;
        }
        assert!(Instant::now() < deadline, "series, expected, found: {wrong:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a page has a series.
#[track_caller]
pub fn wait_for_series(broker: &Broker, path: &str, series: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !Page::of(broker, path).0.contains_key(series) {
        assert!(Instant::now() < deadline, "no {series}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
