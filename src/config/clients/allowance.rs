//! `limits` and `budget` of a client or a client group.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::key::reader::{Fields, Reader};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::optional::Optional;
use crate::config::kind::quantity::{Count, Span};
use crate::config::kind::scalar::Choice;
use crate::config::kind::{Around, Kind};

/// Of requests or tokens in a minute. Sixty nanoseconds are then one of them.
const FASTEST: u64 = 1_000_000_000;
/// Of tokens in a budget.
const MOST_TOKENS: u64 = 1_000_000_000_000_000;
/// Of US dollars in a budget.
const MOST_USD: u64 = 1_000_000_000;
/// Of one US dollar: the price of one token of a cheap model is tens of these.
pub const NANO: u64 = 1_000_000_000;

pub(in crate::config) static LIMITS: Section = Section {
    name: "limits",
    shape: Shape::One,
    required: false,
    doc: "Limits, over all workers. A request that one of them does not allow is rejected with 429, and \
          counts under none.",
    entries: &[&RPM, &TPM, &CONCURRENT, &BURST],
};

static RPM: Key<Optional<Count<u64>>> =
    Key::new("rpm", Optional(Count::within(1..=FASTEST)), "Requests per minute.");

static TPM: Key<Optional<Count<u64>>> = Key::new(
    "tpm",
    Optional(Count::within(1..=FASTEST)),
    "Tokens per minute, of requests and responses together. What a request costs is known at its end: a \
     request is let in while tokens are left.",
);

static CONCURRENT: Key<Optional<Count<usize>>> =
    Key::new("concurrent", Optional(Count::within(1..=1_000_000)), "Requests in flight at once.");

static BURST: Key<Span> = Key::new(
    "burst",
    // As OpenAI's own limits: all of a minute's may come at once.
    Span { default: Duration::from_secs(60) },
    "So much time's worth of `rpm` and `tpm` may be used at once, after a pause of that length. With `1s` \
     requests are spread evenly.",
);

pub(in crate::config) static BUDGET: Section = Section {
    name: "budget",
    shape: Shape::One,
    required: false,
    doc: "What may be used in a period. When it is used up, requests are rejected with 429 \
          `insufficient_quota`.",
    entries: &[&TOKENS, &USD, &PER],
};

static TOKENS: Key<Optional<Count<u64>>> =
    Key::new("tokens", Optional(Count::within(1..=MOST_TOKENS)), "Tokens in the period.");

static USD: Key<Optional<Usd>> =
    Key::new("usd", Optional(Usd), "US dollars in the period, by the `prices`.");

static PER: Key<Choice<Period>> = Key::new(
    "per",
    Choice {
        of: &[("day", Period::Day), ("month", Period::Month), ("total", Period::Total)],
        default: Period::Month,
    },
    "The period, by the calendar in UTC. `total`: it never begins anew.",
);

/// What a client, or a group of clients, may do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Allowance {
    /// Requests in a minute.
    pub rpm: Option<u64>,
    /// Tokens in a minute.
    pub tpm: Option<u64>,
    /// Requests in flight at once.
    pub concurrent: Option<usize>,
    /// So much time's worth of `rpm` and `tpm` may come at once.
    pub burst: Duration,
    /// What may be used in a period: of tokens, of money, or of both.
    pub budgets: Vec<Budget>,
}

/// What may be used in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How much.
    pub amount: Amount,
    /// When it begins anew.
    pub per: Period,
}

/// Of what there is a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Tokens of requests and answers.
    Tokens(u64),
    /// Nanodollars, by the price table.
    NanoUsd(u64),
}

/// When a budget begins anew, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// At midnight.
    Day,
    /// On the first day of a month.
    Month,
    /// Never.
    Total,
}

impl Allowance {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Self {
        let limits = reader.section(fields, &LIMITS);
        Self {
            rpm: reader.get(&limits, &RPM),
            tpm: reader.get(&limits, &TPM),
            concurrent: reader.get(&limits, &CONCURRENT),
            burst: reader.get(&limits, &BURST),
            budgets: Budget::read(reader, fields),
        }
    }
}

impl Budget {
    fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<Self> {
        if !fields.has(BUDGET.name) {
            return Vec::new();
        }
        let budget = reader.section(fields, &BUDGET);
        let (tokens, usd) = (reader.get(&budget, &TOKENS), reader.get(&budget, &USD));
        if !budget.has(TOKENS.name) && !budget.has(USD.name) {
            let what = "needs `tokens` or `usd`";
            reader.fault(budget.at, &*budget.path, what, "write one of them, or both");
        }
        let per = reader.get(&budget, &PER);
        let amounts = [tokens.map(Amount::Tokens), usd.map(Amount::NanoUsd)];
        amounts.into_iter().flatten().map(|amount| Self { amount, per }).collect()
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        })
    }
}

/// US dollars with up to nine decimals, as nanodollars.
pub(in crate::config) struct Usd;

impl Kind for Usd {
    type Value = u64;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<u64, Complaint> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            let what = "is not an amount of US dollars";
            return Err(Complaint::new(what, "write it like 25 or 0.15, without a currency sign"));
        }
        let nanos = whole
            .parse()
            .ok()
            .filter(|whole: &u64| *whole <= MOST_USD)
            .zip(format!("{fraction:0<9}").parse::<u64>().ok());
        nanos
            .map(|(whole, fraction)| whole * NANO + fraction)
            .ok_or_else(|| Complaint::new("is out of range", format!("write at most {MOST_USD}")))
    }

    fn absent(&self) -> u64 {
        0
    }

    fn name(&self) -> String {
        "US dollars".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [
            { "type": "number", "minimum": 0, "maximum": MOST_USD },
            { "type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,9})?$|\\$\\{" },
        ] })
    }
}
