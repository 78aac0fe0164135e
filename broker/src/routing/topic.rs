//! The topic exchange: patterns of words, where `*` stands for exactly one word and `#` for any
//! number of them, none included.
//!
//! The patterns form a trie that a routing key walks as a set of nodes, one word at a time: each
//! node is in the set once, so that the cost is bounded by words × nodes reached, whatever the
//! patterns, and bindings that share no prefix with the key are never touched.

use std::collections::{HashMap, HashSet};

use super::Destination;
use super::words::{WordId, Words, split};

/// All patterns of one exchange.
#[derive(Debug)]
pub(super) struct TopicIndex {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// The children by word. Those by `*` and `#` are in the nodes.
    edges: HashMap<(NodeId, WordId), NodeId>,
    words: Words,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct NodeId(u32);

/// Where every pattern starts.
const ROOT: NodeId = NodeId(0);

#[derive(Debug)]
struct Node {
    parent: NodeId,
    edge: Edge,
    /// How many children by word.
    by_word: usize,
    star: Option<NodeId>,
    hash: Option<NodeId>,
    /// The destinations of the patterns that end here, sorted. One is here twice if two spellings
    /// of one pattern (`#` and `#.#`) lead to it.
    bound: Vec<Destination>,
}

/// How a node hangs on its parent.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Word(WordId),
    Star,
    Hash,
}

/// One element of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'a> {
    Word(&'a [u8]),
    Star,
    Hash,
}

impl Default for TopicIndex {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new(ROOT, Edge::Hash)],
            free: Vec::new(),
            edges: HashMap::new(),
            words: Words::default(),
        }
    }
}

impl TopicIndex {
    pub(super) fn add(&mut self, dest: Destination, pattern: &[u8]) {
        let mut at = ROOT;
        for token in tokens(pattern) {
            at = match self.child(at, token) {
                Some(child) => child,
                None => self.grow(at, token),
            };
        }
        let bound = &mut self.node_mut(at).bound;
        let place = bound.partition_point(|other| *other < dest);
        bound.insert(place, dest);
    }

    pub(super) fn remove(&mut self, dest: Destination, pattern: &[u8]) {
        let mut at = ROOT;
        for token in tokens(pattern) {
            match self.child(at, token) {
                Some(child) => at = child,
                None => return,
            }
        }
        let bound = &mut self.node_mut(at).bound;
        if let Ok(place) = bound.binary_search(&dest) {
            bound.remove(place);
        }
        self.prune(at);
    }

    /// Returns how many nodes were looked at.
    pub(super) fn route(&self, key: &[u8], out: &mut Vec<Destination>) -> usize {
        self.walk(key, |id| out.extend_from_slice(&self.node(id).bound))
    }

    /// The same for several keys. What is bound with a pattern that matches many of them goes out once.
    pub(super) fn route_all(&self, keys: &[&[u8]], out: &mut Vec<Destination>) -> usize {
        if let [key] = keys {
            return self.route(key, out);
        }
        let (mut found, mut looked_at) = (HashSet::new(), 0);
        for key in keys {
            looked_at += self.walk(key, |id| {
                found.insert(id);
            });
        }
        found.into_iter().for_each(|id| out.extend_from_slice(&self.node(id).bound));
        looked_at
    }

    /// Finds the ends of all patterns that match, and says how many nodes were looked at.
    fn walk(&self, key: &[u8], mut found: impl FnMut(NodeId)) -> usize {
        let mut looked_at = 0;
        let mut here = vec![ROOT];
        let mut next = Vec::new();
        // Nodes reached by `#`, sorted. They take any further word and so remain to the end.
        let mut open = Vec::new();
        self.open_hashes(&here, &mut open, &mut found);
        for word in split(key) {
            let word = self.words.get(word);
            looked_at += here.len() + open.len();
            for &id in here.iter().chain(&open) {
                self.step(id, word, &mut next);
            }
            std::mem::swap(&mut here, &mut next);
            next.clear();
            self.open_hashes(&here, &mut open, &mut found);
            if here.is_empty() && open.is_empty() {
                return looked_at;
            }
        }
        here.into_iter().for_each(found);
        looked_at
    }

    /// The nodes one word further. A node has one parent and one edge from it, and `open` and
    /// `here` never share a node, so none is pushed twice.
    fn step(&self, id: NodeId, word: Option<WordId>, next: &mut Vec<NodeId>) {
        let node = self.node(id);
        if node.by_word > 0
            && let Some(word) = word
            && let Some(&child) = self.edges.get(&(id, word))
        {
            next.push(child);
        }
        next.extend(node.star);
    }

    /// `#` stands for no word as well: its node is reached together with its parent. From then on
    /// it matches whatever follows, so it is found at once, and once.
    fn open_hashes(&self, here: &[NodeId], open: &mut Vec<NodeId>, found: &mut impl FnMut(NodeId)) {
        for &id in here {
            if let Some(hash) = self.node(id).hash
                && let Err(place) = open.binary_search(&hash)
            {
                open.insert(place, hash);
                found(hash);
            }
        }
    }

    fn child(&self, id: NodeId, token: Token<'_>) -> Option<NodeId> {
        match token {
            Token::Word(word) => self.edges.get(&(id, self.words.get(word)?)).copied(),
            Token::Star => self.node(id).star,
            Token::Hash => self.node(id).hash,
        }
    }

    fn grow(&mut self, parent: NodeId, token: Token<'_>) -> NodeId {
        let edge = match token {
            Token::Word(word) => Edge::Word(self.words.acquire(word)),
            Token::Star => Edge::Star,
            Token::Hash => Edge::Hash,
        };
        let id = self.place(Node::new(parent, edge));
        match edge {
            Edge::Word(word) => {
                self.edges.insert((parent, word), id);
                self.node_mut(parent).by_word += 1;
            }
            Edge::Star => self.node_mut(parent).star = Some(id),
            Edge::Hash => self.node_mut(parent).hash = Some(id),
        }
        id
    }

    fn place(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.free.pop() {
            *self.node_mut(id) = node;
            return id;
        }
        // Memory ends long before the numbers do.
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        id
    }

    /// Takes away a node that leads nowhere any more, and those above it that led only there.
    fn prune(&mut self, mut id: NodeId) {
        while id != ROOT && self.node(id).leads_nowhere() {
            let Node { parent, edge, .. } = *self.node(id);
            match edge {
                Edge::Word(word) => {
                    self.edges.remove(&(parent, word));
                    self.words.release(word);
                    self.node_mut(parent).by_word -= 1;
                }
                Edge::Star => self.node_mut(parent).star = None,
                Edge::Hash => self.node_mut(parent).hash = None,
            }
            self.node_mut(id).bound = Vec::new();
            self.free.push(id);
            id = parent;
        }
        if self.node(ROOT).leads_nowhere() {
            // Gives the memory back.
            *self = Self::default();
        }
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }
}

impl Node {
    fn new(parent: NodeId, edge: Edge) -> Self {
        Self { parent, edge, by_word: 0, star: None, hash: None, bound: Vec::new() }
    }

    fn leads_nowhere(&self) -> bool {
        self.bound.is_empty() && self.by_word == 0 && self.star.is_none() && self.hash.is_none()
    }
}

/// A pattern in the one spelling that the trie uses: in each run of wildcards the stars come first
/// and then at most one `#`, which matches the same keys (`#.*.#` is `*.#`) with fewer nodes open.
fn tokens(pattern: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut hash = false;
    for word in split(pattern) {
        match word {
            b"#" => hash = true,
            b"*" => tokens.push(Token::Star),
            word => {
                if std::mem::take(&mut hash) {
                    tokens.push(Token::Hash);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    if hash {
        tokens.push(Token::Hash);
    }
    tokens
}

#[cfg(test)]
mod tests;
