//! Which part of an answer is wanted: pages, order, columns.

use std::cmp::Ordering;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value, json};

use super::error::Fault;
use super::samples::Ages;

/// Items of a page, if nothing is said.
const PAGE: usize = 100;

/// Items that a page may have.
const PAGE_MAX: usize = 500;

/// Octets that the pattern of a filter may be compiled to.
const FILTER_MAX: usize = 1 << 20;

/// Something in a list, of which most is only looked at if it is on the page that is wanted.
pub(super) trait Item {
    /// What the filter of a page looks at.
    fn name(&self) -> &str;

    /// What a list is sorted by.
    fn field(&self, path: &[&str]) -> Value;

    /// Which of two comes first that are equal otherwise; equal: the one that was there first.
    fn order(&self, _other: &Self) -> Ordering {
        Ordering::Equal
    }

    /// All of it.
    fn show(self) -> Value;
}

impl Item for Value {
    fn name(&self) -> &str {
        self.get("name").and_then(Self::as_str).unwrap_or_default()
    }

    fn field(&self, path: &[&str]) -> Value {
        let found = path.iter().try_fold(self, |found, name| found.get(name));
        found.cloned().unwrap_or_default()
    }

    fn show(self) -> Value {
        self
    }
}

/// What of an answer is wanted.
#[derive(Debug, Default)]
pub(super) struct View {
    parameters: HashMap<String, String>,
    page: Option<Page>,
    ages: Ages,
    /// Nothing is to be said of how fast things change.
    unrated: bool,
}

#[derive(Debug, PartialEq)]
struct Page {
    number: usize,
    size: usize,
}

impl View {
    /// Reads the query of a URL.
    pub fn parse(query: &str) -> Result<Self, Fault> {
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut view = Self { parameters, ..Self::default() };
        view.page = view.find_page()?;
        view.ages = Ages::parse(&view)?;
        Ok(view)
    }

    /// The same with rates, or without.
    pub fn with_rates(self, rated: bool) -> Self {
        Self { unrated: !rated, ..self }
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Whether a parameter is `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// The times that numbers are wanted of.
    pub fn ages(&self) -> Ages {
        self.ages
    }

    fn find_page(&self) -> Result<Option<Page>, Fault> {
        let number = |name| {
            let text: Option<&str> = self.get(name);
            let number = text.map(str::parse::<i64>).transpose();
            number.map_err(|_| Fault::bad_request("Pagination parameters are invalid"))
        };
        let (page, size) = (number("page")?, number("page_size")?);
        let Some(page) = page else { return Ok(None) };
        let in_range = |number: i64, most: usize| {
            usize::try_from(number).ok().filter(|number| (1..=most).contains(number))
        };
        let found = (in_range(page, usize::MAX), in_range(size.unwrap_or(PAGE as i64), PAGE_MAX));
        let (Some(number), Some(found)) = found else {
            let size = size.map_or_else(|| "undefined".to_owned(), |size| size.to_string());
            return Err(Fault::invalid(
                "invalid_pagination_parameters",
                format!("Invalid pagination parameters: page number {page}, page size {size}"),
            ));
        };
        Ok(Some(Page { number, size: found }))
    }

    /// The wanted part of an object.
    pub fn one(&self, mut item: Value) -> Value {
        if self.unrated {
            drop_rates(&mut item);
        }
        match self.get("columns") {
            Some(columns) if !columns.is_empty() => project(&item, columns),
            _ => item,
        }
    }

    /// The wanted part of a list.
    pub fn list<T: Item>(&self, items: Vec<T>) -> Result<Value, Fault> {
        self.pick(items)
    }

    /// The same of something that need not be kept all at once.
    pub fn pick<T: Item>(&self, items: impl IntoIterator<Item = T>) -> Result<Value, Fault> {
        let Some(page) = &self.page else {
            let (_, items) = self.first(items, |_| true, usize::MAX);
            return Ok(Value::Array(self.all(items)));
        };
        let pattern = self.pattern()?;
        let mut total = 0;
        let is_wanted = |item: &T| {
            total += 1;
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(item.name()))
        };
        let Page { number, size } = *page;
        let first = (number - 1).saturating_mul(size);
        let (filtered, up_to_page) = self.first(items, is_wanted, first.saturating_add(size));
        if first >= filtered && number > 1 {
            return Err(Fault::invalid(
                "page_out_of_range",
                format!("Page out of range, page: {number} page size: {size}, len: {filtered}"),
            ));
        }
        let items = self.all(up_to_page.into_iter().skip(first));
        Ok(json!({
            "filtered_count": filtered,
            "item_count": items.len(),
            "page": number,
            "page_count": filtered.div_ceil(size).max(1),
            "page_size": size,
            "total_count": total,
            "items": items,
        }))
    }

    fn all<T: Item>(&self, items: impl IntoIterator<Item = T>) -> Vec<Value> {
        items.into_iter().map(|item| self.one(item.show())).collect()
    }

    /// What names must look like that are asked for; `None`: any.
    fn pattern(&self) -> Result<Option<Regex>, Fault> {
        let Some(wanted) = self.get("name").filter(|wanted| !wanted.is_empty()) else {
            return Ok(None);
        };
        let pattern = match self.flag("use_regex") {
            true => wanted.to_owned(),
            false => regex::escape(wanted),
        };
        let pattern =
            RegexBuilder::new(&pattern).case_insensitive(true).size_limit(FILTER_MAX).build();
        pattern.map(Some).map_err(|_| Fault::bad_request("Pagination parameters are invalid"))
    }

    /// How many there are that are wanted, and the first so many of them in the order that is asked for.
    fn first<T: Item>(
        &self,
        items: impl IntoIterator<Item = T>,
        mut is_wanted: impl FnMut(&T) -> bool,
        count: usize,
    ) -> (usize, Vec<T>) {
        let field = self.get("sort").filter(|field| !field.is_empty());
        let path: Option<Vec<&str>> = field.map(|field| field.split('.').collect());
        let reversed = path.is_some() && self.flag("sort_reverse");
        let mut first = First::new(count, reversed);
        for item in items {
            if is_wanted(&item) {
                first.add(path.as_ref().map_or(Value::Null, |path| item.field(path)), item);
            }
        }
        (first.seen, first.into_items())
    }
}

/// The first so many of an order, out of things that come in any.
struct First<T> {
    count: usize,
    reversed: bool,
    /// How many have come.
    seen: usize,
    /// Those that may be among the first.
    kept: Vec<Keyed<T>>,
    /// Those before this place of `kept` are the first of what has come until then, and the last one of
    /// them stands last.
    settled: usize,
}

/// A thing, what it is sorted by, and where it was in the list.
struct Keyed<T> {
    key: Value,
    at: usize,
    item: T,
}

impl<T: Item> First<T> {
    /// How many more than needed are kept at least before they are looked through.
    const SLACK: usize = 1024;

    fn new(count: usize, reversed: bool) -> Self {
        Self { count, reversed, seen: 0, kept: Vec::new(), settled: 0 }
    }

    fn add(&mut self, key: Value, item: T) {
        let keyed = Keyed { key, at: self.seen, item };
        self.seen += 1;
        let last = self.settled.checked_sub(1).and_then(|last| self.kept.get(last));
        if last.is_some_and(|last| keyed.order(last, self.reversed).is_gt()) {
            return;
        }
        self.kept.push(keyed);
        if self.kept.len() >= self.count.saturating_mul(2).saturating_add(Self::SLACK) {
            self.settle();
        }
    }

    /// Drops what is not among the first.
    fn settle(&mut self) {
        let reversed = self.reversed;
        if let Some(last) = self.count.checked_sub(1)
            && last < self.kept.len()
        {
            self.kept.select_nth_unstable_by(last, |a, b| a.order(b, reversed));
            self.settled = self.count;
        }
        self.kept.truncate(self.count);
    }

    fn into_items(mut self) -> Vec<T> {
        let reversed = self.reversed;
        self.settle();
        self.kept.sort_unstable_by(|a, b| a.order(b, reversed));
        self.kept.into_iter().map(|keyed| keyed.item).collect()
    }
}

impl<T: Item> Keyed<T> {
    fn order(&self, other: &Self, reversed: bool) -> Ordering {
        let order = order(&self.key, &other.key).then_with(|| self.item.order(&other.item));
        let order = order.then_with(|| self.at.cmp(&other.at));
        if reversed { order.reverse() } else { order }
    }
}

/// What is not there counts as 0; numbers come before truth values, and those before texts.
fn order(a: &Value, b: &Value) -> Ordering {
    let number = |value: &Value| if value.is_null() { Some(0.0) } else { value.as_f64() };
    let rank = |value: &Value| match value {
        Value::Null | Value::Number(_) => 0,
        Value::Bool(_) => 1,
        Value::Object(_) => 2,
        Value::Array(_) => 3,
        Value::String(_) => 4,
    };
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => rank(a).cmp(&rank(b)),
        },
    }
}

/// Leaves out what is reckoned from samples. Elsewhere than in these parts such names are somebody's own.
fn drop_rates(item: &mut Value) {
    const PARTS: [&str; 2] = ["queue_totals", "churn_rates"];
    let Value::Object(fields) = item else { return };
    let is_rate = |name: &str, value: &Value| {
        name == "message_stats" || name.ends_with("_details") && value.get("rate").is_some()
    };
    fields.retain(|name, value| !is_rate(name, value));
    PARTS.iter().for_each(|part| fields.get_mut(*part).into_iter().for_each(drop_rates));
}

/// The columns `a,b.c` of an object: `a`, and of `b` no more than `c`.
fn project(item: &Value, columns: &str) -> Value {
    let mut wanted = Map::new();
    for column in columns.split(',') {
        let path: Vec<&str> = column.split('.').collect();
        let found = path.iter().try_fold(item, |found, name| found.get(name));
        if let Some(found) = found {
            put(&mut wanted, &path, found);
        }
    }
    Value::Object(wanted)
}

fn put(into: &mut Map<String, Value>, path: &[&str], value: &Value) {
    match path {
        [] => {}
        [name] => drop(into.insert((*name).to_owned(), value.clone())),
        [name, rest @ ..] => {
            let inner = into.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Value> {
        let item =
            |name: &str, n: u64| json!({"name": name, "n": n, "at": {"rate": n * 2, "x": 1}});
        vec![item("Abc", 3), item("b.c", 1), item("q", 2), item("q2", 2), item("z", 0)]
    }

    fn list(query: &str) -> Result<Value, Fault> {
        View::parse(query)?.list(items())
    }

    fn names(query: &str) -> String {
        let listed = list(query).unwrap();
        let listed = listed.get("items").unwrap_or(&listed);
        let names = listed.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_a_page_all_comes() {
        assert_eq!(names("pagination=true&page_size=1&name=b"), "Abc b.c q q2 z");
        assert_eq!(names("sort="), "Abc b.c q q2 z");
    }

    #[test]
    fn the_order_is_stable_and_reversed_as_a_whole() {
        assert_eq!(names("sort=n"), "z b.c q q2 Abc");
        assert_eq!(names("sort=n&sort_reverse=true"), "Abc q2 q b.c z");
        assert_eq!(names("sort=at.rate"), "z b.c q q2 Abc");
        assert_eq!(names("sort=name&sort_reverse=true"), "z q2 q b.c Abc");
        assert_eq!(names("sort=nothing"), "Abc b.c q q2 z");
    }

    #[test]
    fn of_many_the_first_are_found_in_whatever_order_they_come() {
        let many = |n: u64| (0..n).map(|at| json!({"name": format!("{at}"), "n": at * 7919 % 101}));
        for query in ["sort=n", "sort=n&sort_reverse=true", "", "sort=none&sort_reverse=true"] {
            let all = View::parse(query).unwrap().pick(many(5000)).unwrap();
            for (number, size) in [(1, 1), (1, 100), (3, 500), (50, 100)] {
                let page = format!("{query}&page={number}&page_size={size}");
                let page = View::parse(&page).unwrap().pick(many(5000)).unwrap();
                let from = (number - 1) * size;
                assert_eq!(page["items"], json!(all.as_array().unwrap()[from..from + size]));
                assert_eq!(
                    (&page["total_count"], &page["item_count"]),
                    (&json!(5000), &json!(size))
                );
            }
        }
    }

    #[test]
    fn pages_cut_the_order_anywhere() {
        for sort in ["", "&sort=n", "&sort=n&sort_reverse=true", "&sort=nothing", "&sort=name"] {
            let page = |page: usize| names(&format!("page={page}&page_size=1{sort}"));
            let pages: Vec<String> = (1..=5).map(page).collect();
            assert_eq!(pages.join(" "), names(sort.trim_start_matches('&')), "{sort}");
        }
    }

    #[test]
    fn pages_tell_what_there_is() {
        let page = list("page=2&page_size=2").unwrap();
        let numbers = |key: &str| page[key].as_u64().unwrap();
        assert_eq!(names("page=2&page_size=2"), "q q2");
        assert_eq!((numbers("page"), numbers("page_count"), numbers("page_size")), (2, 3, 2));
        let counts = (numbers("item_count"), numbers("filtered_count"), numbers("total_count"));
        assert_eq!(counts, (2, 5, 5));
        assert_eq!(View::parse("page=1").unwrap().list::<Value>(vec![]).unwrap()["page_count"], 1);
    }

    #[test]
    fn names_are_filtered_in_pages() {
        assert_eq!(names("page=1&name=B"), "Abc b.c");
        assert_eq!(names("page=1&name=b.c"), "b.c");
        assert_eq!(names("page=1&name=^q&use_regex=true"), "q q2");
        assert_eq!(list("page=1&name=^q&use_regex=true").unwrap()["total_count"], 5);
    }

    #[test]
    fn bad_pages_are_refused_in_rabbitmqs_words() {
        let invalid = |page: &str, size: &str| {
            let text =
                format!("Invalid pagination parameters: page number {page}, page size {size}");
            Err(Fault::invalid("invalid_pagination_parameters", text))
        };
        assert_eq!(list("page=0"), invalid("0", "undefined"));
        assert_eq!(list("page=-1"), invalid("-1", "undefined"));
        assert_eq!(list("page=1&page_size=501"), invalid("1", "501"));
        assert_eq!(list("page=1&page_size=0"), invalid("1", "0"));
        let unreadable = || Err(Fault::bad_request("Pagination parameters are invalid"));
        assert_eq!(list("page=x"), unreadable());
        assert_eq!(list("page=1&name=[&use_regex=true"), unreadable());
        let text = "Page out of range, page: 1000 page size: 100, len: 5";
        assert_eq!(list("page=1000"), Err(Fault::invalid("page_out_of_range", text)));
    }

    #[test]
    fn rates_can_be_left_out() {
        let rate = json!({"rate": 1.0});
        let item = json!({
            "n": 1, "n_details": rate, "message_stats": {"publish": 1}, "arguments": {"a_details": rate},
            "consumer_details": [], "queue_totals": {"messages": 2, "messages_details": rate},
        });
        let left = json!({
            "n": 1, "arguments": {"a_details": rate}, "consumer_details": [],
            "queue_totals": {"messages": 2},
        });
        let view = View::parse("").unwrap().with_rates(false);
        assert_eq!(view.one(item.clone()), left);
        assert_eq!(view.with_rates(true).one(item.clone()), item);
    }

    #[test]
    fn columns_reach_into_objects() {
        let page = list("page=1&page_size=1&columns=name,at.rate,nothing,n.x").unwrap();
        assert_eq!(page["items"], json!([{"name": "Abc", "at": {"rate": 6}}]));
        let view = View::parse("columns=n").unwrap();
        assert_eq!(view.one(items().swap_remove(0)), json!({"n": 3}));
    }
}
