//! What operators ask for, and how long it takes.

use std::io::Read;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;

use super::{PAGE, median};

/// Exchanges, and to how many queues each leads: one of so many.
pub(super) const EXCHANGES: [(&str, usize); 3] =
    [("scale.10", 10), ("scale.100", 100), ("scale.1000", 1000)];

/// `guest:guest`.
const LOGIN: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// How often the quick ones are asked for before they are measured, and then.
const FIRST: usize = 3;
const TIMES: usize = 11;

/// A broker.
#[derive(Clone)]
pub(super) struct Asked {
    http: String,
    metrics: String,
    pid: u32,
}

/// A long answer.
pub(super) struct Streamed {
    seconds: f64,
    mib: f64,
    /// By how much the broker's resident memory grew at most meanwhile.
    grown_mib: f64,
}

impl Streamed {
    pub(super) fn text(&self) -> String {
        let Self { seconds, mib, grown_mib } = self;
        format!("{mib:.0} MiB in {seconds:.1} s; the broker grew by {grown_mib:.1} MiB at most")
    }
}

impl Asked {
    pub(super) fn new(http: u16, metrics: u16, pid: u32) -> Self {
        let at = |port| format!("http://127.0.0.1:{port}");
        Self { http: format!("{}/api", at(http)), metrics: format!("{}/metrics", at(metrics)), pid }
    }

    /// Some queues get some messages.
    pub(super) fn fill(&self) -> Result<()> {
        for (exchange, _) in EXCHANGES {
            let message = json!({"properties": {}, "routing_key": "", "payload": "x", "payload_encoding": "string"});
            let url = format!("{}/exchanges/%2F/{exchange}/publish", self.http);
            ureq::post(url).header("authorization", LOGIN).send(message.to_string())?;
        }
        Ok(())
    }

    pub(super) fn page_url(&self) -> String {
        format!("{}/queues?page=1&page_size={PAGE}&sort=messages&sort_reverse=true", self.http)
    }

    pub(super) fn metrics_url(&self) -> &str {
        &self.metrics
    }

    pub(super) fn objects_url(&self) -> String {
        format!("{}/per-object", self.metrics)
    }

    /// ms for a page.
    pub(super) fn page(&self) -> Result<f64> {
        typical(&self.page_url())
    }

    /// ms for `/metrics`.
    pub(super) fn metrics(&self) -> Result<f64> {
        typical(&self.metrics)
    }

    /// The second time: what the first one leaves behind is kept for the next.
    pub(super) fn per_object(&self) -> Result<Streamed> {
        get(&self.objects_url(), false)?;
        // The highest from now on.
        std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5")?;
        let before = self.rss_kib()?;
        let began = Instant::now();
        let octets = get(&self.objects_url(), false)?;
        let seconds = began.elapsed().as_secs_f64();
        let grown_mib = (self.status_kib("VmHWM:")? - before) / 1024.0;
        Ok(Streamed { seconds, mib: octets as f64 / f64::from(1 << 20), grown_mib })
    }

    pub(super) fn rss_kib(&self) -> Result<f64> {
        self.status_kib("VmRSS:")
    }

    fn status_kib(&self, what: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        kib.with_context(|| format!("no {what} in the broker's status"))
    }
}

/// ms of a request and its answer, in the median.
fn typical(url: &str) -> Result<f64> {
    let mut took = Vec::new();
    for _ in 0..FIRST + TIMES {
        let began = Instant::now();
        get(url, false)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(took.split_off(FIRST)))
}

/// Reads an answer to its end; how many octets it has. Prometheus asks for compressed ones.
pub(super) fn get(url: &str, compressed: bool) -> Result<u64> {
    let encoding = if compressed { "gzip" } else { "identity" };
    let request = ureq::get(url).header("authorization", LOGIN).header("accept-encoding", encoding);
    let mut body = request.call().with_context(|| url.to_owned())?.into_body().into_reader();
    let (mut octets, mut chunk) = (0, vec![0; 1 << 18]);
    loop {
        match body.read(&mut chunk)? {
            0 => return Ok(octets),
            read => octets += read as u64,
        }
    }
}
