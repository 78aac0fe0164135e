//! The differences that docs/conformance.md tells of, under "Deviations from RabbitMQ".

/// A rule: whether an answer of Lepus (first) may differ from RabbitMQ's.
type Rule = fn(&str, &str) -> bool;

/// All of them, with their reasons.
const RULES: &[(Rule, &str)] = &[
    (
        more_is_redelivered,
        "a message found at a restart, handed out and returned: RabbitMQ does not flag it as redelivered",
    ),
    (
        more_have_expired,
        "a message found at a restart, dead-lettered: RabbitMQ does not say its original-expiration",
    ),
];

/// Why two answers given after a restart may differ, if they may. Before it none may.
pub(super) fn reason(ours: &str, theirs: &str) -> Option<&'static str> {
    RULES.iter().find(|(rule, _)| rule(ours, theirs)).map(|(_, why)| *why)
}

/// Whether the only difference is that Lepus says `redelivered` more often.
fn more_is_redelivered(ours: &str, theirs: &str) -> bool {
    const FLAG: &str = "redelivered ";
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (ours.split(FLAG).collect(), theirs.split(FLAG).collect());
    let same = |(our, their): (&&str, &&str)| {
        our == their
            || matches!(
                (our.strip_prefix("true"), their.strip_prefix("false")),
                (Some(our), Some(their)) if our == their
            )
    };
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(same)
}

/// Whether besides Lepus has an `original-expiration` where RabbitMQ has none.
fn more_have_expired(ours: &str, theirs: &str) -> bool {
    let (our, their) = (without_expirations(ours), without_expirations(theirs));
    ours.len() - our.len() > theirs.len() - their.len()
        && more_is_redelivered(&without_hashes(&our), &without_hashes(&their))
}

fn without_expirations(line: &str) -> String {
    const FIELD: &str = "ShortString(\"original-expiration\"): ";
    let mut parts = line.split(FIELD);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| line + part.split_once(")), ").map_or(part, |(_, rest)| rest))
}

/// Without the hashes of the properties' octets, which stand after them.
fn without_hashes(line: &str) -> String {
    const END: &str = " }|";
    let mut parts = line.split(END);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| line + END + part.split_once('|').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_flag_and_only_one_way() {
        let [yes, no] = ["a|redelivered true|b", "a|redelivered false|b"];
        assert!(reason(yes, no).is_some());
        assert!(reason(no, yes).is_none());
        assert!(reason(yes, "a|redelivered false|c").is_none());
        assert!(reason(&format!("{no}; {yes}"), &format!("{yes}; {no}")).is_none());
    }

    #[test]
    fn only_an_expiration_more() {
        let line = |field: &str, hash: &str, other: &str| {
            format!(
                "q|redelivered false|P {{ {{ {field}ShortString(\"queue\"): {other} }} }}|{hash}|3 octets 0"
            )
        };
        let field = "ShortString(\"original-expiration\"): LongString(LongString([49])), ";
        assert!(reason(&line(field, "a1", "q"), &line("", "b2", "q")).is_some());
        assert!(reason(&line("", "a1", "q"), &line(field, "b2", "q")).is_none());
        assert!(reason(&line("", "a1", "q"), &line("", "b2", "q")).is_none());
        assert!(reason(&line(field, "a1", "q"), &line("", "b2", "p")).is_none());
    }
}
