//! A model server with slots, under clients who never tire: what becomes of the bound, of first bytes and of what is
//! served. Virtual time. `cargo test -p firstbyte --lib adaptive::simulation -- --nocapture` prints the table of
//! `docs/decisions/0084`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::*;

/// `SplitMix64`.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() * bound as f64) as usize
    }

    /// Standard normal, nearly (the sum of twelve).
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

#[derive(Debug, Clone, Copy)]
struct Server {
    /// Requests that are served at once; the others wait.
    slots: usize,
    /// Median seconds from a slot to the first byte, and the standard deviation of its logarithm.
    prefill: f64,
    scatter: f64,
    /// Mean seconds from there to the end.
    decode: f64,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: f64,
    prefill: f64,
}

/// Over the second half of a phase.
#[derive(Debug)]
struct Seen {
    lowest: usize,
    mean: f64,
    highest: usize,
    /// Median first byte, as a multiple of the one at rest.
    first_byte: f64,
    /// Answers, as a share of what the slots can serve.
    served: f64,
}

/// What goes on from one phase to the next.
struct Run {
    start: Instant,
    bound: Option<AdaptiveBound>,
    random: Random,
    now: f64,
    in_flight: usize,
    peak: usize,
    waiting: VecDeque<Sent>,
    /// Ends of those that have a slot.
    ends: BinaryHeap<Reverse<u64>>,
    /// First bytes to come: when, and sent when.
    firsts: BinaryHeap<Reverse<(u64, u64)>>,
    samples: Vec<f64>,
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

impl Run {
    fn new(policy: Option<Policy>, seed: u64) -> Self {
        let start = Instant::now();
        Self {
            start,
            bound: policy.map(|policy| AdaptiveBound::new(policy, start)),
            random: Random(seed),
            now: 0.0,
            in_flight: 0,
            peak: 0,
            waiting: VecDeque::new(),
            ends: BinaryHeap::new(),
            firsts: BinaryHeap::new(),
            samples: Vec::new(),
        }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// `demand` clients, each of whom asks again at once, for so many seconds.
    fn phase(&mut self, server: Server, demand: usize, seconds: f64) -> Seen {
        let (until, half) = (self.now + seconds, self.now + seconds / 2.0);
        let (mut bounds, mut firsts, mut done) = (Vec::new(), Vec::new(), 0);
        while self.now < until {
            self.send(server, demand);
            let first = self.firsts.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            let end = self.ends.peek().map_or(u64::MAX, |Reverse(at)| *at);
            self.now = first.min(end) as f64 / 1e9;
            if first <= end {
                let Some(Reverse((_, sent))) = self.firsts.pop() else { break };
                let took = self.now - sent as f64 / 1e9;
                self.sample(took, sent as f64 / 1e9);
                if self.now > half {
                    firsts.push(took);
                }
            } else {
                self.ends.pop();
                self.in_flight -= 1;
                done += usize::from(self.now > half);
            }
            if self.now > half {
                bounds.push(self.bound.as_ref().map_or(demand, AdaptiveBound::bound));
            }
        }
        firsts.sort_by(f64::total_cmp);
        let hold = server.prefill * (server.scatter.powi(2) / 2.0).exp() + server.decode;
        Seen {
            lowest: bounds.iter().copied().min().unwrap_or(0),
            mean: bounds.iter().sum::<usize>() as f64 / bounds.len() as f64,
            highest: bounds.iter().copied().max().unwrap_or(0),
            first_byte: firsts.get(firsts.len() / 2).copied().unwrap_or(0.0) / server.prefill,
            served: done as f64 / (seconds / 2.0 / hold * server.slots as f64),
        }
    }

    fn send(&mut self, server: Server, demand: usize) {
        let most = self.bound.as_ref().map_or(demand, AdaptiveBound::bound).min(demand);
        while self.in_flight < most {
            self.in_flight += 1;
            let prefill = server.prefill * (self.random.normal() * server.scatter).exp();
            self.waiting.push_back(Sent { at: self.now, prefill });
        }
        self.peak = self.peak.max(self.in_flight);
        while self.ends.len() < server.slots
            && let Some(sent) = self.waiting.pop_front()
        {
            let first = self.now + sent.prefill;
            let decode = server.decode * (0.5 + self.random.next());
            self.firsts.push(Reverse((ns(first), ns(sent.at))));
            self.ends.push(Reverse(ns(first + decode)));
        }
    }

    fn sample(&mut self, took: f64, sent: f64) {
        let now = self.at(self.now);
        let is_new = |bound: &AdaptiveBound| self.at(sent) >= bound.changed();
        if !self.bound.as_ref().is_some_and(is_new) {
            return;
        }
        let Some(bound) = &mut self.bound else { return };
        self.samples.push(took);
        if self.samples.len() < bound.needed() {
            return;
        }
        self.samples.sort_by(f64::total_cmp);
        let median = Duration::from_secs_f64(self.samples[self.samples.len() / 2]);
        self.samples.clear();
        bound.round(&Round { way: Way::Streamed, median, peak: self.peak }, now);
        self.peak = self.in_flight;
    }
}

const POLICY: Policy = Policy { floor: 8, ceiling: 1_000, tolerance: 2.0 };
/// A chat model on one accelerator: first bytes after 0.2 s, and 5 s of tokens.
const CHAT: Server = Server { slots: 32, prefill: 0.2, scatter: 0.6, decode: 5.0 };
/// More clients than it can serve by far.
const CROWD: usize = 300;

const SERVERS: [(&str, Server); 5] = [
    ("chat, 32 slots", CHAT),
    ("prompts of one length", Server { scatter: 0.1, ..CHAT }),
    ("prompts of all lengths", Server { scatter: 1.2, ..CHAT }),
    ("long answers, 256 slots", Server { slots: 256, decode: 20.0, ..CHAT }),
    ("embeddings", Server { slots: 32, prefill: 0.05, scatter: 0.6, decode: 0.05 }),
];

#[test]
fn under_a_crowd_first_bytes_stay_near_those_at_rest_and_the_slots_are_used() {
    for (name, server) in SERVERS {
        for seed in 1..=5 {
            let seconds = 400.0 * (server.decode + server.prefill);
            let with =
                Run::new(Some(POLICY), seed).phase(server, CROWD * server.slots / 32, seconds);
            let without = Run::new(None, seed).phase(server, CROWD * server.slots / 32, seconds);
            println!("{name:24} {seed} {with:.2?}\n{:24}   {without:.2?}", "");
            assert!(with.first_byte < 2.2, "{name}: {with:?}");
            assert!(with.served > 0.8 * without.served, "{name}: {with:?} {without:?}");
            assert!(without.first_byte > 3.0 * with.first_byte, "{name}: {without:?}");
            assert!(with.highest * 10 < with.lowest * 22, "{name} swings: {with:?}");
        }
    }
}

#[test]
fn it_follows_an_upstream_that_loses_its_slots_and_gets_them_back() {
    for seed in 1..=5 {
        let mut run = Run::new(Some(POLICY), seed);
        let before = run.phase(CHAT, CROWD, 2_000.0);
        let fewer = run.phase(Server { slots: 16, ..CHAT }, CROWD, 2_000.0);
        let again = run.phase(CHAT, CROWD, 2_000.0);
        println!("{before:.2?}\n{fewer:.2?}\n{again:.2?}");
        assert!(fewer.mean < before.mean * 0.75 && fewer.first_byte < 2.5, "{fewer:?}");
        assert!(again.mean > before.mean * 0.8 && again.served > 0.8, "{again:?}");
    }
}

#[test]
fn longer_prompts_become_what_is_usual_and_the_slots_are_used_again() {
    for seed in 1..=5 {
        let mut run = Run::new(Some(POLICY), seed);
        run.phase(CHAT, CROWD, 2_000.0);
        let long = run.phase(Server { prefill: 1.2, ..CHAT }, CROWD, 6_000.0);
        println!("{long:.2?}");
        assert!(long.served > 0.75 && long.first_byte < 2.2, "{long:?}");
    }
}

#[test]
fn a_few_clients_leave_it_where_it_is() {
    let mut run = Run::new(Some(POLICY), 1);
    run.phase(CHAT, CROWD, 2_000.0);
    let idle = run.phase(CHAT, 5, 20_000.0);
    assert_eq!(idle.lowest, idle.highest, "{idle:?}");
    assert!(idle.lowest > CHAT.slots * 3 / 4, "{idle:?}");
}
