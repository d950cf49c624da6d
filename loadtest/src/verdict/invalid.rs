//! Reasons to refuse a run's figures: a generator that was late or starved measured itself.

use std::time::Duration;

use serde::Serialize;

use crate::format;
use crate::measure::GeneratorLoad;

/// How far the generator may be from ideal.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Lag at the 99th percentile.
    pub lag: Duration,
    /// Share of its time that a worker may spend on a processor: near 1 it is the bottleneck.
    pub busy: f64,
    /// Share of its time that a worker of an open loop may wait for a processor.
    pub waiting: f64,
}

impl Default for Bounds {
    /// 5 ms: well under what users notice, well over what a quiet machine shows. 95 %: above, the
    /// client itself is what is measured. 30 %: a client that shares its processor with what it
    /// measures waits for it at times; one that waits a third of the time is starved.
    fn default() -> Self {
        Self { lag: Duration::from_millis(5), busy: 0.95, waiting: 0.3 }
    }
}

/// How the generator did.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Generator {
    /// Lag at the median, in nanoseconds.
    pub lag_p50_ns: u64,
    /// Lag at the 99th percentile, in nanoseconds.
    pub lag_p99_ns: u64,
    /// Worst lag, in nanoseconds.
    pub lag_max_ns: u64,
    /// The busiest worker's share of time on a processor, 0 to 1.
    pub busy: f64,
    /// The most starved worker's share of time ready to run but without a processor, 0 to 1.
    pub waiting: f64,
    /// Why the figures cannot be stood behind; empty where they can.
    pub void: Vec<String>,
}

impl Generator {
    /// Judges the generator by its lag and its time.
    pub fn judge(
        lag: &hdrhistogram::Histogram<u64>,
        load: &GeneratorLoad,
        open_loop: bool,
        bounds: &Bounds,
    ) -> Self {
        let (busy, waiting) = load.shares();
        let lag_p99_ns = lag.value_at_quantile(0.99);
        let mut void = Vec::new();
        if u128::from(lag_p99_ns) > bounds.lag.as_nanos() {
            void.push(format!(
                "the p99 of the load generator's own lag is {}, above the limit of {} (--max-lag)",
                format::nanos(lag_p99_ns as f64),
                format::nanos(bounds.lag.as_nanos() as f64)
            ));
        }
        if busy > bounds.busy {
            void.push(format!(
                "a worker of the load generator was busy {:.0} % of the time and is the \
                 bottleneck; use more --threads or less load",
                busy * 100.0
            ));
        }
        if open_loop && waiting > bounds.waiting {
            void.push(format!(
                "a worker of the load generator waited for a processor {:.0} % of the time: it was \
                 starved; use fewer --threads or free some processors",
                waiting * 100.0
            ));
        }
        Self {
            lag_p50_ns: lag.value_at_quantile(0.5),
            lag_p99_ns,
            lag_max_ns: lag.max(),
            busy,
            waiting,
            void,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::host::ThreadTime;

    fn judged(lag_ms: u64, running: u64, waiting: u64, open_loop: bool) -> Vec<String> {
        let mut lag = crate::measure::request_histogram();
        lag.record_n(lag_ms * 1_000_000, 100).unwrap();
        let load = GeneratorLoad::of_one(ThreadTime { running, waiting }, 1000);
        Generator::judge(&lag, &load, open_loop, &Bounds::default()).void
    }

    #[test]
    fn a_quiet_generator_is_believed() {
        assert!(judged(1, 500, 100, true).is_empty());
    }

    #[test]
    fn a_late_busy_or_starved_generator_voids_the_run() {
        assert!(judged(9, 500, 100, true)[0].contains("lag"));
        assert!(judged(1, 990, 0, true)[0].contains("bottleneck"));
        assert!(judged(1, 500, 400, true)[0].contains("starved"));
        assert!(judged(1, 500, 400, false).is_empty(), "a closed loop waits for its target anyway");
    }
}
