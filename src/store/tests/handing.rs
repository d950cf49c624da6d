//! Two processes, one after the other and beside each other, on one folder.

use std::fs;

use super::*;

const PERIOD: u64 = 20_785;
const TODAY: &str = "1970-01-01";

fn keeper(folder: &Path, source: &Counting) -> Keeper {
    let (store, kept) = Store::open(folder).unwrap();
    source.add(&kept, 0);
    Keeper::start(store, Arc::new(source.clone()), None, Arc::default()).unwrap()
}

fn all(folder: &Path) -> Vec<String> {
    lines(folder, TODAY, "9999-12-31", "client")
}

fn journals(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().starts_with("journal-")).count()
}

#[test]
fn what_both_charge_after_a_handover_adds_up_and_the_new_one_knows_it() {
    let folder = scratch();
    let old = Counting::default();
    let first = keeper(&folder, &old);
    (0..3).for_each(|_| old.charge("a", "m", PERIOD));
    old.has_bucket("a", Duration::from_secs(1_000));
    first.release().unwrap();
    let new = Counting::default();
    new.has_budget("a", PERIOD);
    new.has_bucket("a", Duration::ZERO);
    let second = keeper(&folder, &new);
    assert_eq!(new.spent("a").spent, 3 * 120);
    assert!(new.full_in("a") > Duration::from_secs(900), "{:?}", new.full_in("a"));
    // Streams of both end.
    (0..4).for_each(|_| old.charge("a", "m", PERIOD));
    (0..5).for_each(|_| new.charge("a", "m", PERIOD));
    old.charge("only of the old one", "m", PERIOD);
    assert!(matches!(first.read(), Err(StoreError::Ended)), "it has it no more");
    first.finish();
    drop(second.read().unwrap());
    assert_eq!(new.spent("a").spent, 12 * 120);
    assert_eq!(journals(&folder), 0, "it was read to its end");
    second.finish();
    assert_eq!(
        all(&folder),
        ["a,12,1200,120,240,18.000000012,12", "only of the old one,1,100,10,20,1.500000001,1"]
    );
    // And what is of no limit of the new one is kept for when it is.
    let third = Counting::default();
    for client in ["a", "only of the old one"] {
        third.has_budget(client, PERIOD);
    }
    drop(keeper(&folder, &third));
    assert_eq!((third.spent("a").spent, third.spent("only of the old one").spent), (12 * 120, 120));
}

#[test]
fn what_a_killed_process_left_in_its_journal_is_counted_once() {
    let folder = scratch();
    let old = Counting::default();
    let first = keeper(&folder, &old);
    first.release().unwrap();
    old.charge("a", "m", PERIOD);
    first.finish(); // as it would lie there
    let name = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let journal = name.into_iter().find(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let journal = journal.unwrap();
    let mut torn = fs::read(&journal).unwrap();
    torn.extend_from_slice(&torn.clone()[..20]);
    fs::write(&journal, &torn).unwrap();
    assert_eq!(all(&folder), ["a,1,100,10,20,1.500000001,1"], "before a process took it in");
    for _ in 0..2 {
        let new = Counting::default();
        new.has_budget("a", PERIOD);
        drop(keeper(&folder, &new));
        assert_eq!(new.spent("a").spent, 120);
        assert_eq!(journals(&folder), 0);
        // As it would lie there had that process been killed before it removed the file.
        fs::write(&journal, &torn).unwrap();
        assert_eq!(all(&folder), ["a,1,100,10,20,1.500000001,1"]);
    }
}

#[test]
fn a_successor_that_failed_leaves_the_old_one_with_its_store() {
    let folder = scratch();
    let old = Counting::default();
    old.has_budget("a", PERIOD);
    let first = keeper(&folder, &old);
    old.charge("a", "m", PERIOD);
    first.release().unwrap();
    old.charge("a", "m", PERIOD);
    // It got as far as to have taken in some of the journal.
    drop(keeper(&folder, &Counting::default()));
    old.charge("a", "m", PERIOD);
    first.take_back().unwrap();
    old.charge("a", "m", PERIOD);
    drop(first.read().unwrap());
    assert_eq!(old.spent("a").spent, 4 * 120);
    first.finish();
    assert_eq!(all(&folder), ["a,4,400,40,80,6.000000004,4"]);
    assert_eq!(journals(&folder), 0);
    let next = Counting::default();
    next.has_budget("a", PERIOD);
    drop(keeper(&folder, &next));
    assert_eq!(next.spent("a").spent, 4 * 120);
}

#[test]
fn what_a_successor_charged_before_it_failed_is_counted_by_the_old_one() {
    let folder = scratch();
    let [old, new, next] = [(); 3].map(|()| Counting::default());
    for source in [&old, &new, &next] {
        source.has_budget("a", PERIOD);
        source.has_bucket("a", Duration::ZERO);
        source.has_bucket("b", Duration::ZERO);
    }
    let first = keeper(&folder, &old);
    old.charge("a", "m", PERIOD);
    first.release().unwrap();
    old.charge("a", "m", PERIOD);
    old.has_bucket("b", Duration::from_secs(1_000));
    let second = keeper(&folder, &new);
    (0..5).for_each(|_| new.charge("a", "m", PERIOD));
    new.charge("only of the new one", "m", PERIOD);
    new.has_bucket("a", Duration::from_secs(1_000));
    second.finish();
    old.charge("a", "m", PERIOD);
    first.take_back().unwrap();
    assert_eq!(old.spent("a").spent, 8 * 120);
    let near = |source: &Counting, client: &str| {
        let full_in = source.full_in(client);
        assert!((900..=1_010).contains(&full_in.as_secs()), "{client}: {full_in:?}");
    };
    near(&old, "a");
    near(&old, "b");
    old.charge("a", "m", PERIOD);
    first.finish();
    assert_eq!(
        all(&folder),
        ["a,9,900,90,180,13.500000009,9", "only of the new one,1,100,10,20,1.500000001,1"]
    );
    next.has_budget("only of the new one", PERIOD);
    drop(keeper(&folder, &next));
    assert_eq!((next.spent("a").spent, next.spent("only of the new one").spent), (9 * 120, 120));
    near(&next, "a");
    near(&next, "b");
}

#[test]
fn a_store_that_was_never_let_go_is_no_other_s() {
    let folder = scratch();
    let held = keeper(&folder, &Counting::default());
    let other = offline(&folder, query("2026-11-01", "2026-11-02", "client", Format::Json));
    assert!(matches!(other, Err(StoreError::InUse(_))), "{other:?}");
    drop(held);
    assert!(all(&folder).is_empty());
}
