//! The differences that docs/conformance.md tells of, under "Deviations from RabbitMQ".

/// A rule: whether an answer of Lepus (first) may differ from RabbitMQ's.
type Rule = fn(&str, &str) -> bool;

/// All of them, with their reasons.
const RULES: &[(Rule, &str)] = &[(
    more_is_redelivered,
    "a message found at a restart, handed out and returned: RabbitMQ does not flag it as redelivered",
)];

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
}
