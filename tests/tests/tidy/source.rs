//! A source file as the rules see it: its tokens, without comments, documentation and test code.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// One token of production code.
#[derive(Debug)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path as it is written, or as a `use` spells it out.
#[derive(Debug)]
pub struct WrittenPath {
    pub text: String,
    pub line: usize,
}

/// A function's name and the lines of code between its braces.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub code_lines: usize,
}

/// A parsed file; everything but `text` leaves test code out.
#[derive(Debug)]
pub struct Source {
    /// Relative to the workspace, with `/`.
    pub path: String,
    pub text: String,
    pub tokens: Vec<Token>,
    pub paths: Vec<WrittenPath>,
    pub functions: Vec<Function>,
    /// The numbers of the lines that hold a token.
    pub code: BTreeSet<usize>,
    statements: Vec<RangeInclusive<usize>>,
    test_modules: Vec<String>,
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

/// A file of the workspace; a missing one is a failure with its name.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every production source under these folders: files that only tests include are left out.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        for entry in walkdir::WalkDir::new(root().join(folder)).sort_by_file_name() {
            let entry = entry.expect("a readable folder");
            let path = relative(entry.path());
            if entry.file_type().is_file() && path.ends_with(".rs") {
                found.push(Source::parse(&path, &read(&path)));
            }
        }
    }
    let tests: Vec<String> = found.iter().flat_map(|source| source.test_modules.clone()).collect();
    let is_test = |path: &str| {
        tests.iter().any(|module| {
            let rest = path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    };
    found.retain(|source| !is_test(&source.path));
    found
}

/// A path relative to the workspace.
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

impl Source {
    /// Parse one file.
    pub fn parse(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut outline = Outline { folder: children(path), ..Outline::default() };
        outline.visit_file(&file);
        let mut tokens =
            Tokens { tests: &outline.tests, tokens: Vec::new(), code: BTreeSet::new() };
        tokens.stream(stream);
        let Tokens { tokens, code, .. } = tokens;
        let mut paths = outline.uses;
        paths.extend(written_paths(&tokens));
        let functions = outline.functions.into_iter().map(|(name, span)| Function {
            name,
            line: *span.start(),
            code_lines: code
                .range(span.start() + 1..)
                .take_while(|line| **line < *span.end())
                .count(),
        });
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            paths,
            functions: functions.collect(),
            statements: outline.statements,
            test_modules: outline.test_modules,
            tokens,
            code,
        }
    }

    /// `path:line`, as editors open it.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }

    /// Whether the comment just above this line, or above the statement it belongs to, has `word` in it.
    pub fn explained(&self, line: usize, word: &str) -> bool {
        let innermost = self.statements.iter().filter(|lines| lines.contains(&line));
        let start = innermost.map(|lines| *lines.start()).max().unwrap_or(line);
        self.comment_above(line).contains(word) || self.comment_above(start).contains(word)
    }

    fn comment_above(&self, line: usize) -> String {
        let lines: Vec<&str> = self.text.lines().take(line.saturating_sub(1)).collect();
        let mut comment = String::new();
        for line in lines.iter().rev().map(|line| line.trim()) {
            if line.starts_with("#[") {
                continue;
            }
            if !line.starts_with("//") {
                break;
            }
            let _ = writeln!(comment, "{line}");
        }
        comment
    }
}

/// Where the modules that a file declares have their files.
fn children(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    }
}

/// What the syntax tree knows and tokens do not.
#[derive(Default)]
struct Outline {
    folder: String,
    tests: Vec<RangeInclusive<usize>>,
    test_modules: Vec<String>,
    uses: Vec<WrittenPath>,
    functions: Vec<(String, RangeInclusive<usize>)>,
    statements: Vec<RangeInclusive<usize>>,
}

fn lines(spanned: &impl Spanned) -> RangeInclusive<usize> {
    let span = spanned.span();
    span.start().line..=span.end().line
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let words: Vec<String> = match &attribute.meta {
            syn::Meta::List(list) if list.path.is_ident("cfg") => idents(list.tokens.clone()),
            meta => return meta.path().segments.last().is_some_and(|last| last.ident == "test"),
        };
        words.iter().any(|word| word == "test") && !words.iter().any(|word| word == "not")
    })
}

fn idents(stream: TokenStream) -> Vec<String> {
    stream
        .into_iter()
        .flat_map(|tree| match tree {
            TokenTree::Ident(ident) => vec![ident.to_string()],
            TokenTree::Group(group) => idents(group.stream()),
            _ => Vec::new(),
        })
        .collect()
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Outline {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            return visit::visit_item(self, item);
        }
        self.tests.push(lines(item));
        if let syn::Item::Mod(module) = item
            && module.content.is_none()
        {
            self.test_modules.push(format!("{}/{}", self.folder, module.ident));
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if is_test(&function.attrs) {
            return self.tests.push(lines(function));
        }
        self.functions.push((function.sig.ident.to_string(), lines(&function.block)));
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.functions.push((function.sig.ident.to_string(), lines(&function.block)));
        visit::visit_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.functions.push((function.sig.ident.to_string(), lines(block)));
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        flatten(&item.tree, "", &mut self.uses);
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        self.statements.push(lines(statement));
        visit::visit_stmt(self, statement);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.statements.push(lines(arm));
        visit::visit_arm(self, arm);
    }
}

/// `a::{b, c::*}` as `a::b` and `a::c::*`.
fn flatten(tree: &syn::UseTree, prefix: &str, found: &mut Vec<WrittenPath>) {
    let mut leaf = |name: String, line| {
        found.push(WrittenPath { text: format!("{prefix}{name}"), line });
    };
    match tree {
        syn::UseTree::Path(path) => {
            flatten(&path.tree, &format!("{prefix}{}::", path.ident), found)
        }
        syn::UseTree::Group(group) => {
            group.items.iter().for_each(|tree| flatten(tree, prefix, found));
        }
        syn::UseTree::Name(name) => leaf(name.ident.to_string(), *lines(&name.ident).start()),
        syn::UseTree::Rename(name) => leaf(name.ident.to_string(), *lines(&name.ident).start()),
        syn::UseTree::Glob(glob) => leaf("*".to_owned(), *lines(glob).start()),
    }
}

/// Flattens a token stream: groups become their delimiters and what is between them.
struct Tokens<'a> {
    tests: &'a [RangeInclusive<usize>],
    tokens: Vec<Token>,
    code: BTreeSet<usize>,
}

impl Tokens<'_> {
    fn stream(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut rest = trees.as_slice();
        while let Some((first, after)) = rest.split_first() {
            if let Some(after) = without_documentation(rest) {
                rest = after;
                continue;
            }
            match first {
                TokenTree::Group(group) => self.group(group),
                tree => self.push(tree.to_string(), lines(tree)),
            }
            rest = after;
        }
    }

    fn group(&mut self, group: &Group) {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        self.push(open.to_owned(), lines(&group.span_open()));
        self.stream(group.stream());
        self.push(close.to_owned(), lines(&group.span_close()));
    }

    fn push(&mut self, text: String, lines: RangeInclusive<usize>) {
        if self.tests.iter().any(|test| test.contains(lines.start())) {
            return;
        }
        self.tokens.push(Token { text, line: *lines.start() });
        self.code.extend(lines);
    }
}

/// What follows `#[doc …]` or `#![doc …]`, when that comes first: documentation comments read like this.
fn without_documentation(trees: &[TokenTree]) -> Option<&[TokenTree]> {
    let (first, mut rest) = trees.split_first()?;
    if !matches!(first, TokenTree::Punct(punct) if punct.as_char() == '#') {
        return None;
    }
    if let [TokenTree::Punct(punct), after @ ..] = rest
        && punct.as_char() == '!'
    {
        rest = after;
    }
    let [TokenTree::Group(group), after @ ..] = rest else { return None };
    let first = group.stream().into_iter().next();
    matches!(first, Some(TokenTree::Ident(ident)) if ident == "doc").then_some(after)
}

/// `a::b::c` wherever it stands, inside macros too. A `use` with a group gives its prefix.
fn written_paths(tokens: &[Token]) -> Vec<WrittenPath> {
    let is_name = |text: &str| {
        text.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && !text.ends_with(['"', '\''])
    };
    let mut paths: Vec<WrittenPath> = Vec::new();
    let mut joined = false;
    for (index, token) in tokens.iter().enumerate() {
        if is_name(&token.text) {
            match paths.last_mut() {
                Some(path) if joined => path.text = format!("{}::{}", path.text, token.text),
                _ => paths.push(WrittenPath { text: token.text.clone(), line: token.line }),
            }
            joined = false;
        } else if token.text == ":" {
            let second = index > 0 && tokens[index - 1].text == ":";
            let after_name = index > 1 && is_name(&tokens[index - 2].text);
            joined = second && after_name;
        } else {
            joined = false;
        }
    }
    paths
}
