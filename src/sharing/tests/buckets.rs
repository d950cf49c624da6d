//! A bucket at the server is the bucket of a process: the same algorithm in Lua and in Rust.

use proptest::prelude::*;

use super::{Instance, Server, ask, section, servers};
use crate::algo::gcra::{Gcra, Rate};
use crate::sharing::script::Sort;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Milliseconds go by.
    Wait(u16),
    /// So many, if they are there.
    Take(u8),
    /// What was taken already, whether or not it was there; or given back.
    Report(i16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..5_000_u16).prop_map(Step::Wait),
        (1..40_u8).prop_map(Step::Take),
        (-300..300_i16).prop_map(Step::Report),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Rates of which a whole number of nanoseconds makes a unit, and others: there Rust rounds each time up by less than
/// a nanosecond.
const RATES: [(u64, i64); 5] = [(60, 0), (600, 0), (6_000, 0), (61, 1), (99_991, 1)];

#[test]
fn over_any_sequence_the_bucket_in_lua_holds_what_the_bucket_in_rust_holds() {
    for server in servers(&[]) {
        let instance = Instance::new("me", &section(&server));
        let nth = std::cell::Cell::new(0);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(40)
        });
        let which = (0..RATES.len(), steps());
        runner
            .run(&which, |(which, steps)| {
                nth.set(nth.get() + 1);
                follow(&server, &instance, RATES[which], &steps, &format!("r{}", nth.get()));
                Ok(())
            })
            .unwrap();
    }
}

fn follow(server: &Server, instance: &Instance, of: (u64, i64), steps: &[Step], key: &str) {
    let (per_minute, apart) = of;
    let burst = Rate::new(per_minute, 30_000_000_000);
    let sort = Sort::Rate { per_minute, most: burst.most() };
    let (gcra, state) = (Gcra::default(), format!("t:{{{key}}}"));
    // Whatever time the test itself takes goes by for both: the server's clock is the only one.
    let (mut begun, mut skipped) = (None, 0_u64);
    for step in steps {
        let (n, need) = match *step {
            Step::Wait(millis) => {
                server.command(&["EVAL", BACK, "1", &state, &millis.to_string()]);
                skipped += u64::from(millis);
                continue;
            }
            Step::Take(n) => (i64::from(n), u64::from(n)),
            Step::Report(n) => (i64::from(n), 0),
        };
        let mut one = ask(key, sort, n);
        one.need = need;
        let reply = instance.ask(&[one]);
        let at: u64 = if reply.refused.is_some() {
            // What is refused writes nothing; a report of nothing tells the time.
            instance.ask(&[ask(key, sort, 0)]);
            server.command(&["HGET", &state, "at"]).parse().unwrap()
        } else {
            server.command(&["HGET", &state, "at"]).parse().unwrap()
        };
        let begun = *begun.get_or_insert(at);
        let now = (at - begun + skipped) * 1_000_000;
        let taken = match *step {
            Step::Take(n) => gcra.take(u64::from(n), burst, now).is_ok(),
            Step::Report(n) if n >= 0 => {
                gcra.charge(n.unsigned_abs().into(), burst, now);
                true
            }
            Step::Report(n) => {
                gcra.give_back(n.unsigned_abs().into(), burst);
                true
            }
            Step::Wait(_) => continue,
        };
        let left = gcra.level(burst, now).left;
        if apart == 0 {
            assert_eq!(taken, reply.refused.is_none(), "{step:?} of {steps:?}");
        }
        if taken && reply.refused.is_none() {
            let off = (left - reply.told[0].left).abs();
            assert!(off <= apart, "{step:?}: {left} in Rust, {:?} in Lua, {steps:?}", reply.told);
        }
    }
}

/// As if the time since it was last used had been longer.
const BACK: &str = "local at = redis.call('HGET', KEYS[1], 'at') \
    if at then redis.call('HSET', KEYS[1], 'at', string.format('%.0f', at - ARGV[1])) end";
