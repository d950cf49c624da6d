//! `client_groups`, `limits`, `budget`, `prices`: how much. Every fault with its place and a way out.

use std::time::Duration;

use super::named::{assert_fault, with};
use super::{World, least};
use crate::config::{Allowance, Amount, Budget, ClientGroupId, Config, Period};

const KEY: &str = "key: fb-0123456789abcdefghij";

fn one(rest: &str) -> String {
    with(&format!("  - name: a\n    {KEY}\n    {rest}\n"))
}

fn read(text: &str) -> Config {
    World::default().read(text).unwrap()
}

fn allowed(rest: &str) -> Allowance {
    read(&one(rest)).clients.unwrap().remove(0).allowance
}

#[test]
fn limits_are_off_unless_written_and_a_minute_s_worth_may_come_at_once() {
    let none = allowed("disabled: false");
    assert_eq!((none.rpm, none.tpm, none.concurrent), (None, None, None));
    assert!(none.budgets.is_empty());
    let all = allowed("limits: { rpm: 60, tpm: 100000, concurrent: 5 }");
    assert_eq!((all.rpm, all.tpm, all.concurrent), (Some(60), Some(100_000), Some(5)));
    assert_eq!(all.burst, Duration::from_secs(60));
    assert_eq!(allowed("limits: { rpm: 60, burst: 1s }").burst, Duration::from_secs(1));
}

#[test]
fn limits_out_of_bounds_or_unknown_are_told() {
    for (limits, expected) in [
        ("rpm: 0", "10:20: clients[0].limits.rpm: "),
        ("rpm: 1000000001", "10:20: clients[0].limits.rpm: "),
        ("rpm: 1.5", "10:20: clients[0].limits.rpm: "),
        ("rpm: -1", "10:20: clients[0].limits.rpm: "),
        ("rpm: many", "10:20: clients[0].limits.rpm: "),
        ("tpm: 0", "10:20: clients[0].limits.tpm: "),
        ("concurrent: 0", "10:27: clients[0].limits.concurrent: "),
        ("concurrent: 1000001", "10:27: clients[0].limits.concurrent: "),
        ("burst: 60", "10:22: clients[0].limits.burst: "),
    ] {
        assert_fault(&one(&format!("limits: {{ {limits} }}")), &format!("/etc/f.yaml:{expected}"));
    }
    let faults = World::default().faults(&one("limits: { rmp: 5 }"));
    assert!(faults[0].contains("clients[0].limits") && faults[0].contains("rpm"), "{faults:?}");
}

#[test]
fn a_budget_is_of_tokens_of_money_or_of_both_by_the_month_unless_written() {
    let budget = |amount, per| Budget { amount, per };
    let tokens = allowed("budget: { tokens: 10, per: day }").budgets;
    assert_eq!(tokens, [budget(Amount::Tokens(10), Period::Day)]);
    let prices = "prices: [{ model: '*', input: 1, output: 1 }]\n";
    let text = format!("{}{prices}", one("budget: { usd: 12.5, tokens: 7 }"));
    let both = read(&text).clients.unwrap().remove(0).allowance.budgets;
    let month = Period::Month;
    assert_eq!(
        both,
        [budget(Amount::Tokens(7), month), budget(Amount::NanoUsd(12_500_000_000), month)]
    );
}

#[test]
fn a_budget_of_nothing_of_too_much_or_in_words_is_told() {
    for (budget, expected) in [
        (
            "per: day",
            "10:13: clients[0].budget: needs `tokens` or `usd`; write one of them, or both",
        ),
        ("tokens: 0", "10:23: clients[0].budget.tokens: "),
        ("tokens: 1000000000000001", "10:23: clients[0].budget.tokens: "),
        ("tokens: 1, per: week", "10:31: clients[0].budget.per: "),
        (
            "tokens: 1, usd: $5",
            "10:31: clients[0].budget.usd: \"$5\" is not an amount of US dollars; write it like 25 or 0.15, without a currency sign",
        ),
        ("tokens: 1, usd: 1e3", "10:31: clients[0].budget.usd: "),
        ("tokens: 1, usd: .5", "10:31: clients[0].budget.usd: "),
        ("tokens: 1, usd: -5", "10:31: clients[0].budget.usd: "),
        ("tokens: 1, usd: 0.0000000001", "10:31: clients[0].budget.usd: "),
        (
            "tokens: 1, usd: 1000000001",
            "10:31: clients[0].budget.usd: \"1000000001\" is out of range; write at most 1000000000",
        ),
    ] {
        assert_fault(&one(&format!("budget: {{ {budget} }}")), &format!("/etc/f.yaml:{expected}"));
    }
}

#[test]
fn a_budget_in_money_needs_a_price_for_every_model() {
    let prices = |model: &str| {
        format!(
            "{}prices: [{{ model: '{model}', input: 1, output: 1 }}]\n",
            one("budget: { usd: 1 }")
        )
    };
    assert!(World::default().read(&prices("*")).is_ok());
    let what = "prices: a has a budget in `usd`, and not every model has a price; add a price for model \"*\", which \
        holds for all others";
    assert_fault(&prices("gpt-*"), &format!("/etc/f.yaml:11:9: {what}"));
    let faults = World::default().faults(&one("budget: { usd: 1 }"));
    assert!(faults.len() == 1 && faults[0].ends_with(what), "{faults:?}");
    let group = least("client_groups: { all: { budget: { usd: 1 } } }\n", "");
    let faults = World::default().faults(&group);
    assert!(
        faults.len() == 1 && faults[0].contains("prices: all has a budget in `usd`"),
        "{faults:?}"
    );
}

#[test]
fn prices_are_exact_and_each_model_has_one() {
    let prices = |one: &str| least(&format!("prices:\n  - {one}\n"), "");
    let exact = "{ model: 'gpt-4o*', input: 2.5, cached_input: 1.25, output: 10 }";
    let config = read(&prices(exact));
    let price = config.prices.of("gpt-4o-mini");
    assert_eq!(config.prices.cost(price, 1_000, 400, 100), 1_500_000 + 500_000 + 1_000_000);
    assert_eq!(config.prices.cost(config.prices.of("o3"), 1_000, 0, 100), 0, "it has none");
    let tiny = read(&prices("{ model: m, input: 0.000000001, output: 0 }"));
    assert_eq!(tiny.prices.cost(tiny.prices.of("m"), 1, 0, 0), 1, "rounded up, never to nothing");
    for (one, expected) in [
        ("{ input: 1, output: 1 }", "8:5: prices[0]: `model` is missing; it has no default"),
        ("{ model: m, output: 1 }", "8:5: prices[0]: `input` is missing; it has no default"),
        ("{ model: m, input: 1 }", "8:5: prices[0]: `output` is missing; it has no default"),
        ("{ model: 'a b', input: 1, output: 1 }", "8:14: prices[0].model: "),
        ("{ model: '', input: 1, output: 1 }", "8:14: prices[0].model: "),
        ("{ model: m, input: 1 EUR, output: 1 }", "8:24: prices[0].input: "),
        ("{ model: m, input: 1, output: '' }", "8:35: prices[0].output: "),
    ] {
        assert_fault(&prices(one), &format!("/etc/f.yaml:{expected}"));
    }
}

#[test]
fn groups_are_a_tree() {
    let groups = |text: &str| least(&format!("client_groups:\n{text}"), "");
    let config = read(&groups("  a: { parent: b, limits: { rpm: 1 } }\n  b: {}\n"));
    assert_eq!(config.client_groups[0].parent, Some(ClientGroupId(1)));
    assert_eq!(config.client_groups[0].allowance.rpm, Some(1));
    let circle =
        "leads in a circle, or through more than 8 groups; name a group that is above this one";
    assert_fault(
        &groups("  a: { parent: a }\n"),
        &format!("/etc/f.yaml:8:16: client_groups.a.parent: {circle}"),
    );
    assert_fault(
        &groups("  a: { parent: c }\n"),
        "/etc/f.yaml:8:16: client_groups.a.parent: is not a configured name; ",
    );
    let faults = World::default().faults(&groups("  a: { parent: b }\n  b: { parent: a }\n"));
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault.ends_with(circle)), "{faults:?}");
    let deep = |depth: usize| {
        let one = |nth: usize| format!("  g{nth}: {{ parent: g{} }}\n", nth + 1);
        groups(&format!("{}  g{depth}: {{}}\n", (0..depth).map(one).collect::<String>()))
    };
    assert!(World::default().read(&deep(8)).is_ok());
    assert_fault(&deep(9), &format!("/etc/f.yaml:8:17: client_groups.g0.parent: {circle}"));
    assert_fault(
        &groups("  'a b': {}\n"),
        "/etc/f.yaml:8:3: client_groups.a b: is not a valid name; ",
    );
}
