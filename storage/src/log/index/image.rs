//! The index as plain data: what a checkpoint keeps.

use std::sync::Arc;

use super::SegmentId;
use super::big::BigId;
use super::bits::words;
use super::present::Present;
use super::queue::Queue;
use super::queues::Queues;
use super::run::{Places, Run};
use super::settled::Settled;
use crate::QueueId;

/// All queues at one moment. Bitmaps are shared with the index, not copied.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Image {
    /// By ascending id.
    pub queues: Vec<QueueImage>,
    /// Files of large payloads with their lengths, by ascending id.
    pub big: Vec<(BigId, u64)>,
}

/// One queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct QueueImage {
    /// Its id.
    pub id: QueueId,
    /// The lowest position that a message may take.
    pub next: u64,
    /// One above the highest position handed out.
    pub delivered: u64,
    /// The sum of the weights of its messages.
    pub weight: u64,
    /// Intervals of positions, as first, last, and how often the messages there have come back.
    pub returns: Vec<(u64, u64, u32)>,
    /// Positions of messages that are in files of their own.
    pub big: Vec<(u64, BigId)>,
    /// By ascending position; each has a message that is not settled.
    pub runs: Vec<RunImage>,
}

/// One run; positions are counted from `first`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RunImage {
    /// The segment that holds its messages.
    pub segment: SegmentId,
    /// Its lowest position.
    pub first: u64,
    /// One above its highest position.
    pub span: u32,
    /// The first position that holds a message that is not settled.
    pub low: u32,
    /// About how many bytes such messages take in the segment.
    pub live_bytes: u32,
    /// Where the messages are, settled ones included.
    pub places: PlacesImage,
    /// Which positions hold a message; without it, all.
    pub present: Option<Arc<Present>>,
    /// Which of those from `low` on are settled; without it, none. Below `low` it means nothing.
    pub settled: Option<Arc<Settled>>,
}

/// Where the messages of a run are in the segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PlacesImage {
    /// At these offsets: the segment is not sealed.
    Offsets(Vec<u32>),
    /// As the `.idx` file says, from this entry on.
    Entry(u32),
}

impl Queues {
    /// The index as it is now.
    pub(crate) fn image(&self) -> Image {
        let mut queues: Vec<_> = self.iter().map(|queue| self.queue_image(queue)).collect();
        queues.sort_unstable_by_key(|queue| queue.id);
        Image { queues, big: self.big.all().collect() }
    }

    fn queue_image(&self, queue: &Queue) -> QueueImage {
        let big = queue.big.iter();
        let runs = queue.runs.iter().filter(|run| run.live > 0);
        let runs = runs.filter_map(|run| {
            let segment = self.segments.get(run.slot)?.id;
            let places = match &run.places {
                Places::Memory(offsets) => PlacesImage::Offsets(offsets.clone()),
                Places::Table(entry) => PlacesImage::Entry(*entry),
            };
            let Run { first, span, low, live_bytes, .. } = *run;
            let (present, settled) = (run.present.clone(), run.settled.clone());
            Some(RunImage { segment, first, span, low, live_bytes, places, present, settled })
        });
        QueueImage {
            id: queue.id,
            next: queue.next,
            delivered: queue.delivered,
            weight: queue.weight,
            returns: queue.returns.intervals().collect(),
            big: big.map(|(&seq, &id)| (seq, id)).collect(),
            runs: runs.collect(),
        }
    }

    /// The index that an image is of, or what is wrong with it.
    pub(crate) fn from_image(image: Image) -> Result<Self, String> {
        let mut index = Self::new();
        for queue in image.queues {
            let id = queue.id.0;
            index.restore(queue, &image.big).map_err(|what| format!("queue {id}: {what}"))?;
        }
        if index.big_files().len() != image.big.len() {
            return Err("a payload file without a message".to_owned());
        }
        Ok(index)
    }

    fn restore(&mut self, image: QueueImage, big: &[(BigId, u64)]) -> Result<(), String> {
        if self.get(image.id).is_some() {
            return Err("is there twice".to_owned());
        }
        let mut queue = Queue::new(image.id);
        (queue.next, queue.delivered) = (image.next, image.delivered);
        if queue.delivered > queue.next {
            return Err("handed out beyond its end".to_owned());
        }
        let mut end = 0;
        for run in image.runs {
            let segment = run.segment;
            let slot = self.segments.slot(segment);
            let sealed = matches!(run.places, PlacesImage::Entry(_));
            let run = restore_run(run, slot)?;
            if run.first < end || run.end() > queue.next {
                return Err(format!("the run at {} does not fit", run.first));
            }
            end = run.end();
            if !self.segments.restore(slot, sealed, (run.live, run.live_bytes), image.id) {
                return Err(format!("segment {} is sealed only in part", segment.0));
            }
            queue.messages += u64::from(run.live);
            queue.runs.push_back(run);
        }
        queue.weight = if queue.messages == 0 { 0 } else { image.weight };
        let mut behind = 0;
        for (first, last, count) in image.returns {
            if first < behind || last < first || last >= queue.next || count == 0 {
                return Err(format!("returns at {first} do not fit"));
            }
            behind = last + 1;
            queue.returns.push(first, last, count);
        }
        let pointers: Vec<_> = image.big;
        for &(seq, _) in &pointers {
            if queue.next_live(seq) != Some(seq) {
                return Err(format!("no message at {seq} for its file"));
            }
        }
        self.insert(queue);
        for (seq, file) in pointers {
            let known = big.binary_search_by_key(&file, |&(id, _)| id);
            let Some(&(_, len)) = known.ok().and_then(|at| big.get(at)) else {
                return Err(format!("file {} is not known", file.0));
            };
            self.attach_big(image.id, crate::Seq(seq), file, len);
        }
        Ok(())
    }
}

fn restore_run(image: RunImage, slot: u32) -> Result<Run, String> {
    let RunImage { first, span, low, live_bytes, places, present, settled, .. } = image;
    let wrong = |what: &str| Err(format!("the run at {first} {what}"));
    if first.checked_add(u64::from(span)).is_none() || low >= span {
        return wrong("has no end");
    }
    let count = match &present {
        Some(present) if !present.bits().ends_at(span) => return wrong("has gaps at its end"),
        Some(present) => present.count(),
        None => span,
    };
    let places = match places {
        PlacesImage::Offsets(offsets) if offsets.len() != count as usize => {
            return wrong("has another number of places than of messages");
        }
        PlacesImage::Offsets(offsets) => Places::Memory(offsets),
        PlacesImage::Entry(entry) if entry.checked_add(count).is_none() => {
            return wrong("has too high entries");
        }
        PlacesImage::Entry(entry) => Places::Table(entry),
    };
    if let Some(settled) = &settled {
        let there = |index| present.as_ref().map_or(u64::MAX, |p| p.bits().word(index));
        let known = words(low, span);
        let known = known.map(|(index, mask)| settled.word(index) & mask & there(index));
        if known.map(u64::count_ones).sum::<u32>() != settled.holes() {
            return wrong("has settled what was not there");
        }
    }
    let mut run =
        Run { first, slot, span, count, live: 1, low, live_bytes, places, present, settled };
    if run.next_live(low) != Some(low) {
        return wrong("begins with a settled message");
    }
    run.recount();
    Ok(run)
}
