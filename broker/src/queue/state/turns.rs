//! Which priority's turn it is.

/// What a queue is declared to do with priorities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priorities {
    /// The highest one (`x-max-priority`).
    pub max: u8,
    /// How they share their consumers (`x-priority-mode`).
    pub mode: PriorityMode,
}

/// How messages of several priorities share their consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriorityMode {
    /// The highest priority first, whatever becomes of the others.
    #[default]
    Strict,
    /// In each round, a priority has one turn more than its number; the highest ones have theirs first.
    Weighted,
    /// A message counts as if it had arrived so many ms earlier for each step of its priority.
    Aging(u64),
}

/// Levels that have messages, and who has had its turn.
#[derive(Debug)]
pub(super) struct Turns {
    highest: u8,
    occupied: LevelSet,
    order: Order,
}

#[derive(Debug)]
enum Order {
    Strict,
    Weighted(Round),
    Aging(u64),
}

impl Turns {
    /// Nobody has had a turn; only the lowest level counts as occupied.
    pub fn new(mode: PriorityMode, highest: u8) -> Self {
        let order = Order::new(mode, highest);
        let mut occupied = LevelSet::default();
        occupied.set(0, true);
        Self { highest, occupied, order }
    }

    /// Another order from now on, in which nobody has had a turn.
    pub fn set_mode(&mut self, mode: PriorityMode) {
        self.order = Order::new(mode, self.highest);
    }

    /// The highest level that there is.
    pub fn highest(&self) -> u8 {
        self.highest
    }

    /// Levels that have messages.
    pub fn occupied(&self) -> LevelSet {
        self.occupied
    }

    /// Notes whether a level has messages.
    pub fn set_occupied(&mut self, level: u8, occupied: bool) {
        self.occupied.set(level, occupied);
    }

    /// Whether a level may have its turn while a higher one has messages.
    pub fn are_mixed(&self) -> bool {
        !matches!(self.order, Order::Strict)
    }

    /// Whose turn it is. `arrived` tells when the first message of a level came, if it is at hand; one
    /// that is not has to be read before anybody has a turn that depends on it.
    pub fn next(&self, arrived: impl Fn(u8) -> Option<u64>) -> Option<u8> {
        match &self.order {
            Order::Strict => self.occupied.highest(),
            Order::Weighted(round) => {
                let in_round = self.occupied.and(round.open).highest();
                in_round.or_else(|| self.occupied.highest())
            }
            Order::Aging(ms) => {
                let mut first: Option<(i128, u8)> = None;
                for level in self.occupied {
                    let lead = i128::from(*ms) * i128::from(level);
                    let since = i128::from(arrived(level)?) - lead;
                    if first.is_none_or(|(other, _)| since < other) {
                        first = Some((since, level));
                    }
                }
                first.map(|(_, level)| level)
            }
        }
    }

    /// A level has had a turn.
    pub fn took(&mut self, level: u8) {
        if let Order::Weighted(round) = &mut self.order {
            round.took(level);
        }
    }
}

impl Order {
    fn new(mode: PriorityMode, highest: u8) -> Self {
        match mode {
            PriorityMode::Strict => Self::Strict,
            PriorityMode::Weighted => Self::Weighted(Round::new(highest)),
            PriorityMode::Aging(ms) => Self::Aging(ms),
        }
    }
}

/// Turns that are left in a round.
#[derive(Debug)]
struct Round {
    left: Vec<u16>,
    /// Levels that have some.
    open: LevelSet,
}

impl Round {
    fn new(highest: u8) -> Self {
        let mut open = LevelSet::default();
        (0..=highest).for_each(|level| open.set(level, true));
        Self { left: (1..=u16::from(highest) + 1).collect(), open }
    }

    fn took(&mut self, level: u8) {
        if !self.open.has(level) {
            // Nobody else wanted what was left of the last one.
            *self = Self::new(u8::try_from(self.left.len() - 1).unwrap_or(u8::MAX));
        }
        if let Some(left) = self.left.get_mut(usize::from(level)) {
            *left = left.saturating_sub(1);
            self.open.set(level, *left > 0);
        }
    }
}

/// A set of levels; as an iterator, the highest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelSet([u64; 4]);

impl LevelSet {
    fn set(&mut self, level: u8, is_in: bool) {
        if let Some(word) = self.0.get_mut(usize::from(level / 64)) {
            let bit = 1 << (level % 64);
            *word = if is_in { *word | bit } else { *word & !bit };
        }
    }

    fn has(self, level: u8) -> bool {
        self.0.get(usize::from(level / 64)).is_some_and(|word| word & 1 << (level % 64) != 0)
    }

    fn and(self, other: Self) -> Self {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other.0;
        Self([a & e, b & f, c & g, d & h])
    }

    fn highest(self) -> Option<u8> {
        let words = [0, 64, 128, 192].into_iter().zip(self.0).rev();
        words.filter(|(_, word)| *word != 0).map(|(base, word)| base + word.ilog2() as u8).next()
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }
}

impl Iterator for LevelSet {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let level = self.highest()?;
        self.set(level, false);
        Some(level)
    }
}
