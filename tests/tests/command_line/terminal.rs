//! Commands on a terminal, a pseudo one that `script` of util-linux makes.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use lepus_tests::*;

use super::shell::Shell;

/// A command on a terminal of 24 lines.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Receiver<String>,
    /// All that was shown so far.
    all: String,
}

impl Terminal {
    /// `None`: there is nothing to make a terminal with.
    fn open(shell: &Shell, words: &str) -> Option<Self> {
        let (lepus, data) = (lepus_binary(), shell.broker.data_dir().display().to_string());
        let command =
            format!("stty rows 24 cols 120; exec {} {words} --data-dir {data}", lepus.display());
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).env("TERM", "xterm").env_remove("LEPUS_URL");
        let started = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started
            .inspect_err(|error| eprintln!("skipped: `script` does not run: {error}"))
            .ok()?;
        let (keys, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut octets) {
                let text = String::from_utf8_lossy(&octets[..count]).into_owned();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, keys, shown, all: String::new() })
    }

    /// Waits until it has shown this.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.all.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(more) => self.all += &more,
                Err(_) => panic!("no {text:?} in {:?}", self.all),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for its end: its exit code, and all that it has shown.
    fn end(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        self.all.extend(self.shown.iter());
        (status.code().unwrap(), std::mem::take(&mut self.all))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn top_is_a_screen_that_follows_the_queues() {
    lepus_only!("it runs Lepus' own command");
    // Only what has changed is drawn: names that have no letter in the same place are drawn whole.
    let [first, second, third] = ["mmmmmm", "bbbbbb", "aaaaaa"];
    let shell = Shell::local();
    shell.lepus(&["queues", "create", first]);
    let Some(mut top) = Terminal::open(&shell, "top") else { return };
    top.shows("\x1b[?1049h");
    top.shows(first);
    top.shows("quit");
    shell.lepus(&["queues", "create", second]);
    top.shows(second);
    top.press("n");
    shell.lepus(&["queues", "create", third]);
    top.shows(third);
    top.press("q");
    let (code, shown) = top.end();
    assert_eq!(code, 0, "{shown:?}");
    assert!(shown.contains("\x1b[?1049l"), "the screen before is not shown again: {shown:?}");
}

#[test]
fn passwords_are_asked_for_and_not_seen() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    let Some(mut set) = Terminal::open(&shell, "users set anna --tags management") else { return };
    set.shows("Password: ");
    set.press("secrex\x7ft\r");
    let (code, shown) = set.end();
    assert_eq!(code, 0, "{shown:?}");
    assert!(shown.contains("user anna is there") && !shown.contains("sec"), "{shown:?}");
    assert_eq!(shell.ctl("-q authenticate_user anna secret"), "");
    let mut again = Terminal::open(&shell, "users set otto").unwrap();
    again.shows("Password: ");
    again.press("\x03");
    let (code, shown) = again.end();
    assert!(code == 1 && shown.contains("no password"), "{code}: {shown:?}");
}

#[test]
fn long_work_shows_how_far_it_is() {
    lepus_only!("it runs Lepus' own command");
    let shell = Shell::local();
    for queue in ["dead", "jobs"] {
        shell.lepus(&["queues", "create", queue]);
    }
    for n in 1..=4 {
        shell.lepus(&["messages", "publish", "dead", &n.to_string()]);
    }
    let Some(mut moving) = Terminal::open(&shell, "queues move dead --to jobs --limit 3") else {
        return;
    };
    moving.shows("move [");
    let (code, shown) = moving.end();
    assert_eq!(code, 0, "{shown:?}");
    assert!(shown.contains("3/3") && shown.contains("move: 3 messages"), "{shown:?}");
    let mut searching = Terminal::open(&shell, "queues search jobs 2").unwrap();
    searching.shows("payload");
    assert_eq!(searching.end().0, 0);
}
