//! Passwords are kept as hashes, and shown to nobody.

use std::path::Path;

use lepus_tests::*;

const PASSWORD: &str = "correct-horse-battery";

/// The files below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let below = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.path())).collect()
}

#[test]
fn passwords_are_neither_in_the_log_nor_in_the_data() {
    lepus_only!("it looks into the log and the data of Lepus");
    let config =
        format!("default_user = app\ndefault_pass = {PASSWORD}\nlog.console.level = debug\n");
    let mut broker = Broker::with_config(&config);
    let login = |password: &str| Login {
        response: format!("\0app\0{password}").into_bytes(),
        ..Login::default()
    };
    broker.login(&login(PASSWORD)).close();
    let mut conn = broker.dial();
    conn.start();
    let wrong = "wrong-horse-battery";
    conn.send(0, login(wrong).start_ok());
    assert_eq!(conn.expect_close_frame().reply_code, 403);
    broker.stop();
    let log = broker.log();
    let found = files(&broker.data_dir());
    assert!(!found.is_empty());
    let holds = |octets: &[u8], word: &str| {
        octets.windows(word.len()).any(|window| window == word.as_bytes())
    };
    for word in [PASSWORD, wrong] {
        assert!(!log.contains(word), "{log}");
        for path in &found {
            let octets = std::fs::read(path).unwrap_or_default();
            assert!(!holds(&octets, word), "{} holds a password", path.display());
        }
    }
}
