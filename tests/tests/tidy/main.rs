//! The rules of the code that a machine can check. Each failure names the place and the rule.

#![allow(clippy::expect_used, clippy::panic)]

mod source;

use std::sync::LazyLock;

use source::{Source, read, relative, root};

/// Where production code lives.
const CODE: &[&str] = &["protocol/src", "storage/src", "broker/src", "xtask/src"];

/// Lines of code: neither blank nor comment, documentation or test.
const FILE_LINES: usize = 500;
const MEDIAN_LINES: usize = 150;
const FUNCTION_LINES: usize = 70;
const README_LINES: usize = 80;

/// Tables of declarations, however long: read by looking something up, not from top to bottom.
const CATALOGUES: &[&str] = &[];

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| source::sources(CODE));

/// All violations at once, one a line.
fn check(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

fn under(folder: &str) -> impl Iterator<Item = &'static Source> {
    SOURCES.iter().filter(move |source| source.path.starts_with(folder))
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for source in SOURCES.iter().filter(|source| !CATALOGUES.contains(&source.path.as_str())) {
        if source.code.len() > FILE_LINES {
            long.push(format!("{}: {} lines of code", source.at(1), source.code.len()));
        }
    }
    check("a file has at most 500 lines of production code; divide it by what it does", &long);
}

#[test]
fn the_median_file_is_short() {
    let mut lengths: Vec<usize> = SOURCES.iter().map(|source| source.code.len()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(
        median <= MEDIAN_LINES,
        "the median file has {median} lines of code; at most {MEDIAN_LINES}"
    );
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for source in SOURCES.iter() {
        for function in source.functions.iter().filter(|each| each.code_lines > FUNCTION_LINES) {
            let (name, lines) = (&function.name, function.code_lines);
            long.push(format!("{}: {name} has {lines} lines of code", source.at(function.line)));
        }
    }
    check("a function has at most 70 lines of code", &long);
    assert!(
        read("clippy.toml").contains("too-many-lines-threshold = 70"),
        "clippy.toml has another limit"
    );
    assert!(
        read("Cargo.toml").contains("too_many_lines = \"warn\""),
        "Cargo.toml silences too_many_lines"
    );
}

fn silenced(source: &Source) -> Vec<String> {
    const LINTS: &[&str] =
        &["clippy::too_many_lines", "clippy::all", "clippy::pedantic", "warnings"];
    let silences = |path: &&source::WrittenPath| LINTS.contains(&path.text.as_str());
    let place = |path: &source::WrittenPath| format!("{}: {}", source.at(path.line), path.text);
    source.paths.iter().filter(silences).map(place).collect()
}

#[test]
fn no_limit_is_silenced() {
    let found: Vec<String> = SOURCES.iter().flat_map(silenced).collect();
    check("these lints are not allowed or expected away", &found);
}

/// Paths that begin with, or are, one of these; clocks count wherever they come from.
fn forbidden(source: &Source, paths: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in &source.paths {
        let begins = |wanted: &&str| {
            let rest = path.text.strip_prefix(wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let clock = path.text == "std::time::*"
            || path.text.split("::").any(|name| ["Instant", "SystemTime"].contains(&name));
        if paths.iter().any(begins) || (paths.contains(&CLOCK) && clock) {
            found.push(format!("{}: {}", source.at(path.line), path.text));
        }
    }
    found.dedup();
    found
}

const CLOCK: &str = "a clock";

/// What only the outer shells may use.
const OUTSIDE: &[&str] = &["tokio", "std::net", "std::fs", CLOCK];

#[test]
fn the_protocol_is_pure() {
    let found: Vec<String> =
        under("protocol/src").flat_map(|source| forbidden(source, OUTSIDE)).collect();
    check(
        "the protocol uses no runtime, sockets, files or clock: it is given bytes and the time",
        &found,
    );
}

#[test]
fn the_core_is_pure() {
    const CORE: &[&str] = &["broker/src/session", "broker/src/routing", "broker/src/queue/state"];
    let core = CORE.iter().flat_map(|folder| under(folder));
    let found: Vec<String> = core.flat_map(|source| forbidden(source, OUTSIDE)).collect();
    check("session, routing and queue/state use no runtime, sockets, files or clock", &found);
}

#[test]
fn protocol_and_storage_never_meet() {
    let protocol = ["lepus_protocol", "amq_protocol"];
    let mut found: Vec<String> =
        under("storage/src").flat_map(|source| forbidden(source, &protocol)).collect();
    found.extend(under("protocol/src").flat_map(|source| forbidden(source, &["lepus_storage"])));
    for (manifest, names) in [
        ("storage/Cargo.toml", &["lepus-protocol", "amq-protocol"][..]),
        ("protocol/Cargo.toml", &["lepus-storage"][..]),
    ] {
        for (line, text) in (1..).zip(read(manifest).lines()) {
            if names.iter().any(|name| text.starts_with(name)) {
                found.push(format!("{manifest}:{line}: {text}"));
            }
        }
    }
    check("storage knows nothing of AMQP, and the protocol nothing of storage", &found);
}

#[test]
fn only_the_disk_opens_files() {
    let is_disk = |source: &&Source| {
        source
            .path
            .trim_start_matches("storage/src/")
            .split('/')
            .any(|part| part.starts_with("disk"))
    };
    let others = under("storage/src").filter(|source| !is_disk(source));
    let found: Vec<String> =
        others.flat_map(|source| forbidden(source, &["std::fs", "tokio::fs"])).collect();
    check(
        "in storage only disk*.rs uses std::fs, so that a simulated disk can crash at every write",
        &found,
    );
}

fn unwraps(source: &Source) -> Vec<String> {
    const CALLS: &[&str] = &["unwrap", "expect", "unwrap_err", "expect_err", "unwrap_unchecked"];
    let mut found = Vec::new();
    for window in source.tokens.windows(3) {
        let [before, name, after] = window else { continue };
        let call = before.text == "." && after.text == "(";
        let function = before.text == ":";
        if (call || function)
            && CALLS.contains(&name.text.as_str())
            && !source.explained(name.line, "invariant:")
        {
            found.push(format!("{}: {}", source.at(name.line), name.text));
        }
    }
    found
}

#[test]
fn nothing_unwraps() {
    let found: Vec<String> = SOURCES.iter().flat_map(unwraps).collect();
    check(
        "no unwrap or expect; where it cannot fail, a `// invariant:` comment just above says why",
        &found,
    );
}

fn unfinished(source: &Source) -> Vec<String> {
    const MACROS: &[&str] = &["todo", "unimplemented", "unreachable"];
    let mut found = Vec::new();
    for window in source.tokens.windows(2) {
        let [name, bang] = window else { continue };
        if bang.text == "!" && MACROS.contains(&name.text.as_str()) {
            found.push(format!("{}: {}!", source.at(name.line), name.text));
        }
    }
    found
}

#[test]
fn nothing_is_unfinished_or_unreachable() {
    let found: Vec<String> = SOURCES.iter().flat_map(unfinished).collect();
    check("no todo!, unimplemented! or unreachable!", &found);
}

/// The text under the headings of docs/architecture.md that name unsafe code.
fn about_unsafe() -> String {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap_or_default();
    let mut about = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('#') {
            inside = line.to_lowercase().contains("unsafe");
        }
        if inside {
            about.push_str(line);
            about.push('\n');
        }
    }
    about
}

#[test]
fn unsafe_code_is_named_in_the_architecture() {
    let named = about_unsafe();
    let mut found = Vec::new();
    for source in SOURCES.iter().filter(|source| !named.contains(&source.path)) {
        let uses = source.tokens.iter().filter(|token| token.text == "unsafe");
        found.extend(uses.map(|token| source.at(token.line)));
    }
    check(
        "unsafe code only in files that docs/architecture.md lists under a heading with `unsafe` in it",
        &found,
    );
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines; at most {README_LINES}");
}

#[test]
fn every_member_says_what_it_is() {
    let manifest = read("Cargo.toml");
    let lines = (1..).zip(manifest.lines()).skip_while(|(_, line)| !line.starts_with("members"));
    let members = lines.skip(1).take_while(|(_, line)| !line.starts_with(']'));
    let silent = members.filter(|(_, line)| {
        line.trim_start().starts_with('"')
            && line.split_once('#').is_none_or(|(_, comment)| comment.trim().len() < 10)
    });
    let found: Vec<String> =
        silent.map(|(number, line)| format!("Cargo.toml:{number}: {line}")).collect();
    check("each workspace member has a comment that says what it is", &found);
}

/// A file that is no module is not compiled, and says nothing.
#[test]
fn each_file_of_tests_is_a_module() {
    let mut lost = Vec::new();
    for entry in walkdir::WalkDir::new(root().join("tests/tests")) {
        let path = relative(entry.expect("a readable folder").path());
        let Some((folder, name)) = path.strip_suffix(".rs").and_then(|path| path.rsplit_once('/'))
        else {
            continue;
        };
        let parent = match folder {
            "tests/tests" | "tests/tests/tidy" => format!("{folder}/main.rs"),
            folder => format!("{folder}.rs"),
        };
        if name != "main" && !read(&parent).contains(&format!("mod {name};\n")) {
            lost.push(format!("{path}: not in {parent}"));
        }
    }
    check("each file of tests is a module", &lost);
}

/// Names of folders on somebody's machine; put together here, so that this file has none of them.
fn machine_paths(text: &str) -> Vec<usize> {
    let prefixes = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat()];
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for prefix in &prefixes {
            let absolute = line.match_indices(prefix.as_str()).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|before| !before.is_alphanumeric() && !"-_.~/}*".contains(before))
            });
            if absolute {
                found.push(number);
            }
        }
    }
    found
}

#[test]
fn nothing_names_a_folder_of_some_machine() {
    const GENERATED: &[&str] =
        &[".git", "target", "node_modules", ".venv", "__pycache__", "lepus-data"];
    let keep = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        !GENERATED.contains(&name.as_ref())
    };
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(root()).into_iter().filter_entry(keep) {
        let entry = entry.expect("a readable folder");
        // What is not text has no lines to check.
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let path = relative(entry.path());
        found.extend(machine_paths(&text).iter().map(|line| format!("{path}:{line}")));
    }
    check("no absolute path of a developer's machine", &found);
}

/// The rules themselves, on small files that break them.
#[test]
fn the_rules_find_what_they_look_for() {
    let source = |text: &str| Source::parse("broker/src/example.rs", text);
    for text in [
        "fn f() { x.unwrap() }",
        "fn f() { vec![x.expect(\"\")] }",
        "fn f() { y.map(Option::unwrap) }",
    ] {
        assert_eq!(unwraps(&source(text)), [format!("broker/src/example.rs:1: {}", name(text))]);
    }
    let explained = "fn f() {\n    // invariant: checked above\n    let x = y\n        .z()\n        .unwrap();\n}";
    assert!(unwraps(&source(explained)).is_empty());
    let tests = "#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap(); todo!() }\n}\nfn g() {}";
    assert!(unwraps(&source(tests)).is_empty() && unfinished(&source(tests)).is_empty());
    assert_eq!(source(tests).code.len(), 1);
    assert!(unwraps(&source("/// x.unwrap()\nfn f() { x.unwrap_or(0); }")).is_empty());
    assert_eq!(unfinished(&source("fn f() { select! { x => unreachable!() } }")).len(), 1);
    assert_eq!(silenced(&source("#[allow(clippy::too_many_lines)]\nfn f() {}")).len(), 1);
    for text in [
        "use std::{collections::HashMap, net::TcpStream};",
        "use tokio::sync::{mpsc, oneshot};",
        "fn f() { let now = std::time::Instant::now(); }",
        "use std::time::*;",
        "fn f() { macros!(tokio::spawn(g())) }",
        "fn f(now: SystemTime) {}",
    ] {
        assert!(!forbidden(&source(text), OUTSIDE).is_empty(), "{text}");
    }
    let pure = "use std::time::Duration; use std::collections::HashMap; use crate::tokio_free::x;";
    assert!(forbidden(&source(pure), OUTSIDE).is_empty());
    let long = format!("fn f() {{\n{}}}", "    g();\n\n    // and\n".repeat(71));
    assert_eq!(source(&long).functions[0].code_lines, 71);
    let path = ["see /ro", "ot/x, http://a.b/ro", "ot/x"].concat();
    assert_eq!(machine_paths(&path), [1]);
    assert!(machine_paths(&["http://a.b/ro", "ot/x"].concat()).is_empty());
}

fn name(text: &str) -> &str {
    if text.contains("unwrap") { "unwrap" } else { "expect" }
}
