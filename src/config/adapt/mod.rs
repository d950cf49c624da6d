//! `limits.adapt` of a route or an upstream: a limit of requests in flight that follows the first byte.

use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::optional::Optional;
use super::kind::quantity::Count;
use super::limits::MOST;

pub(super) static ADAPT: Section = Section {
    name: "adapt",
    shape: Shape::One,
    required: false,
    doc: "Adaptive limit: the limit of requests in flight follows the time to first byte, between \
        `floor` and `ceiling`. Off unless `ceiling` is set. On an upstream it also heeds the \
        upstream's 429s and `x-ratelimit-*` headers.",
    entries: &[&FLOOR, &CEILING, &TOLERANCE],
};

static FLOOR: Key<Count<usize>> = Key::new(
    "floor",
    // The batch that one accelerator serves without a queue, whatever the model.
    Count { default: 8, within: 1..=MOST },
    "The adaptive limit starts here and is never lower. Set it to a number of requests that the \
     upstream always serves without queueing: what the first byte takes up to there is normal.",
);

static CEILING: Key<Optional<Count<usize>>> = Key::new(
    "ceiling",
    Optional(Count::within(1..=MOST)),
    "The adaptive limit is never higher, nor higher than `limits.streams`. Setting it turns the \
     adaptive limit on.",
);

static TOLERANCE: Key<Count<u32>> = Key::new(
    "tolerance_percent",
    // Where streams are long, one too many already doubles it: the simulation of decision 0084.
    Count { default: 200, within: 110..=10_000 },
    "The limit falls when the median time to first byte exceeds this percentage of the normal one.",
);

/// A limit of requests in flight that follows the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adapt {
    /// It begins here and is never lower.
    pub floor: usize,
    /// It is never higher; at least the floor.
    pub ceiling: usize,
    /// Of the usual time to first byte, as a percentage; above that it falls.
    pub tolerance_percent: u32,
}

impl Adapt {
    /// All keys are read, so that a fault in one is found though it is off. `streams`: the fixed limit beside it.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        limits: &Fields<'_>,
        streams: Option<usize>,
    ) -> Option<Self> {
        let fields = reader.section(limits, &ADAPT);
        let floor = reader.get(&fields, &FLOOR);
        let ceiling = reader.get(&fields, &CEILING);
        let tolerance_percent = reader.get(&fields, &TOLERANCE);
        let ceiling = ceiling?;
        if floor > ceiling {
            let hint = "lower floor, or raise ceiling";
            reader.fault_in(&fields, &FLOOR, "is higher than ceiling", hint);
        }
        let most = streams.unwrap_or(ceiling).min(ceiling);
        if floor <= ceiling && floor > most {
            let hint = "lower floor, or raise limits.streams, which always holds";
            reader.fault_in(&fields, &FLOOR, "is higher than limits.streams", hint);
        }
        Some(Self { floor, ceiling: most, tolerance_percent })
    }
}
