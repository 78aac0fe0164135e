//! The words of topic patterns, each under a small number: a routing key's words are hashed once,
//! however many branches of the trie are followed.

use std::collections::HashMap;
use std::sync::Arc;

/// A word that some pattern contains.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct WordId(u32);

/// Words in use, counted; a word goes with its last use and its number is given again.
#[derive(Debug, Default)]
pub(super) struct Words {
    ids: HashMap<Arc<[u8]>, WordId>,
    slots: Vec<Slot>,
    free: Vec<WordId>,
}

#[derive(Debug)]
struct Slot {
    text: Arc<[u8]>,
    uses: usize,
}

impl Words {
    /// The number of a word, if any pattern contains it.
    pub(super) fn get(&self, word: &[u8]) -> Option<WordId> {
        self.ids.get(word).copied()
    }

    /// Counts one more use of a word.
    pub(super) fn acquire(&mut self, word: &[u8]) -> WordId {
        if let Some(id) = self.get(word) {
            self.slots[id.0 as usize].uses += 1;
            return id;
        }
        let text: Arc<[u8]> = word.into();
        let slot = Slot { text: Arc::clone(&text), uses: 1 };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id.0 as usize] = slot;
                id
            }
            None => {
                // Memory ends long before the numbers do.
                let id = WordId(self.slots.len() as u32);
                self.slots.push(slot);
                id
            }
        };
        self.ids.insert(text, id);
        id
    }

    /// Counts one use less.
    pub(super) fn release(&mut self, id: WordId) {
        let slot = &mut self.slots[id.0 as usize];
        slot.uses -= 1;
        if slot.uses == 0 {
            let text = std::mem::take(&mut slot.text);
            self.ids.remove(&text);
            self.free.push(id);
        }
    }
}

/// Splits a routing key or a binding key into words. The empty key has no word at all, as in
/// RabbitMQ; any other key has one word more than dots, empty words included.
pub(super) fn split(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.split(|&byte| byte == b'.').take(if key.is_empty() { 0 } else { usize::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_words_count_but_the_empty_key_has_none() {
        let words = |key: &'static [u8]| split(key).collect::<Vec<_>>();
        assert!(words(b"").is_empty());
        assert_eq!(words(b"a"), [b"a"]);
        assert_eq!(words(b"."), [b"", b""]);
        assert_eq!(words(b"a..b."), [&b"a"[..], b"", b"b", b""]);
    }

    #[test]
    fn a_word_lives_as_long_as_its_uses() {
        let mut words = Words::default();
        let a = words.acquire(b"a");
        assert_eq!(words.acquire(b"a"), a);
        words.release(a);
        assert_eq!(words.get(b"a"), Some(a));
        words.release(a);
        assert_eq!(words.get(b"a"), None);
        assert_eq!(words.acquire(b"b"), a);
        assert_eq!(words.slots.len(), 1);
    }
}
