//! Which part of an answer is wanted: pages, order, columns.

use std::cmp::Ordering;
use std::collections::HashMap;

use regex::RegexBuilder;
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
    pub fn one(&self, item: Value) -> Value {
        match self.get("columns") {
            Some(columns) if !columns.is_empty() => project(&item, columns),
            _ => item,
        }
    }

    /// The wanted part of a list.
    pub fn list<T: Item>(&self, mut items: Vec<T>) -> Result<Value, Fault> {
        let Some(page) = &self.page else {
            return Ok(Value::Array(self.all(self.first(items, usize::MAX))));
        };
        let total = items.len();
        self.filter(&mut items)?;
        let filtered = items.len();
        let Page { number, size } = *page;
        let first = (number - 1).saturating_mul(size);
        if first >= filtered && number > 1 {
            return Err(Fault::invalid(
                "page_out_of_range",
                format!("Page out of range, page: {number} page size: {size}, len: {filtered}"),
            ));
        }
        let up_to_page = self.first(items, first.saturating_add(size));
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

    /// Keeps those whose name is asked for.
    fn filter<T: Item>(&self, items: &mut Vec<T>) -> Result<(), Fault> {
        let Some(wanted) = self.get("name").filter(|wanted| !wanted.is_empty()) else {
            return Ok(());
        };
        let pattern = match self.flag("use_regex") {
            true => wanted.to_owned(),
            false => regex::escape(wanted),
        };
        let pattern =
            RegexBuilder::new(&pattern).case_insensitive(true).size_limit(FILTER_MAX).build();
        let pattern =
            pattern.map_err(|_| Fault::bad_request("Pagination parameters are invalid"))?;
        items.retain(|item| pattern.is_match(item.name()));
        Ok(())
    }

    /// The first so many of the order that is asked for.
    fn first<T: Item>(&self, items: Vec<T>, count: usize) -> Vec<T> {
        let field = self.get("sort").filter(|field| !field.is_empty());
        let path: Option<Vec<&str>> = field.map(|field| field.split('.').collect());
        let reversed = path.is_some() && self.flag("sort_reverse");
        let key = |item: &T| path.as_ref().map_or(Value::Null, |path| item.field(path));
        let keyed = items.into_iter().enumerate();
        let keyed = keyed.map(|(at, item)| Keyed { key: key(&item), at, item });
        let mut keyed: Vec<Keyed<T>> = keyed.collect();
        let turned = |order: Ordering| if reversed { order.reverse() } else { order };
        let by_key = |a: &Keyed<T>, b: &Keyed<T>| turned(order(&a.key, &b.key));
        let wholly = |a: &Keyed<T>, b: &Keyed<T>| turned(a.order(b));
        if count < keyed.len() {
            let (before, next, _) = keyed.select_nth_unstable_by(count, by_key);
            // Most are not looked at any further, unless it matters in which order equal ones come.
            if before.iter().any(|one| by_key(one, next).is_eq()) {
                keyed.select_nth_unstable_by(count, wholly);
            }
            keyed.truncate(count);
        }
        keyed.sort_unstable_by(wholly);
        keyed.into_iter().map(|keyed| keyed.item).collect()
    }
}

/// An item, what it is sorted by, and where it was in the list.
struct Keyed<T> {
    key: Value,
    at: usize,
    item: T,
}

impl<T: Item> Keyed<T> {
    fn order(&self, other: &Self) -> Ordering {
        let by_key = order(&self.key, &other.key).then_with(|| self.item.order(&other.item));
        by_key.then_with(|| self.at.cmp(&other.at))
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
    fn columns_reach_into_objects() {
        let page = list("page=1&page_size=1&columns=name,at.rate,nothing,n.x").unwrap();
        assert_eq!(page["items"], json!([{"name": "Abc", "at": {"rate": 6}}]));
        let view = View::parse("columns=n").unwrap();
        assert_eq!(view.one(items().swap_remove(0)), json!({"n": 3}));
    }
}
