//! Answers that are remembered for a while, by what was asked. What was asked may hold passwords and is not
//! kept: only its digest is, under a key that only this process has.

use std::collections::HashMap;

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

/// Answers that are remembered at most, twice.
const REMEMBERED_MAX: usize = 10_000;

/// What was asked.
type Digest = [u8; 32];

/// Answers by questions.
pub struct Remembered<V> {
    key: [u8; 32],
    answers: Mutex<Answers<V>>,
}

/// The latest ones, and those before.
struct Answers<V> {
    current: HashMap<Digest, (u64, V)>,
    former: HashMap<Digest, (u64, V)>,
}

impl<V: Clone> Remembered<V> {
    /// None yet.
    pub fn new() -> Self {
        let answers = Answers { current: HashMap::new(), former: HashMap::new() };
        Self { key: rand::random(), answers: Mutex::new(answers) }
    }

    /// The answer to a question, if it is known at a time in ms since 1970.
    pub fn get(&self, question: &[&[u8]], now: u64) -> Option<V> {
        let digest = self.digest(question);
        let answers = self.answers.lock();
        let known = answers.current.get(&digest).or_else(|| answers.former.get(&digest));
        known.filter(|(until, _)| now < *until).map(|(_, answer)| answer.clone())
    }

    /// Remembers an answer until a time.
    pub fn put(&self, question: &[&[u8]], answer: V, until: u64) {
        let digest = self.digest(question);
        let mut answers = self.answers.lock();
        if answers.current.len() >= REMEMBERED_MAX {
            answers.former = std::mem::take(&mut answers.current);
        }
        answers.current.insert(digest, (until, answer));
    }

    /// Each part goes with its length, so that no two questions are the same by chance.
    fn digest(&self, question: &[&[u8]]) -> Digest {
        // Any key will do for this function.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return self.key };
        for part in question {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_known_until_their_time() {
        let remembered = Remembered::new();
        remembered.put(&[b"ab", b"c"], 1, 100);
        assert_eq!(remembered.get(&[b"ab", b"c"], 99), Some(1));
        assert_eq!(remembered.get(&[b"ab", b"c"], 100), None);
        assert_eq!(remembered.get(&[b"a", b"bc"], 0), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let remembered = Remembered::new();
        for number in 0..3 * REMEMBERED_MAX {
            remembered.put(&[&number.to_be_bytes()], number, 1);
        }
        let answers = remembered.answers.lock();
        assert!(answers.current.len() + answers.former.len() <= 2 * REMEMBERED_MAX);
    }
}
