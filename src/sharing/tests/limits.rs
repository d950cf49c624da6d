//! What the script does with what it is told.

use std::time::{Duration, Instant};

use super::{Ask, Instance, Take, ask, rate, section, servers};
use crate::sharing::script::Sort;

#[test]
fn what_is_reported_twice_counts_once() {
    for server in servers(&[]) {
        let me = Instance::new("me", &section(&server));
        let mut report = ask("a", rate(100), 30);
        report.seq = 7;
        assert_eq!(me.ask(&[report.clone()]).told[0].left, 70);
        assert_eq!(
            me.ask(&[report.clone()]).told[0].left,
            70,
            "lost on its way back, and sent again"
        );
        report.seq = 8;
        assert_eq!(me.ask(&[report]).told[0].left, 40);
    }
}

#[test]
fn what_one_limit_refuses_no_other_has_counted() {
    for server in servers(&[]) {
        let me = Instance::new("me", &section(&server));
        let slots = Sort::Slots { most: 3 };
        let budget = Sort::Budget { most: 1_000, forget: 0 };
        let mut all = [ask("r", rate(60), 1), ask("s", slots, 1), ask("b", budget, 900)];
        for one in &mut all {
            one.need = 1;
        }
        assert_eq!(me.ask(&all).refused, None);
        assert_eq!(me.ask(&all).refused, None, "of a budget it is enough that something is left");
        assert_eq!(me.ask(&all).refused, Some(2));
        all[1].sort = Sort::Slots { most: 2 };
        assert_eq!(me.ask(&all).refused, Some(1));
        let seen = me.ask(&[ask("r", rate(60), 0), ask("b", budget, 0)]);
        assert_eq!((seen.told[0].left, seen.told[1].left), (58, -800));
    }
}

#[test]
fn a_refusal_says_when_it_would_not_be_one() {
    for server in servers(&[]) {
        let me = Instance::new("me", &section(&server));
        let mut take = ask("a", rate(60), 60);
        take.need = 60;
        assert_eq!(me.ask(&[take.clone()]).refused, None);
        take.need = 3;
        let refused = me.ask(&[take]);
        assert_eq!(refused.refused, Some(0));
        assert!((2_500..=3_000).contains(&refused.told[0].wait), "{:?}", refused.told);
    }
}

#[test]
fn an_instance_that_says_nothing_gives_its_slots_back_and_is_no_longer_counted() {
    for server in servers(&[]) {
        let (one, other) =
            (Instance::new("one", &section(&server)), Instance::new("other", &section(&server)));
        let slots = |n| [ask("s", Sort::Slots { most: 5 }, n)];
        assert_eq!(one.ask(&slots(3)).told[0].left, 2);
        assert_eq!(other.ask(&slots(1)).told[0].left, 1);
        assert_eq!((one.instances(false), other.instances(false)), (1, 2));
        let begun = Instant::now();
        while other.ask(&slots(1)).told[0].left != 4 || other.instances(false) != 1 {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "what the dead held is not given back"
            );
            std::thread::yield_now();
        }
        assert_eq!(one.instances(false), 2);
        assert_eq!((one.instances(true), other.instances(true)), (1, 0), "who leaves says so");
    }
}

#[test]
fn a_server_that_was_emptied_has_back_what_its_instances_knew() {
    for mut server in servers(&[]) {
        let knew = {
            let me = Instance::new("me", &section(&server));
            let budget = Sort::Budget { most: 100, forget: 0 };
            me.ask(&[ask("r", rate(60), 50), ask("b", budget, 90)]).told
        };
        server.restart_empty();
        let me = Instance::new("me", &section(&server));
        let budget = Sort::Budget { most: 100, forget: 0 };
        let mut all = [ask("r", rate(60), 0), ask("b", budget, 5)];
        for (one, knew) in all.iter_mut().zip(&knew) {
            (one.era, one.floor) = (knew.era.clone(), knew.used);
        }
        let told = me.ask(&all).told;
        assert_eq!((told[0].left, told[1].left), (10, 5));
        assert!(told[0].era != knew[0].era);
        // Another one that knew less, or the same, changes nothing.
        (all[1].n, all[1].floor) = (0, 80);
        assert_eq!(me.ask(&all).told[1].left, 5);
    }
}

#[test]
fn money_is_counted_to_the_nanodollar_beyond_what_a_double_holds() {
    for server in servers(&[]) {
        let me = Instance::new("me", &section(&server));
        let budget = Sort::Budget { most: 1 << 60, forget: 0 };
        for n in [1 << 53, 1, 2] {
            me.ask(&[ask("b", budget, n)]);
        }
        assert_eq!(server.command(&["HGET", "t:{b}", "spent"]), ((1_i64 << 53) + 3).to_string());
    }
}

#[test]
fn nothing_is_kept_for_ever_but_a_budget_without_a_period() {
    for server in servers(&[]) {
        let me = Instance::new("me", &section(&server));
        let far =
            (std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
                + 60)
                * 1_000;
        let mut report = ask("r", rate(60), 60);
        report.seq = 1;
        let (slots, day) = (Sort::Slots { most: 5 }, Sort::Budget { most: 9, forget: far });
        let total = Sort::Budget { most: 9, forget: 0 };
        me.ask(&[report, ask("s", slots, 1), ask("d", day, 1), ask("t", total, 1)]);
        let lasts = |key: &str| server.command(&["PTTL", key]).parse::<i64>().unwrap();
        assert!((1..=61_000).contains(&lasts("t:{r}")));
        assert!((1..=600_000).contains(&lasts("t:{r}:me")));
        assert!((1..=1_300).contains(&lasts("t:{s}")));
        assert!((1..=60_000).contains(&lasts("t:{d}")));
        assert_eq!(lasts("t:{t}"), -1);
    }
}

#[test]
fn a_take_counts_once_however_often_it_arrives_and_not_at_all_once_it_is_void() {
    for server in servers(&[]) {
        let me = Instance::new("me", &section(&server));
        let budget = Sort::Budget { most: 100, forget: 0 };
        let slots = Sort::Slots { most: 9 };
        let left = |key: &str, sort| me.ask(&[ask(key, sort, 0)]).told[0].left;
        let take =
            |number, settled| Take { key: "t:{takes}:me".into(), number, is_void: false, settled };
        let one = |key: &str, sort| Ask { need: 1, ..ask(key, sort, 1) };
        let wants = [one("r", rate(60)), one("b", budget), one("s", slots)];
        for _ in 0..3 {
            let reply = me.take(&wants, &take(1, 1)).unwrap();
            assert_eq!(reply.refused, None);
            assert_eq!(
                reply.told.iter().map(|one| one.left).collect::<Vec<_>>(),
                [59, 99, 8],
                "what was lost is sent again"
            );
        }
        let back = [ask("r", rate(60), -1), ask("b", budget, -1)];
        let void = |number| Take { is_void: true, ..take(number, 1) };
        for _ in 0..3 {
            me.take(&back, &void(1)).unwrap();
            assert_eq!((left("r", rate(60)), left("b", budget)), (60, 100), "given back once");
        }
        assert_eq!(me.take(&wants, &take(1, 1)), None, "it arrives late");
        me.take(&back, &void(2)).unwrap();
        assert_eq!(me.take(&wants, &take(2, 1)), None, "it arrives after it was made void");
        assert_eq!((left("r", rate(60)), left("b", budget)), (60, 100));
        assert!(me.take(&wants, &take(3, 3)).is_some());
        assert_eq!(me.take(&wants, &take(2, 1)), None, "it was settled");
        assert!(me.take(&wants, &take(4, 4)).is_some());
        assert_eq!(
            server.command(&["ZCARD", "t:{takes}:me"]),
            "2",
            "the last, and what is settled"
        );
        assert_eq!((left("r", rate(60)), left("b", budget)), (58, 98));
    }
}
