use super::*;
use crate::routing::QueueId;

const QUEUE: Destination = Destination::Queue(QueueId(1));

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn table(fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn matches(args: &[(&str, AMQPValue)], headers: &[(&str, AMQPValue)]) -> bool {
    let mut index = HeadersIndex::default();
    index.add(QUEUE, Condition::parse(&table(args)).unwrap());
    let mut out = Vec::new();
    index.route(Some(&table(headers)), &mut out);
    out.contains(&QUEUE)
}

#[test]
fn all_is_the_default_and_wants_each_header() {
    let args = [("format", text("pdf")), ("type", text("report"))];
    let more = ("size", AMQPValue::LongInt(3));
    assert!(matches(&args, &args));
    assert!(matches(&args, &[args[0].clone(), args[1].clone(), more]));
    assert!(!matches(&args, &args[..1]));
    assert!(!matches(&args, &[args[0].clone(), ("type", text("log"))]));
    assert!(!matches(&args, &[]));
}

#[test]
fn any_wants_one_header() {
    let args = [("x-match", text("any")), ("format", text("pdf")), ("type", text("report"))];
    assert!(matches(&args, &[("format", text("pdf"))]));
    assert!(matches(&args, &args[1..]));
    assert!(!matches(&args, &[("format", text("zip"))]));
    assert!(!matches(&args, &[]));
}

#[test]
fn nothing_asked_for_means_all_or_none() {
    for headers in [&[][..], &[("a", text("b"))]] {
        assert!(matches(&[], headers));
        assert!(matches(&[("x-match", text("all"))], headers));
        assert!(matches(&[("x-match", text("all-with-x"))], headers));
        assert!(!matches(&[("x-match", text("any"))], headers));
        assert!(!matches(&[("x-match", text("any-with-x"))], headers));
    }
    let mut index = HeadersIndex::default();
    index.add(QUEUE, Condition::parse(&table(&[])).unwrap());
    let mut out = Vec::new();
    index.route(None, &mut out);
    assert_eq!(out, [QUEUE]);
}

#[test]
fn names_that_start_with_x_count_only_with_x() {
    let asked = ("x-tenant", text("a"));
    let other = [("x-tenant", text("b"))];
    let with = |mode| [("x-match", text(mode)), asked.clone()];
    assert!(matches(&with("all"), &other));
    assert!(!matches(&with("any"), std::slice::from_ref(&asked)));
    assert!(!matches(&with("all-with-x"), &other));
    assert!(matches(&with("all-with-x"), std::slice::from_ref(&asked)));
    assert!(!matches(&with("any-with-x"), &other));
    assert!(matches(&with("any-with-x"), std::slice::from_ref(&asked)));
}

#[test]
fn void_asks_for_the_header_alone() {
    let args = [("retry", AMQPValue::Void)];
    assert!(matches(&args, &[("retry", text("yes"))]));
    assert!(matches(&args, &[("retry", AMQPValue::Void)]));
    assert!(!matches(&args, &[("other", text("yes"))]));
    assert!(!matches(&[("a", text(""))], &[("a", AMQPValue::Void)]));
}

#[test]
fn numbers_match_whatever_their_width() {
    let wanted = [("n", AMQPValue::LongInt(7))];
    assert!(matches(&wanted, &[("n", AMQPValue::ShortShortUInt(7))]));
    assert!(!matches(&wanted, &[("n", text("7"))]));
}

#[test]
fn a_binding_is_filed_where_fewest_are() {
    for (shared, own) in [("kind", "tenant"), ("tenant", "kind")] {
        let mut index = HeadersIndex::default();
        for n in 0..50 {
            let args = [(shared, text("job")), (own, AMQPValue::LongInt(n))];
            index.add(QUEUE, Condition::parse(&table(&args)).unwrap());
        }
        let files = index.by_name.values().flat_map(|filed| filed.by_value.values());
        assert_eq!(files.map(Vec::len).max(), Some(1));
    }
}

#[test]
fn removal_leaves_nothing_behind() {
    let mut index = HeadersIndex::default();
    let mut add = |args: &[_]| index.add(QUEUE, Condition::parse(&table(args)).unwrap());
    let kept = add(&[("kept", AMQPValue::Void)]);
    let slots = [
        add(&[("x-match", text("any")), ("a", AMQPValue::Void), ("b", text("c"))]),
        add(&[("a", text("b")), ("kept", text("d"))]),
        add(&[]),
    ];
    for slot in slots {
        index.remove(slot);
    }
    let names: Vec<_> = index.by_name.keys().map(|name| &**name).collect();
    assert_eq!(names, ["kept"]);
    assert!(index.by_name["kept"].by_value.is_empty() && index.always.is_empty());
    index.remove(kept);
    assert!(!index.reads_headers() && index.entries.is_empty());
}

#[test]
fn a_bad_mode_is_refused() {
    let refusal = |value| {
        let args = table(&[("x-match", value)]);
        Condition::parse(&args).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(text("All")),
        "Invalid x-match field value <<\"All\">>; expected all, any, all-with-x, or any-with-x"
    );
    assert_eq!(
        refusal(AMQPValue::LongInt(1)),
        "Invalid x-match field type signedint (value 1); expected longstr"
    );
}
