//! Running commands against a broker.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lepus_tests::{Broker, lepus_binary};
use serde_json::Value;

/// A broker, and where commands find it.
pub struct Shell {
    pub broker: Broker,
    /// It asks by the URL, as guest, and not by the socket.
    pub by_url: bool,
}

/// A command that goes on until it is dropped.
pub struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    /// Its next line, if one comes in time.
    pub fn line(&mut self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The lines of a table, its words with one space between.
    pub fn rows(&self) -> Vec<String> {
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        self.out.lines().map(line).collect()
    }
}

impl Shell {
    /// Commands come by the socket in the data directory.
    pub fn local() -> Self {
        Self { broker: Broker::start(), by_url: false }
    }

    /// Commands come at the URL.
    pub fn remote() -> Self {
        Self { broker: Broker::start(), by_url: true }
    }

    /// One of each.
    pub fn both() -> [Self; 2] {
        [Self::local(), Self::remote()]
    }

    pub fn url(&self) -> String {
        format!("http://guest:guest@{}", self.broker.http_address())
    }

    /// Runs `lepus`, whatever comes of it.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "")
    }

    /// Starts `lepus`, which goes on.
    pub fn start(&self, args: &[&str]) -> Follower {
        let mut child = self.command(args).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        Follower { child, lines }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(lepus_binary());
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match self.by_url {
            true => command.env("LEPUS_URL", self.url()),
            false => command.env_remove("LEPUS_URL").env("LEPUS_DATA_DIR", self.broker.data_dir()),
        };
        command
    }

    /// Runs `lepus` with standard input.
    pub fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let mut child = self.command(args).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        let code = output.status.code().unwrap();
        Ran { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs `lepus`, which succeeds.
    #[track_caller]
    pub fn lepus(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran
    }

    /// Runs one of RabbitMQ's tools.
    pub fn tool(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split(' ').collect();
        self.run(&words)
    }

    /// Runs `rabbitmqctl`, which succeeds: what it prints.
    #[track_caller]
    pub fn ctl(&self, words: &str) -> String {
        let ran = self.tool(&format!("rabbitmqctl {words}"));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words}: {ran:?}");
        ran.out
    }

    /// Runs `rabbitmqctl`, which fails: its exit code and what it says.
    #[track_caller]
    pub fn ctl_fails(&self, words: &str) -> (i32, String) {
        let ran = self.tool(&format!("rabbitmqctl {words}"));
        assert_ne!(ran.code, 0, "{words}: {ran:?}");
        (ran.code, ran.err)
    }
}
