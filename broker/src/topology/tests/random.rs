//! Random changes, against lists.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseError;

use super::*;

const EXCHANGES: [&str; 5] = ["d", "f", "t", "h", "amq.topic"];
const QUEUES: [&str; 4] = ["q", "r", "s", "t"];
const KEYS: [&str; 8] = ["a", "b", "a.b", "a.b.c", "*", "#", "a.*", "#.b"];
const ROUTED: [&str; 6] = ["a", "b", "a.b", "b.a.b", "", "q"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Binding {
    source: &'static str,
    target: Target<'static>,
    key: &'static str,
    /// Whether it has an argument.
    argument: bool,
}

#[derive(Clone, Debug)]
enum Step {
    DeclareExchange {
        name: &'static str,
        auto_delete: bool,
        alternate: Option<&'static str>,
    },
    DeleteExchange {
        name: &'static str,
        if_unused: bool,
    },
    DeclareQueue(&'static str),
    RemoveQueue(&'static str),
    Bind(Binding),
    Unbind(Binding),
    /// One that there is.
    UnbindExisting(Index),
}

fn any_binding() -> impl Strategy<Value = Binding> {
    let target = prop_oneof![
        2 => select(&QUEUES[..]).prop_map(Target::Queue),
        1 => select(&EXCHANGES[..]).prop_map(Target::Exchange),
    ];
    let argument = prop::bool::weighted(0.2);
    (select(&EXCHANGES[..]), target, select(&KEYS[..]), argument)
        .prop_map(|(source, target, key, argument)| Binding { source, target, key, argument })
}

fn any_step() -> impl Strategy<Value = Step> {
    let exchange = || select(&EXCHANGES[..4]);
    let alternate = prop::option::weighted(0.3, select(&EXCHANGES[..]));
    prop_oneof![
        3 => (exchange(), any::<bool>(), alternate).prop_map(|(name, auto_delete, alternate)| {
            Step::DeclareExchange { name, auto_delete, alternate }
        }),
        1 => (exchange(), any::<bool>())
            .prop_map(|(name, if_unused)| Step::DeleteExchange { name, if_unused }),
        3 => select(&QUEUES[..]).prop_map(Step::DeclareQueue),
        1 => select(&QUEUES[..]).prop_map(Step::RemoveQueue),
        8 => any_binding().prop_map(Step::Bind),
        1 => any_binding().prop_map(Step::Unbind),
        4 => any::<Index>().prop_map(Step::UnbindExisting),
    ]
}

fn kind_of(name: &str) -> ExchangeKind {
    match name {
        "d" => ExchangeKind::Direct,
        "f" => ExchangeKind::Fanout,
        "h" => ExchangeKind::Headers,
        _ => ExchangeKind::Topic,
    }
}

/// All that there is, in lists.
struct Lists {
    /// Name, whether it deletes itself, alternate exchange.
    exchanges: Vec<(&'static str, bool, Option<&'static str>)>,
    /// In the order of their declaration, with handles.
    queues: Vec<(&'static str, u32)>,
    bindings: Vec<Binding>,
    handles: u32,
}

impl Lists {
    fn new() -> Self {
        let exchanges = vec![("amq.topic", false, None)];
        Self { exchanges, queues: Vec::new(), bindings: Vec::new(), handles: 0 }
    }

    fn has_exchange(&self, name: &str) -> bool {
        self.exchanges.iter().any(|exchange| exchange.0 == name)
    }

    fn has_queue(&self, name: &str) -> bool {
        self.queues.iter().any(|queue| queue.0 == name)
    }

    fn has_ends(&self, binding: &Binding) -> bool {
        self.has_exchange(binding.source)
            && match binding.target {
                Target::Queue(name) => self.has_queue(name),
                Target::Exchange(name) => self.has_exchange(name),
            }
    }

    fn declare_exchange(
        &mut self,
        name: &'static str,
        auto: bool,
        other: Option<&'static str>,
    ) -> bool {
        match self.exchanges.iter().find(|exchange| exchange.0 == name) {
            Some(known) => *known == (name, auto, other),
            None => {
                self.exchanges.push((name, auto, other));
                true
            }
        }
    }

    /// Takes bindings away, then all exchanges that lost their last one and delete themselves.
    fn remove_bindings(&mut self, gone: impl Fn(&Binding) -> bool) {
        let (removed, kept): (Vec<_>, _) = self.bindings.iter().partition(|b| gone(b));
        self.bindings = kept;
        for Binding { source, .. } in removed {
            let unbound = !self.bindings.iter().any(|binding| binding.source == source);
            if unbound && self.exchanges.iter().any(|x| x.0 == source && x.1) {
                self.delete_exchange(source);
            }
        }
    }

    fn delete_exchange(&mut self, name: &str) {
        self.exchanges.retain(|exchange| exchange.0 != name);
        self.bindings.retain(|binding| binding.source != name);
        self.remove_bindings(|binding| binding.target == Target::Exchange(name));
    }

    fn remove_queue(&mut self, name: &str) {
        self.queues.retain(|queue| queue.0 != name);
        self.remove_bindings(|binding| binding.target == Target::Queue(name));
    }

    fn matches(&self, binding: &Binding, key: &str) -> bool {
        match kind_of(binding.source) {
            ExchangeKind::Direct => binding.key == key,
            ExchangeKind::Fanout => true,
            ExchangeKind::Topic => {
                let words = |text: &'static str| text.split('.').collect::<Vec<_>>();
                let key = key.split('.').filter(|_| !key.is_empty()).collect::<Vec<_>>();
                words_match(&words(binding.key), &key)
            }
            // The messages have no headers: only bindings that ask for none match.
            _ => !binding.argument,
        }
    }

    fn route(&self, start: &'static str, key: &str) -> Vec<u32> {
        let mut reached = vec![Target::Exchange(start)];
        let mut at = 0;
        while let Some(target) = reached.get(at).copied() {
            at += 1;
            let Target::Exchange(name) = target else { continue };
            let mut next: Vec<Target<'_>> = self
                .bindings
                .iter()
                .filter(|binding| binding.source == name && self.matches(binding, key))
                .map(|binding| binding.target)
                .collect();
            if next.is_empty() {
                let found = self.exchanges.iter().find(|exchange| exchange.0 == name);
                next.extend(found.and_then(|exchange| exchange.2).map(Target::Exchange));
            }
            next.retain(|target| !reached.contains(target));
            reached.extend(next);
        }
        let reaches = |queue: &&(&str, u32)| reached.contains(&Target::Queue(queue.0));
        self.queues.iter().filter(reaches).map(|queue| queue.1).collect()
    }
}

fn words_match(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), None) => words_match(rest, key),
        (Some((&"#", rest)), Some((_, tail))) => {
            words_match(rest, key) || words_match(pattern, tail)
        }
        (Some((word, rest)), Some((first, tail))) => {
            (*word == "*" || word == first) && words_match(rest, tail)
        }
        _ => false,
    }
}

fn step(topology: &mut Topology<u32>, lists: &mut Lists, step: &Step) -> Result<(), TestCaseError> {
    match *step {
        Step::DeclareExchange { name, auto_delete, alternate } => {
            let arguments = alternate.map(|other| table("alternate-exchange", text(other)));
            let arguments = arguments.unwrap_or_default();
            let spec = ExchangeSpec { auto_delete, arguments, ..exchange(name, kind_of(name)) };
            let expected = lists.declare_exchange(name, auto_delete, alternate);
            prop_assert_eq!(topology.declare_exchange(spec).is_ok(), expected);
        }
        Step::DeleteExchange { name, if_unused } => {
            let used = lists.bindings.iter().any(|binding| binding.source == name);
            let refused = if_unused && used;
            prop_assert_eq!(topology.delete_exchange(name, if_unused).is_err(), refused);
            if !refused {
                lists.delete_exchange(name);
            }
        }
        Step::DeclareQueue(name) => {
            lists.handles += 1;
            let handle = lists.handles;
            let new = !lists.has_queue(name);
            let declared = topology.declare_queue(queue(name), |_| handle);
            prop_assert_eq!(declared.map(|(_, new)| new), Ok(new));
            if new {
                lists.queues.push((name, handle));
            }
        }
        Step::RemoveQueue(name) => {
            let id = topology.queues.get(name).copied();
            prop_assert_eq!(id.is_some(), lists.has_queue(name));
            id.map(|id| topology.remove_queue(id));
            lists.remove_queue(name);
        }
        Step::Bind(binding) => {
            let bound = with_spec(binding, |spec| topology.bind(spec, ANYONE));
            prop_assert_eq!(bound.is_ok(), lists.has_ends(&binding));
            if bound.is_ok() && !lists.bindings.contains(&binding) {
                lists.bindings.push(binding);
            }
        }
        Step::Unbind(binding) => unbind(topology, lists, binding)?,
        Step::UnbindExisting(_) if lists.bindings.is_empty() => {}
        Step::UnbindExisting(at) => unbind(topology, lists, *at.get(&lists.bindings))?,
    }
    Ok(())
}

fn unbind(
    topology: &mut Topology<u32>,
    lists: &mut Lists,
    binding: Binding,
) -> Result<(), TestCaseError> {
    let unbound = with_spec(binding, |spec| topology.unbind(spec, ANYONE));
    prop_assert_eq!(unbound, Ok(()));
    lists.remove_bindings(|other| *other == binding);
    Ok(())
}

fn with_spec<R>(binding: Binding, run: impl FnOnce(BindingSpec<'_>) -> R) -> R {
    let Binding { source, target, key, argument } = binding;
    let arguments = if argument { table("n", text("1")) } else { FieldTable::default() };
    run(BindingSpec { source, target, key, arguments: &arguments })
}

fn compare(topology: &Topology<u32>, lists: &Lists) -> Result<(), TestCaseError> {
    topology.check_books();
    prop_assert_eq!(topology.bindings, lists.bindings.len());
    for name in EXCHANGES {
        prop_assert_eq!(topology.has_exchange(name), lists.has_exchange(name), "{}", name);
        if !lists.has_exchange(name) {
            continue;
        }
        for key in ROUTED {
            prop_assert_eq!(topology.to(name, key), lists.route(name, key), "{} {}", name, key);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn changes_do_what_they_do_to_lists(steps in vec(any_step(), 0..60)) {
        let (mut topology, mut lists) = (topology(), Lists::new());
        for next in &steps {
            step(&mut topology, &mut lists, next)?;
            compare(&topology, &lists)?;
        }
    }
}
