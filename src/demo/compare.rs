//! The same streams direct and through the proxy, in turn, each byte checked.

use std::error::Error;
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};
use loadtest::client::{
    Check, Mono, Outcome, Pool, Request, SendOptions, Target, Trace, Watch, fetch,
};
use serde_json::Value;

use super::ends::Ends;
use super::screen::Screen;
use super::upstream::MEASURED;
use crate::cli::Demo;

/// Pairs sent before the first that counts: caches and branch predictors are warm in daily use.
const WARM_UP: u32 = 3;
/// Something is broken: more of the same tells no more.
const FAILURES_MAX: usize = 5;
/// Beyond the stream's own length.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest time told apart, in nanoseconds: an hour.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// What one side measured, in nanoseconds, to 0.1 %.
pub(super) struct Side {
    /// In words.
    pub(super) name: &'static str,
    /// From the request to the answer's head.
    pub(super) first_byte: Histogram<u64>,
    /// From the upstream's stamp in a token to the client's read of it.
    pub(super) on_the_way: Histogram<u64>,
    /// From one event to the next, as the client reads them.
    pub(super) gap: Histogram<u64>,
    /// Streams that were whole, and the bytes of their bodies.
    pub(super) streams: u64,
    pub(super) bytes: u64,
}

/// What was measured on both sides.
pub(super) struct Compared {
    pub(super) direct: Side,
    pub(super) through: Side,
    /// Which streams failed, and how, in words.
    pub(super) failures: Vec<String>,
}

impl Compared {
    /// Whether every stream was whole and every byte the same.
    pub(super) fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Sends the streams. Failures of streams are part of the result, not errors.
pub(super) async fn run(
    ends: &Ends,
    wanted: &Demo,
    screen: &mut Screen,
) -> Result<Compared, Box<dyn Error>> {
    let body = r#"{"model":"gpt-mock","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let request = Request::post("/v1/chat/completions", body)?.header(MEASURED, "1")?;
    let timeout = wanted.gap.saturating_mul(wanted.tokens).saturating_add(PATIENCE);
    let options = SendOptions { timeout, hash: true, ..SendOptions::default() };
    let pools = [Pool::warm(ends.direct()?), Pool::warm(ends.through()?)];
    for pool in &pools {
        pool.open(1).await?;
    }
    let mut compared = nothing()?;
    for pair in 0..wanted.requests.saturating_add(WARM_UP) {
        let warming = pair < WARM_UP;
        let nth = pair.saturating_sub(WARM_UP) + u32::from(!warming);
        for (pool, side) in pools.iter().zip([&mut compared.direct, &mut compared.through]) {
            let mut unheeded = nothing_of("")?;
            let side = if warming { &mut unheeded } else { side };
            let outcome = pool.send(&request, Mono::now(), &options, side).await;
            if let Err(why) = side.note(&outcome) {
                compared.failures.push(if warming {
                    format!("during warm-up: {why}")
                } else {
                    format!("stream {nth} {}: {why}", side.name)
                });
            }
        }
        if compared.failures.len() >= FAILURES_MAX {
            break;
        }
        screen.progress("comparing pairs of streams", nth, wanted.requests)?;
    }
    Ok(compared)
}

fn nothing() -> Result<Compared, CreationError> {
    let (direct, through) = (nothing_of("direct")?, nothing_of("through the proxy")?);
    Ok(Compared { direct, through, failures: Vec::new() })
}

fn nothing_of(name: &'static str) -> Result<Side, CreationError> {
    let empty = || Histogram::new_with_max(LONGEST_NS, 3);
    let (first_byte, on_the_way, gap) = (empty()?, empty()?, empty()?);
    Ok(Side { name, first_byte, on_the_way, gap, streams: 0, bytes: 0 })
}

impl Watch for Side {
    fn gap(&mut self, _at: Mono, nanos: u64) {
        self.gap.saturating_record(nanos);
    }

    fn leg(&mut self, _at: Mono, nanos: u64) {
        self.on_the_way.saturating_record(nanos);
    }
}

impl Side {
    /// Adds a whole stream; says what is wrong with any other.
    fn note(&mut self, outcome: &Outcome) -> Result<(), String> {
        if let Some(failure) = &outcome.failure {
            return Err(format!("{}: {}", failure.kind.name(), failure.detail));
        }
        if outcome.check != Check::Same {
            return Err("the stream carried no digest to compare its bytes with".to_owned());
        }
        let Some(first_byte) = outcome.ttfb() else {
            return Err("there was no response head".to_owned());
        };
        self.first_byte.saturating_record(first_byte);
        self.streams += 1;
        self.bytes += outcome.bytes;
        Ok(())
    }
}

/// `/stats` of the proxy; `None` where it cannot be read.
pub(super) async fn inside(ends: &Ends) -> Option<Value> {
    let target = Target::new(&ends.admin_url()).ok()?;
    let mut trace = Trace::default();
    let outcome = fetch(&target, &Request::get("/stats").ok()?, &mut trace).await;
    outcome.ok().then(|| serde_json::from_slice(&trace.body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadtest::client::{Failure, FailureKind, Stamps};

    fn whole() -> Outcome {
        let stamps = Stamps { head: Some(Mono(7)), ..Stamps::default() };
        Outcome { stamps, check: Check::Same, bytes: 10, ..Outcome::default() }
    }

    #[test]
    fn only_a_whole_stream_whose_bytes_were_compared_counts() {
        let mut side = nothing_of("direct").unwrap();
        let failure = Some(Failure::new(FailureKind::Mismatch, "differs"));
        let differs = Outcome { check: Check::Different, failure, ..whole() };
        assert_eq!(side.note(&differs), Err("byte_mismatch: differs".to_owned()));
        assert!(side.note(&Outcome { check: Check::Unchecked, ..whole() }).is_err());
        assert_eq!((side.streams, side.bytes, side.first_byte.len()), (0, 0, 0));
        assert_eq!(side.note(&whole()), Ok(()));
        assert_eq!((side.streams, side.bytes, side.first_byte.len()), (1, 10, 1));
    }

    #[test]
    fn one_failure_is_enough_to_fail() {
        let mut compared = nothing().unwrap();
        assert!(compared.passed());
        compared.failures.push("stream 3 direct: timeout".to_owned());
        assert!(!compared.passed());
    }
}
