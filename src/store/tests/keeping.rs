//! What is written, and what comes back.

use std::collections::HashMap;

use super::*;

const PERIOD: u64 = 20_785;

#[test]
fn what_was_used_is_there_after_a_restart_and_goes_on() {
    let folder = scratch();
    let now = at("2026-11-28", 12, 0, 0);
    for many in [2, 3] {
        let source = Counting::default();
        let mut store = begin(&folder, &source, now);
        for _ in 0..many {
            source.charge("a", "gpt-*", PERIOD);
            write(&mut store, &source, now);
        }
        source.charge("b", "other", PERIOD);
        write(&mut store, &source, now);
    }
    assert_eq!(
        lines(&folder, "2026-11-28", "2026-11-28", "client,model"),
        ["a,gpt-*,5,500,50,100,7.500000005,5", "b,other,2,200,20,40,3.000000002,2"]
    );
}

#[test]
fn each_day_has_what_was_written_on_it() {
    let folder = scratch();
    let source = Counting::default();
    let mut store = begin(&folder, &source, at("2026-11-30", 23, 0, 0));
    source.charge("a", "m", PERIOD);
    write(&mut store, &source, at("2026-11-30", 23, 59, 59));
    source.charge("a", "m", PERIOD);
    source.charge("a", "m", PERIOD);
    write(&mut store, &source, at("2026-12-01", 0, 0, 0));
    drop(store);
    let of = |since, until| lines(&folder, since, until, "day");
    let (before, after) =
        ("2026-11-30,1,100,10,20,1.500000001,1", "2026-12-01,2,200,20,40,3.000000002,2");
    assert_eq!(of("2026-11-01", "2026-12-31"), [before, after]);
    assert_eq!(of("2026-11-30", "2026-11-30"), [before]);
    assert_eq!(of("2026-12-01", "2026-12-31"), [after]);
    assert!(of("2026-12-02", "2026-12-31").is_empty());
}

#[test]
fn a_balance_comes_back_in_its_period_and_not_in_the_next() {
    let folder = scratch();
    let now = at("2026-11-28", 12, 0, 0);
    let source = Counting::default();
    let mut store = begin(&folder, &source, now);
    source.charge("a", "m", PERIOD);
    source.charge("b", "m", PERIOD);
    write(&mut store, &source, now);
    drop(store);
    let source = Counting::default();
    source.has_budget("a", PERIOD);
    source.has_budget("b", PERIOD + 1);
    drop(begin(&folder, &source, now + 1_000));
    assert_eq!(source.spent("a"), Balance { period: PERIOD, spent: 120 });
    assert_eq!(source.spent("b"), Balance { period: PERIOD + 1, spent: 0 });
}

#[test]
fn an_empty_bucket_is_as_empty_after_a_restart_less_the_time_that_passed() {
    let folder = scratch();
    let now = at("2026-11-28", 12, 0, 0);
    let source = Counting::default();
    let mut store = begin(&folder, &source, now);
    source.has_bucket("a", Duration::from_secs(50));
    source.has_bucket("full", Duration::ZERO);
    write(&mut store, &source, now);
    drop(store);
    let restarted = |later: i64| {
        let source = Counting::default();
        source.has_bucket("a", Duration::ZERO);
        source.has_bucket("full", Duration::ZERO);
        drop(begin(&folder, &source, now.saturating_add_signed(later)));
        assert_eq!(source.full_in("full"), Duration::ZERO);
        source.full_in("a")
    };
    // The clock's hour back comes first: what is opened is written again, with the time.
    assert_eq!(restarted(-3_600_000), Duration::from_secs(50), "not an hour of debt");
    assert_eq!(restarted(20_000), Duration::from_secs(30), "and no second burst");
    assert_eq!(restarted(51_000), Duration::ZERO);
}

#[test]
fn a_budget_that_a_reload_took_away_and_brought_back_stands_where_it_stood() {
    let source = Counting::default();
    source.charge("a", "m", PERIOD);
    source.charge("a", "m", PERIOD);
    let mut seen = Seen::default();
    let none = HashMap::new();
    let changes = seen.changes(&source, &none, at("2026-11-28", 1, 0, 0));
    seen.accept(changes);
    source.has_budget("a", PERIOD);
    source.charge("a", "m", PERIOD);
    let batch = seen.changes(&source, &none, at("2026-11-28", 1, 0, 1)).batch();
    assert_eq!(source.spent("a").spent, 3 * 120);
    assert_eq!(batch.budgets, [(budget("a"), Balance { period: PERIOD, spent: 3 * 120 })]);
}

#[test]
fn nothing_is_written_where_nothing_changed() {
    let source = Counting::default();
    source.charge("a", "m", PERIOD);
    source.has_bucket("a", Duration::from_millis(1_500));
    source.has_bucket("full", Duration::ZERO);
    let mut seen = Seen::default();
    let now = at("2026-11-28", 1, 0, 0);
    let changes = seen.changes(&source, &HashMap::new(), now);
    assert_eq!(changes.batch().buckets, [(bucket("a"), now + 1_500)]);
    seen.accept(changes);
    source.has_bucket("a", Duration::from_secs(1));
    assert!(seen.changes(&source, &HashMap::new(), now + 500).batch().is_empty());
}

#[test]
fn counters_that_began_anew_are_counted_from_there() {
    let mut seen = Seen::default();
    let (none, now) = (HashMap::new(), at("2026-11-28", 1, 0, 0));
    let source = Counting::default();
    (0..5).for_each(|_| source.charge("a", "m", PERIOD));
    let changes = seen.changes(&source, &none, now);
    seen.accept(changes);
    let anew = Counting::default();
    (0..2).for_each(|_| anew.charge("a", "m", PERIOD));
    let batch = seen.changes(&anew, &none, now).batch();
    assert_eq!(batch.usage, [(day(now), "a".to_owned(), "m".to_owned(), times(one(), 2))]);
}

fn day(unix_ms: u64) -> u32 {
    super::super::changes::day(unix_ms)
}

/// What decision 0080 says of the cost, measured: a month of 10,000 clients.
#[test]
fn a_write_of_many_cells_is_done_within_seconds() {
    if std::env::var_os("FIRSTBYTE_FULL").is_none() {
        return;
    }
    let folder = scratch();
    let source = Counting::default();
    let mut store = begin(&folder, &source, at("2026-01-01", 0, 0, 0));
    for client in 0..10_000 {
        source.charge(&format!("client-{client}"), "gpt-4o*", 1);
    }
    for day in 0..30 {
        let now = at("2026-01-01", 0, 0, 0) + day * 86_400_000;
        for client in 0..10_000 {
            source.charge(&format!("client-{client}"), "gpt-4o*", day);
        }
        write(&mut store, &source, now);
    }
    for many in [1, 1_000, 10_000] {
        for _ in 0..3 {
            for client in 0..many {
                source.charge(&format!("client-{client}"), "gpt-4o*", 100);
            }
            let begun = std::time::Instant::now();
            write(&mut store, &source, at("2026-01-31", 0, 0, 0));
            let took = begun.elapsed();
            eprintln!("{many} cells, in 300,000 rows: {took:?}");
            assert!(took < Duration::from_secs(5), "{many} in {took:?}");
        }
    }
    drop(store);
    let file = std::fs::metadata(folder.join("usage.redb")).unwrap();
    let begun = std::time::Instant::now();
    drop(Store::open(&folder).unwrap());
    eprintln!("{} bytes opened and checked in {:?}", file.len(), begun.elapsed());
    let begun = std::time::Instant::now();
    let rows = lines(&folder, "2026-01-01", "2026-12-31", "client").len();
    eprintln!("{rows} rows of a year by client in {:?}", begun.elapsed());
}
