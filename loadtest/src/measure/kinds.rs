//! What is measured, each with its definition: tools use the same words for different things, so
//! the words are never printed without it.

use crate::client::Outcome;

/// A measured time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Time to first byte: the head.
    Ttfb,
    /// First body byte.
    FirstBody,
    /// First server-sent event.
    FirstEvent,
    /// Time to first token.
    Ttft,
    /// Between successive events.
    Gap,
    /// Time per output token.
    Tpot,
    /// End to end.
    Total,
    /// From the request handed over to the head.
    Wait,
    /// Opening a connection.
    Connect,
    /// One way, client to mock upstream.
    LegUp,
    /// One way, mock upstream to client, each frame.
    LegDown,
    /// From the kernel's receipt to the client's read.
    Wake,
    /// The generator's own lag.
    Lag,
}

impl Measure {
    /// All, in the order of reports.
    pub const ALL: [Self; 13] = [
        Self::Ttfb,
        Self::FirstBody,
        Self::FirstEvent,
        Self::Ttft,
        Self::Gap,
        Self::Tpot,
        Self::Total,
        Self::Wait,
        Self::Connect,
        Self::LegUp,
        Self::LegDown,
        Self::Wake,
        Self::Lag,
    ];

    /// The name in reports, files and conditions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ttfb => "ttfb",
            Self::FirstBody => "first_body",
            Self::FirstEvent => "first_event",
            Self::Ttft => "ttft",
            Self::Gap => "gap",
            Self::Tpot => "tpot",
            Self::Total => "total",
            Self::Wait => "wait",
            Self::Connect => "connect",
            Self::LegUp => "leg_up",
            Self::LegDown => "leg_down",
            Self::Wake => "wake",
            Self::Lag => "lag",
        }
    }

    /// The measure of that name; vLLM's names are understood too.
    pub fn named(name: &str) -> Option<Self> {
        let ours = match name {
            "itl" => "gap",
            "e2el" | "e2e" => "total",
            other => other,
        };
        Self::ALL.into_iter().find(|measure| measure.name() == ours)
    }

    /// What it means, in one sentence.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Ttfb => "time from when the request was due until the response head was read",
            Self::FirstBody => "time from due until the first body byte (oha's first byte)",
            Self::FirstEvent => "time from due until the first complete server-sent event",
            Self::Ttft => "time from due until the first event with generated text (vLLM: TTFT)",
            Self::Gap => {
                "time between successive events of a stream, 0 for two events that arrived in one \
                 read; outside event streams, between reads (vLLM: ITL)"
            }
            Self::Tpot => {
                "(total - ttft) / (tokens - 1), tokens from the usage field, or else events with \
                 text (vLLM: TPOT; aiperf calls it ITL)"
            }
            Self::Total => "time from due until the response was complete (vLLM: E2EL)",
            Self::Wait => {
                "time from handing the request's last byte to the kernel (HTTP/1.1) or the \
                 connection (HTTP/2) until the head; excludes the generator's lag and connecting"
            }
            Self::Connect => {
                "time from starting a request until its new connection is open, including TLS"
            }
            Self::LegUp => {
                "one way: from sending the request until the mock upstream read its head"
            }
            Self::LegDown => {
                "one way: from the mock upstream's timestamp in each frame until the client read it"
            }
            Self::Wake => {
                "the client's own delay: from when the kernel received the last byte of a read \
                 until the read (--kernel-stamps)"
            }
            Self::Lag => {
                "the generator's own delay: from when a request was due until it was started"
            }
        }
    }

    /// Whether it comes with each event rather than once a request.
    pub fn is_per_event(self) -> bool {
        matches!(self, Self::Gap | Self::LegDown | Self::Wake)
    }

    /// The value of a request, in nanoseconds; `None` where it has none. Failed requests, and those
    /// read slowly on purpose, have a lag and nothing else.
    pub fn of(self, outcome: &Outcome) -> Option<u64> {
        let stamps = &outcome.stamps;
        if self == Self::Lag {
            return Some(stamps.started.since(stamps.due));
        }
        if !outcome.ok() || outcome.slow {
            return None;
        }
        match self {
            Self::Ttfb => stamps.head.map(|head| head.since(stamps.due)),
            Self::FirstBody => stamps.first_body.map(|first| first.since(stamps.due)),
            Self::FirstEvent => stamps.first_event.map(|first| first.since(stamps.due)),
            Self::Ttft => stamps.first_content.map(|first| first.since(stamps.due)),
            Self::Tpot => {
                let after = tokens(outcome).checked_sub(1).filter(|after| *after > 0)?;
                stamps.first_content.map(|first| stamps.end.since(first) / after)
            }
            Self::Total => Some(stamps.end.since(stamps.due)),
            Self::Wait => Some(stamps.head?.since(stamps.sent?)),
            Self::Connect => stamps.connected.map(|open| open.since(stamps.started)),
            Self::LegUp => Some(stamps.mock_received?.since(stamps.sent?)),
            Self::Gap | Self::LegDown | Self::Wake | Self::Lag => None,
        }
    }
}

/// Tokens generated: as the answer's usage tells, or else the events that carried text.
pub fn tokens(outcome: &Outcome) -> u64 {
    outcome.usage_tokens.unwrap_or(outcome.contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Failure, FailureKind, Mono, Stamps};

    fn outcome() -> Outcome {
        let stamps = Stamps {
            due: Mono(100),
            started: Mono(110),
            sent: Some(Mono(120)),
            head: Some(Mono(200)),
            first_content: Some(Mono(300)),
            end: Mono(700),
            ..Stamps::default()
        };
        Outcome { stamps, contents: 5, ..Outcome::default() }
    }

    #[test]
    fn latencies_count_from_when_the_request_was_due() {
        let value = |measure: Measure| measure.of(&outcome());
        assert_eq!(value(Measure::Ttfb), Some(100));
        assert_eq!(value(Measure::Ttft), Some(200));
        assert_eq!(value(Measure::Total), Some(600));
        assert_eq!(value(Measure::Wait), Some(80));
        assert_eq!(value(Measure::Lag), Some(10));
        assert_eq!(value(Measure::Tpot), Some(100));
        assert_eq!(value(Measure::LegUp), None);
    }

    #[test]
    fn a_failed_request_and_a_slow_reader_have_a_lag_and_nothing_else() {
        let failure = Some(Failure::new(FailureKind::Reset, "cut"));
        let failed = Outcome { failure, ..outcome() };
        let slow = Outcome { slow: true, ..outcome() };
        for measure in Measure::ALL {
            assert_eq!(measure.of(&failed).is_some(), measure == Measure::Lag);
            assert_eq!(measure.of(&slow).is_some(), measure == Measure::Lag);
        }
    }

    #[test]
    fn every_measure_is_found_by_its_name_and_by_vllms() {
        for measure in Measure::ALL {
            assert_eq!(Measure::named(measure.name()), Some(measure));
        }
        assert_eq!(Measure::named("itl"), Some(Measure::Gap));
        assert_eq!(Measure::named("e2el"), Some(Measure::Total));
    }
}
