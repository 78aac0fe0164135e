//! The configuration: its files against what was written, and against anything.

use lepus::config::load::load;
use lepus::config::sources::Sources;

use crate::bounds::{MIB, within};

const CONFIG: &[u8] = include_bytes!("../seeds/rabbitmq.conf");

/// A configuration: it is one, or its faults are told.
pub fn configuration(octets: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rabbitmq.conf");
    std::fs::write(&path, octets).unwrap();
    let sources = Sources { config: Some(path), ..Sources::default() };
    match within(MOST, || load(&sources)) {
        Ok(loaded) => assert_eq!(loaded.settings.config(&mut Vec::new()), loaded.config),
        Err(why) => assert!(!why.faults.is_empty()),
    }
}

/// Octets that a case may allocate.
const MOST: u64 = 4 * MIB;

/// One that has most keys.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![CONFIG.to_vec()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lepus::config::syntax::{Line, parse, words, written};
    use proptest::prelude::*;

    use super::*;
    use crate::cases;
    use crate::octets::{changed, edits};

    /// A word of a key; a dot inside of it is written with a backslash.
    fn word() -> impl Strategy<Value = String> {
        "[A-Za-z0-9_-]{1,8}|[a-z]{1,3}\\.[a-z]{1,3}"
    }

    /// What a value may be, and how it is written.
    fn value() -> impl Strategy<Value = (String, String)> {
        prop_oneof![
            // Nothing that begins like a quoted value, and no blanks at its ends.
            "[!-\"$-&(-~é][ !-\"$-~é]{0,20}".prop_map(|value| {
                let value = value.trim_end().to_owned();
                (value.clone(), value)
            }),
            "[ -&(-~\\n\té]{0,20}".prop_map(|value| (value.clone(), format!("'{value}'"))),
            "([ -~]{0,4}[!-&(-~])?(\\n[ -&(-~é]{1,5}'?[!-&(-~]{1,5}){0,3}"
                .prop_map(|value| {
                    let value = value.trim_matches('\n').replace("''", "");
                    (value.clone(), format!("'''\n{value}\n'''"))
                })
                .prop_filter("quotes at its beginning are those around it", |(value, _)| {
                    !value.starts_with('\'')
                }),
        ]
    }

    fn blank() -> impl Strategy<Value = String> {
        "[ \t]{0,3}"
    }

    #[derive(Clone, Debug)]
    enum Written {
        Nothing(String),
        Setting { key: Vec<String>, value: String, text: String },
    }

    fn line() -> impl Strategy<Value = Written> {
        let key = prop::collection::vec(word(), 1..4);
        let comment = prop_oneof![Just(String::new()), "[ \t]#[ -~é]{0,10}"];
        let setting = (key, value(), blank(), blank(), blank(), comment).prop_map(
            |(key, (value, text), before, left, right, comment)| {
                let text = format!("{before}{}{left}={right}{text}{comment}", written(&key));
                Written::Setting { key, value, text }
            },
        );
        let nothing = prop_oneof![blank(), "[ \t]{0,2}#[ -~]{0,20}"].prop_map(Written::Nothing);
        prop_oneof![3 => setting, 1 => nothing]
    }

    fn end() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just("\n"), Just("\r\n")]
    }

    proptest! {
        #![proptest_config(cases(1))]

        #[test]
        fn what_was_written_is_read(lines in prop::collection::vec((line(), end()), 0..12)) {
            let (mut text, mut wanted) = (String::new(), Vec::new());
            for (line, end) in lines {
                let number = 1 + text.matches('\n').count();
                match line {
                    Written::Nothing(nothing) => text += &nothing,
                    Written::Setting { key, value, text: written } => {
                        text += &written;
                        wanted.push(Line::Setting { line: number, key, value });
                    }
                }
                text += end;
            }
            let (found, wrong) = parse(&text);
            prop_assert_eq!(wrong, vec![]);
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn keys_are_read_as_they_are_written(key in prop::collection::vec(word(), 1..5)) {
            prop_assert_eq!(words(&written(&key)), Some(key));
        }

        #[test]
        fn anything_is_read_or_refused(text in "(\\PC|[\\n\\r\\t'=#.$()\\\\]){0,200}") {
            let (found, wrong) = within(MIB, || parse(&text));
            prop_assert!(found.len() + wrong.len() <= 1 + text.matches('\n').count());
        }

        #[test]
        fn any_octets_make_a_configuration_or_faults(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            configuration(&octets);
        }

        #[test]
        fn a_configuration(edits in edits(8)) {
            configuration(&changed(CONFIG, &edits));
        }

        #[test]
        fn any_value_of_a_known_key_is_taken_or_refused(
            place in 0..lepus::config::keys::all().len(),
            value in "(\\PC|[0-9.:,$()%kMGiB-]|\\$\\([a-z_.]{0,12}\\)){0,30}",
        ) {
            let key = &lepus::config::keys::all()[place];
            let pattern = key.pattern.replace("**", "x").replace("$n.", "1.").replace('$', "");
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.conf");
            let value = value.replace('\'', "");
            std::fs::write(&path, format!("{pattern} = '{value}'\n")).unwrap();
            let environment = BTreeMap::from([("a".to_owned(), "$(b)".to_owned())]);
            let sources = Sources { config: Some(path), environment, ..Sources::default() };
            match within(4 * MIB, || load(&sources)) {
                Ok(loaded) if key.secret => {
                    prop_assert!(loaded.notes.iter().all(|warning| !warning.contains(&value)));
                }
                Err(faults) if key.secret && value.len() > 3 && !value.contains("$(") => {
                    prop_assert!(!faults.to_string().contains(&value));
                }
                _ => {}
            }
        }
    }
}
