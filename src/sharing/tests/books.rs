//! What is told of limits that are taken of, and when.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admit::{Directory, Sharing, Standing};
use crate::config::{ProcessEnv, parse};
use crate::record::Usage;
use crate::sharing::books::{Books, Naming, Now};
use crate::sharing::script::{Ask, Told};

/// One client that has a budget of 80 tokens a day, as one of two processes that share it.
struct Shared {
    directory: Arc<Directory>,
    books: Books,
    now: Now,
}

impl Shared {
    fn new() -> Self {
        let text = "upstreams: { a: { url: 'http://127.0.0.1:9' } }\n\
                    routes: [{ path: /v1, upstream: a }]\n\
                    clients: [{ name: a, key: fb-a-canary-0123456789, budget: { tokens: 80, per: day } }]\n";
        let config = parse(Path::new("firstbyte.yaml"), text.as_bytes(), &ProcessEnv).unwrap();
        let sharing = Arc::new(Sharing::new());
        sharing.set(Standing::Leased, 1);
        let directory = Directory::new(&config, None, Some(sharing)).unwrap();
        let directory = Arc::new(directory);
        let naming = Naming { prefix: "t".into(), me: "me".into(), one_slot: false };
        let mut books = Books::new(naming, Arc::clone(&directory));
        books.follow(Arc::clone(&directory));
        let now = books.now();
        Self { directory, books, now }
    }

    /// A request that costs as much.
    fn spend(&self, tokens: u64) {
        let charge = self.directory.callers()[0].admit(Instant::now());
        let usage = Usage { input: tokens, ..Usage::default() };
        charge.unwrap().settle(Some(usage), None, Instant::now());
    }

    /// What is said now, if anything is: the only limit's.
    fn ask(&mut self) -> Option<Ask> {
        self.books.collect(true, self.now);
        let mut asks = self.books.asks(false, Duration::MAX, self.now);
        assert!(asks.len() <= 1);
        asks.pop().map(|(_, ask)| ask)
    }

    /// The last is answered.
    fn hear(&mut self, left: i64) {
        let told = Told { left, wait: 0, era: "1".into(), used: 80 - left };
        self.books.heard("client a/budget_tokens/day", told, self.now);
    }

    fn pass_days(&mut self, days: u64) {
        self.now.unix += days * 86_400;
    }

    fn room(&self) -> i64 {
        self.directory.limiters().next().unwrap().room()
    }
}

#[test]
fn a_report_that_was_not_heard_of_goes_first_and_the_rest_after_it() {
    let mut shared = Shared::new();
    assert_eq!(shared.ask().unwrap().n, 0);
    shared.hear(80);
    shared.spend(30);
    let sent = shared.ask().unwrap();
    assert_eq!(sent.n, 30);
    shared.spend(20);
    shared.books.collect(true, shared.now);
    let now = shared.now;
    let first = shared.books.farewell(now).pop().unwrap().1;
    assert_eq!((first.n, first.seq), (30, sent.seq), "as it was sent");
    shared.hear(50);
    assert!(shared.books.owes(), "what was taken since is not told");
    assert_eq!(shared.books.farewell(now).pop().unwrap().1.n, 20);
    shared.hear(30);
    assert!(!shared.books.owes());
}

#[test]
fn what_was_used_in_a_period_is_told_of_that_one_and_the_next_is_asked_for_at_once() {
    let mut shared = Shared::new();
    let first = shared.ask().unwrap();
    shared.hear(80);
    shared.spend(75);
    let lost = shared.ask().unwrap();
    assert_eq!((lost.n, &lost.keys), (75, &first.keys));
    shared.spend(4);
    shared.pass_days(1);
    // Its answer did not come: it is sent to where it was sent before, and so is what was used after it.
    let again = shared.ask().unwrap();
    assert_eq!((again.n, again.seq, &again.keys), (75, lost.seq, &first.keys));
    shared.hear(5);
    assert_eq!(shared.room(), 10, "nothing that is left of the old one is granted of the new one");
    let rest = shared.ask().unwrap();
    assert_eq!((rest.n, &rest.keys), (4, &first.keys));
    shared.hear(1);
    let next = shared.ask().expect("it has to be asked what is left in the new one");
    assert_eq!((next.n, next.floor), (0, 0));
    assert_eq!(next.keys[0], format!("t:{{client a/budget_tokens/day}}:{}", first.period + 1));
    shared.hear(80);
    assert_eq!(shared.room(), 80);
    assert!(shared.ask().is_none(), "it is known");
}

#[test]
fn a_period_of_which_nobody_used_anything_is_asked_for_too() {
    let mut shared = Shared::new();
    let first = shared.ask().unwrap();
    shared.hear(-20);
    assert!(shared.room() < 0);
    shared.pass_days(1);
    let next = shared.ask().expect("nothing is known of it");
    assert_eq!((next.n, next.period), (0, first.period + 1));
}
