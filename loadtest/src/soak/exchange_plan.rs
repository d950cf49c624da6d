//! What one request of a soak does, and what must come of it: drawn and judged without a clock.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::client::{Check, FailureKind, Outcome, Pace, Protocol};
use crate::random::Random;

/// Before every tenant's mark; no other byte of a soak says it.
pub(super) const MARK: &str = "soak-";
/// Characters of a tenant's mark.
const MARK_LEN: usize = MARK.len() + 16;

/// What must come of a request, unless its client leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Every byte.
    Whole,
    /// An end that nobody can take for a whole answer.
    Broken,
    /// A failure of any kind, an error answer included.
    Failure,
    /// Either: what is done to the connection may or may not be survived.
    Either,
}

/// Something the mock upstream does to an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// As `x-mock-script` names it.
    pub(super) name: &'static str,
    expected: Expected,
    /// Whether it ends the upstream connection, and so other requests on it.
    pub(super) shared: bool,
}

const fn fault(name: &'static str, expected: Expected, shared: bool) -> Fault {
    Fault { name, expected, shared }
}

/// The faults that harm nobody else.
const OWN: [Fault; 8] = [
    fault("reset-before-head", Expected::Failure, false),
    fault("reset-mid-stream", Expected::Broken, false),
    fault("refuse", Expected::Failure, false),
    fault("error-event", Expected::Failure, false),
    fault("no-done", Expected::Failure, false),
    fault("stall", Expected::Failure, false),
    fault("429", Expected::Failure, false),
    fault("500", Expected::Failure, false),
];

/// The faults that may harm other requests on the same upstream connection.
const SHARED: [Fault; 10] = [
    fault("goaway", Expected::Either, true),
    fault("goaway-below", Expected::Either, true),
    fault("goaway-error", Expected::Broken, true),
    fault("truncate", Expected::Broken, true),
    fault("cut-fin", Expected::Broken, true),
    fault("cut-rst", Expected::Broken, true),
    fault("cut-before-head", Expected::Failure, true),
    fault("no-close-notify", Expected::Broken, true),
    fault("short-length", Expected::Broken, true),
    fault("empty-frames", Expected::Either, true),
];

/// The form of the answer that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An event stream, with the mock's SHA-256 in it.
    Stream,
    /// One JSON object.
    Whole,
    /// The request's own body.
    Echo,
}

/// One request of a soak.
#[derive(Debug)]
pub(super) struct ExchangePlan {
    pub(super) client: Protocol,
    pub(super) cold: bool,
    /// Which of the two upstreams, by place.
    pub(super) upstream: usize,
    pub(super) form: Form,
    pub(super) fault: Option<&'static Fault>,
    /// The client leaves after this.
    pub(super) leaves: Option<Duration>,
    pub(super) pace: Pace,
    pub(super) tokens: usize,
    pub(super) gap_us: usize,
    /// Letters of the prompt.
    pub(super) prompt: usize,
    /// The tenant's own mark, which the mock repeats in every frame.
    pub(super) mark: String,
}

impl ExchangePlan {
    /// Draws a request; in a `storm` some do what ends upstream connections.
    pub(super) fn draw(random: &mut Random, storm: bool) -> Self {
        let one_in = |random: &mut Random, n: usize| random.below(n) == 0;
        let client = if one_in(random, 2) { Protocol::Http1 } else { Protocol::Http2 };
        let form = match random.below(10) {
            0..7 => Form::Stream,
            7..9 => Form::Whole,
            _ => Form::Echo,
        };
        let fault = match (form, random.below(100)) {
            (Form::Stream, 0..10) => Some(&OWN[random.below(OWN.len())]),
            (Form::Stream, 10..14) if storm => Some(&SHARED[random.below(SHARED.len())]),
            _ => None,
        };
        let stalls = fault.is_some_and(|fault| fault.name == "stall");
        let leaves = (stalls || one_in(random, 10))
            .then(|| Duration::from_micros(random.below(40_000) as u64));
        let pace = match random.below(25) {
            0 => Pace::Pause(Duration::from_millis(20)),
            1 => Pace::PerSecond(NonZeroU32::MIN.saturating_add(20_000)),
            _ => Pace::Full,
        };
        Self {
            client,
            cold: one_in(random, 10),
            upstream: random.below(2),
            form,
            fault,
            leaves,
            pace,
            tokens: 1 + random.below(24),
            gap_us: [0, 0, 500, 2_000][random.below(4)],
            prompt: [10, 1_000, 20_000, 200_000][random.below(4)],
            mark: format!("{MARK}{:016x}", random.bits()),
        }
    }

    /// The kind of request, for the report.
    pub(super) fn kind(&self) -> String {
        let client = if self.client == Protocol::Http1 { "HTTP/1.1" } else { "HTTP/2" };
        let form = match self.form {
            Form::Stream => "stream",
            Form::Whole => "whole",
            Form::Echo => "echo",
        };
        format!("{client} {form}")
    }

    /// What is wrong with what came of it, if anything. `sent` and `body` are the bodies of the request and of the
    /// answer; `excused` says that the upstream connection may have been taken away by another request.
    pub(super) fn wrong(
        &self,
        outcome: Option<&Outcome>,
        sent: &[u8],
        body: &[u8],
        excused: bool,
    ) -> Option<String> {
        if let Some(why) = self.foreign(sent, body) {
            return Some(why);
        }
        // A client that left can say no more than what it got.
        let outcome = outcome?;
        let expected = self.fault.map_or(Expected::Whole, |fault| fault.expected);
        let failed = outcome.failed();
        let unverified = self.form == Form::Stream && outcome.check != Check::Same;
        match expected {
            _ if failed == Some(FailureKind::Mismatch) => Some("the bytes differ".into()),
            Expected::Whole if failed.is_some() && !excused => Some(format!(
                "it failed although no fault was injected: {:?}",
                outcome.failure.as_ref().map(|failure| &failure.detail)
            )),
            Expected::Whole if failed.is_none() && unverified => Some("no digest arrived".into()),
            Expected::Whole if failed.is_none() && self.form == Form::Echo && sent != body => {
                Some(format!("the echo returned {} of {} bytes", body.len(), sent.len()))
            }
            Expected::Broken | Expected::Failure if failed.is_none() => {
                Some("a fault was injected and the response looks complete".into())
            }
            Expected::Broken if failed == Some(FailureKind::NoDone) => {
                Some("the response was cut and still ended cleanly".into())
            }
            _ => None,
        }
    }

    /// Whether a byte of it may be another tenant's.
    fn foreign(&self, sent: &[u8], body: &[u8]) -> Option<String> {
        if self.form == Form::Echo {
            let error = body.starts_with(b"{\"error\"");
            return (!error && !sent.starts_with(body))
                .then(|| "the echo differs from the request".into());
        }
        let marks = memchr::memmem::find_iter(body, MARK.as_bytes());
        let foreign = marks.map(|at| &body[at..body.len().min(at + MARK_LEN)]).find(|mark| {
            // The last one may have been cut.
            !self.mark.as_bytes().starts_with(mark)
        })?;
        Some(format!(
            "the response contains bytes of another tenant: {}",
            String::from_utf8_lossy(foreign)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Failure;

    fn exchange(form: Form, fault: Option<&'static Fault>) -> ExchangePlan {
        let drawn = ExchangePlan::draw(&mut Random::new(1), false);
        ExchangePlan { form, fault, mark: "soak-0123456789abcdef".into(), ..drawn }
    }

    fn outcome(failure: Option<FailureKind>) -> Outcome {
        let failure = failure.map(|kind| Failure::new(kind, "x"));
        Outcome { failure, check: Check::Same, ..Outcome::default() }
    }

    fn named(name: &str) -> Option<&'static Fault> {
        OWN.iter().chain(&SHARED).find(|fault| fault.name == name)
    }

    #[test]
    fn a_cut_answer_that_ends_cleanly_is_wrong_and_one_that_breaks_is_not() {
        for name in ["truncate", "cut-fin", "reset-mid-stream"] {
            let exchange = exchange(Form::Stream, named(name));
            let wrong = |failure| exchange.wrong(Some(&outcome(failure)), b"", b"", true).is_some();
            assert!(wrong(None) && wrong(Some(FailureKind::NoDone)), "{name}");
            assert!(!wrong(Some(FailureKind::Reset)) && !wrong(Some(FailureKind::Protocol)));
        }
    }

    #[test]
    fn a_request_to_which_nothing_was_done_must_come_whole() {
        let exchange = exchange(Form::Stream, None);
        let wrong = |outcome: &Outcome, excused| exchange.wrong(Some(outcome), b"", b"", excused);
        assert_eq!(wrong(&outcome(None), false), None);
        assert!(wrong(&outcome(Some(FailureKind::Status)), false).is_some());
        assert_eq!(wrong(&outcome(Some(FailureKind::Reset)), true), None);
        assert!(wrong(&outcome(Some(FailureKind::Mismatch)), true).is_some());
        assert!(wrong(&Outcome::default(), true).is_some(), "without its digest");
        assert_eq!(exchange.wrong(None, b"", b"", false), None, "the client left");
    }

    #[test]
    fn a_foreign_byte_is_found_whatever_else_happened() {
        let stream = exchange(Form::Stream, None);
        let found = |body: &[u8]| stream.wrong(None, b"", body, true).is_some();
        assert!(!found(b"x soak-0123456789abcdef y soak-0123"));
        assert!(found(b"soak-0123456789abcdef soak-0123456789abcdee"));
        let echo = exchange(Form::Echo, None);
        assert_eq!(echo.wrong(None, b"abc", b"ab", false), None);
        assert!(echo.wrong(None, b"abc", b"ax", false).is_some());
        assert!(echo.wrong(Some(&outcome(None)), b"abc", b"ab", false).is_some());
    }

    #[test]
    fn the_mock_knows_every_fault_and_a_calm_draws_no_shared_one() {
        let known = crate::upstream::NAMED_SCRIPTS;
        assert!(OWN.iter().chain(&SHARED).all(|fault| known.contains(&fault.name)));
        let mut random = Random::new(3);
        let drawn: Vec<ExchangePlan> =
            (0..20_000).map(|n| ExchangePlan::draw(&mut random, n >= 10_000)).collect();
        let shared = |exchange: &&ExchangePlan| exchange.fault.is_some_and(|fault| fault.shared);
        assert_eq!(drawn[..10_000].iter().filter(shared).count(), 0);
        let names: std::collections::BTreeSet<_> =
            drawn.iter().filter_map(|exchange| exchange.fault.map(|fault| fault.name)).collect();
        assert_eq!(names.len(), OWN.len() + SHARED.len());
    }
}
