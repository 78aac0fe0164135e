//! Files that somebody has deleted while the store has them.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::engine::Engine;
use super::index::SegmentId;
use super::state::{Inner, Segment, Stage};

/// How many segments are looked for at once.
const AT_ONCE: usize = 100;

impl Engine {
    /// The file of a segment that is not where it should be, if it is that of the one that is written, or of the
    /// next few others.
    pub(super) fn missing(&self) -> Option<PathBuf> {
        let from = SegmentId(self.looked_for.load(Ordering::Relaxed));
        let inner = self.inner.lock();
        let next = inner.segments.range(from..).take(AT_ONCE).map(|(id, _)| *id);
        let mut some: Vec<SegmentId> = next.collect();
        let on = some.get(AT_ONCE - 1).map_or(0, |last| last.0 + 1);
        self.looked_for.store(on, Ordering::Relaxed);
        some.extend(inner.groups.cursor.as_ref().map(|cursor| cursor.segment));
        drop(inner);
        some.into_iter().find_map(|id| self.missing_segment(id))
    }

    fn missing_segment(&self, id: SegmentId) -> Option<PathBuf> {
        let kind = should_be_there(&self.inner.lock(), id)?.header.kind;
        let path = self.files.segment(id, kind);
        let gone = self.files.disk.exists(&path).is_ok_and(|is_there| !is_there);
        // It is forgotten before it is removed.
        (gone && should_be_there(&self.inner.lock(), id).is_some()).then_some(path)
    }
}

fn should_be_there(inner: &Inner, id: SegmentId) -> Option<&Segment> {
    let is_needed = |of: &&Segment| of.made && !matches!(of.stage, Stage::Retired(_));
    inner.segments.get(&id).filter(is_needed)
}
