//! The lines of a file in RabbitMQ's format: `key.sub = value`, as its reader cuttlefish takes them.

use std::fmt;

/// One thing that a file says, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `key = value`.
    Setting {
        /// Its number, from 1.
        line: usize,
        /// The words of the key.
        key: Vec<String>,
        /// The value, without quotes.
        value: String,
    },
    /// `include FILE`.
    Include {
        /// Its number, from 1.
        line: usize,
        /// A name or a pattern.
        file: String,
    },
}

/// What no reader could take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.why)
    }
}

/// Reads a file. A line that cannot be read does not hide those after it.
pub fn parse(text: &str) -> (Vec<Line>, Vec<Wrong>) {
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    while !reader.rest.is_empty() {
        let line = reader.line;
        match reader.line(line) {
            Ok(Some(found)) => lines.push(found),
            Ok(None) => {}
            Err(why) => wrong.push(Wrong { line, why }),
        }
        reader.next_line();
    }
    (lines, wrong)
}

/// A key as it is written: dots inside of a word are escaped.
pub fn written(key: &[String]) -> String {
    key.iter().map(|word| word.replace('.', "\\.")).collect::<Vec<_>>().join(".")
}

/// The words of a key. `None` if it cannot be one.
pub fn words(key: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut characters = key.chars();
    while let Some(character) = characters.next() {
        let word = words.last_mut()?;
        match character {
            '.' => words.push(String::new()),
            '\\' if characters.next() == Some('.') => word.push('.'),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '*' => word.push(character),
            _ => return None,
        }
    }
    words.iter().all(|word| !word.is_empty()).then_some(words)
}

const NOT_A_LINE: &str = "a line must be `key = value`";
const NOT_A_KEY: &str = "a key is words of letters, digits, `-`, `_` and `*` with dots between them (`\\.` inside of a word)";
const NO_VALUE: &str = "a line must be `key = value`: there is no value";
const AFTER_QUOTE: &str = "nothing but a comment may follow a quoted value";
const NO_FILE: &str = "`include` names a file by letters, digits and `- _ . * /`";

/// What is left of a file.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn line(&mut self, number: usize) -> Result<Option<Line>, &'static str> {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let line = self.rest.get(..end).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let content = line.trim_start_matches(BLANK);
        if content.is_empty() || content.starts_with('#') {
            return Ok(None);
        }
        if let Some(file) = content.strip_prefix("include").filter(|rest| rest.starts_with(BLANK)) {
            if let Some(file) = included(file) {
                return Ok(Some(Line::Include { line: number, file: file.to_owned() }));
            }
            if !file.contains('=') {
                return Err(NO_FILE);
            }
        }
        let (key, value) = content.split_once('=').ok_or(NOT_A_LINE)?;
        if key.contains('#') {
            return Err(NOT_A_LINE);
        }
        let key = words(key.trim_end_matches(BLANK)).ok_or(NOT_A_KEY)?;
        let value = value.trim_start_matches(BLANK);
        let before = line.len() - value.len();
        let value = match value.starts_with('\'').then(|| self.quoted(before)).flatten() {
            Some(quoted) => quoted?,
            None => plain(value).ok_or(NO_VALUE)?,
        };
        Ok(Some(Line::Setting { line: number, key, value: value.to_owned() }))
    }

    /// A value between quotes, or between lines of three of them; it may go over several lines. `None`
    /// if no quote ends it: then it is a value like others.
    fn quoted(&mut self, before: usize) -> Option<Result<&'a str, &'static str>> {
        let from = self.rest.get(before..)?;
        let quote = if from.starts_with("'''") { "'''" } else { "'" };
        let (value, after) = match from.strip_prefix(quote)?.split_once(quote) {
            Some(parts) => parts,
            // Two quotes with nothing between them, and no third one that would end the value.
            None => from.strip_prefix("''").filter(|_| quote != "'").map(|rest| ("", rest))?,
        };
        let long = quote.len() > 1;
        let value = if long { value.trim_matches(['\r', '\n']) } else { value };
        let taken = self.rest.len() - after.len();
        self.line += self.rest.get(..taken)?.matches('\n').count();
        self.rest = after;
        let end = after.find('\n').unwrap_or(after.len());
        let tail = after.get(..end)?.trim_matches([' ', '\t', '\r']);
        let alone = tail.is_empty() || tail.starts_with('#');
        Some(if alone { Ok(value) } else { Err(AFTER_QUOTE) })
    }

    fn next_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        self.line += 1;
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// A value without quotes ends before its comment.
fn plain(value: &str) -> Option<&str> {
    let value = value.split('#').next().unwrap_or_default().trim_end_matches(BLANK);
    Some(value).filter(|value| !value.is_empty())
}

fn included(rest: &str) -> Option<&str> {
    let file = plain(rest)?.trim_start_matches(BLANK);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.*/".contains(c);
    Some(file).filter(|file| !file.is_empty() && file.chars().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Vec<(usize, String, String)> {
        let (lines, wrong) = parse(text);
        assert_eq!(wrong, []);
        let setting = |line| match line {
            Line::Setting { line, key, value } => (line, written(&key), value),
            Line::Include { line, file } => (line, "include".to_owned(), file),
        };
        lines.into_iter().map(setting).collect()
    }

    fn values(text: &str) -> Vec<String> {
        settings(text).into_iter().map(|(_, _, value)| value).collect()
    }

    #[test]
    fn comments_and_blanks_are_nothing() {
        let text = "# comment\n\t \n\r\n  a.b  =  c d \t# comment\r\ne=f#g\ninclude conf.d/*.conf";
        let wanted = [(4, "a.b", "c d"), (5, "e", "f"), (6, "include", "conf.d/*.conf")];
        let wanted = wanted.map(|(line, key, value)| (line, key.to_owned(), value.to_owned()));
        assert_eq!(settings(text), wanted);
    }

    #[test]
    fn quotes_keep_what_would_end_a_value() {
        assert_eq!(values("a = 'b # c' # d"), ["b # c"]);
        assert_eq!(values("a = 'b\nc'\nd = e"), ["b\nc", "e"]);
        assert_eq!(values("a = '''\n  b\n'c'\n'''\nd = e"), ["  b\n'c'", "e"]);
        assert_eq!(values("a = ''\nb = c"), ["", "c"]);
        assert_eq!(values("a = it's\nb = 'c"), ["it's", "'c"]);
        assert_eq!(settings("a = 'b\nc'\n\nd = e")[1].0, 4);
    }

    #[test]
    fn a_dot_in_a_word_is_escaped() {
        let (lines, _) = parse("loopback_users.first\\.last = true");
        let Some(Line::Setting { key, .. }) = lines.first() else { panic!("{lines:?}") };
        assert_eq!(key, &["loopback_users", "first.last"]);
        assert_eq!(written(key), "loopback_users.first\\.last");
    }

    #[test]
    fn each_line_that_cannot_be_read_is_named() {
        let (lines, wrong) = parse("a\nb = \nc d = e\n.f = g\nh = 'i' j\ninclude a b\nk = l\n= m");
        assert_eq!(lines.len(), 1);
        let places: Vec<_> = wrong.iter().map(|wrong| (wrong.line, wrong.why)).collect();
        let wanted = [NOT_A_LINE, NO_VALUE, NOT_A_KEY, NOT_A_KEY, AFTER_QUOTE, NO_FILE];
        assert_eq!(places.iter().map(|place| place.1).collect::<Vec<_>>()[..6], wanted);
        assert_eq!(places.iter().map(|place| place.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 8]);
    }
}
