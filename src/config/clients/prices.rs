//! `prices`: what tokens cost, for budgets in money and for reports.

use super::allowance::Usd;
use crate::config::key::reader::{Fields, Reader};
use crate::config::key::{Key, Section, Shape};
use crate::config::kind::optional::Optional;
use crate::config::models::{Glob, GlobText};

/// Prices are of a million tokens.
const MILLION: u128 = 1_000_000;

pub(in crate::config) static PRICES: Section = Section {
    name: "prices",
    shape: Shape::List,
    required: false,
    doc: "What tokens cost, in US dollars for a million, by model. Budgets in `usd`, and the costs in \
          logs, metrics and usage reports, are made of it.",
    entries: &[&MODEL, &INPUT, &CACHED_INPUT, &OUTPUT],
};

static MODEL: Key<GlobText> = Key::required(
    "model",
    GlobText,
    "Names of models: `*` stands for any text. The pattern with the most other letters decides.",
);

static INPUT: Key<Usd> = Key::required("input", Usd, "Price of a million tokens of requests.");

static CACHED_INPUT: Key<Optional<Usd>> = Key::new(
    "cached_input",
    Optional(Usd),
    "The same of tokens that the upstream read from its cache. Without it as `input`.",
);

static OUTPUT: Key<Usd> =
    Key::required("output", Usd, "Price of a million tokens of responses, reasoning included.");

/// The price table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices(Vec<Price>);

/// What tokens of some models cost, in nanodollars for a million.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// Of which models.
    pub model: Glob,
    input: u64,
    cached: u64,
    output: u64,
}

/// Index into the price table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceId(usize);

impl Prices {
    pub(in crate::config) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Self {
        let mut prices = Vec::new();
        for fields in reader.list(root, &PRICES) {
            let input = reader.get(&fields, &INPUT);
            prices.push(Price {
                model: reader.get(&fields, &MODEL),
                input,
                cached: reader.get(&fields, &CACHED_INPUT).unwrap_or(input),
                output: reader.get(&fields, &OUTPUT),
            });
        }
        Self(prices)
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Price> {
        self.0.iter()
    }

    /// Whether every model has a price.
    pub(in crate::config) fn is_whole(&self) -> bool {
        self.0.iter().any(|price| price.model.is_any())
    }

    /// The price of a model by its name; `None` where it has none.
    pub fn of(&self, model: &str) -> Option<PriceId> {
        Glob::best(self.0.iter().map(|price| &price.model), model).map(PriceId)
    }

    /// The price of the dearest of these models, by their output first: where a request names several, the upstream
    /// chooses.
    pub fn dearest<'a>(&self, models: impl Iterator<Item = &'a str>) -> Option<PriceId> {
        let all = models.filter_map(|model| self.of(model));
        all.max_by_key(|id| self.0.get(id.0).map(|price| (price.output, price.input)))
    }

    /// Nanodollars, rounded up. `cached` is the part of `input` that was read from a cache.
    pub fn cost(&self, price: Option<PriceId>, input: u64, cached: u64, output: u64) -> u64 {
        let Some(price) = price.and_then(|PriceId(nth)| self.0.get(nth)) else { return 0 };
        let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let cached = cached.min(input);
        let sum = part(input - cached, price.input)
            + part(cached, price.cached)
            + part(output, price.output);
        u64::try_from(sum.div_ceil(MILLION)).unwrap_or(u64::MAX)
    }
}
