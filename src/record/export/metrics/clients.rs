//! Clients: what they used, and what is left of their limits.

use crate::record::collect::instance::clients::{ClientsShown, LimitShown, ModelShown};
use crate::record::collect::recordings::Recordings;
use crate::record::export::prometheus::{Kind, Text};
use crate::record::outcome::NoUsage;

const NANO: f64 = 1e9;

/// Nothing where clients are not known.
pub(super) fn clients(text: &mut Text, shown: Option<&ClientsShown>, all: &Recordings) {
    let Some(shown) = shown else { return };
    let name = "firstbyte_client_requests_total";
    text.family(name, Kind::Counter, "Requests of a client that an upstream answered.");
    for client in &shown.clients {
        let requests: u64 = client.models.iter().map(|model| model.requests).sum();
        text.sample(name, &[("client", &client.name)], requests);
    }
    let name = "firstbyte_client_tokens_total";
    let help = "Tokens of a client's requests (input; cached is the part of it that was read from a \
        cache) and responses (output), by model.";
    text.family(name, Kind::Counter, help);
    each_model(shown, |client, model| {
        for (kind, tokens) in
            [("input", model.input), ("cached", model.cached), ("output", model.output)]
        {
            let labels = [("client", client), ("model", &*model.model), ("kind", kind)];
            text.sample(name, &labels, tokens);
        }
    });
    let name = "firstbyte_client_cost_usd_total";
    text.family(name, Kind::Counter, "Cost of a client's requests in US dollars, by model.");
    each_model(shown, |client, model| {
        let labels = [("client", client), ("model", &*model.model)];
        text.sample(name, &labels, model.cost as f64 / NANO);
    });
    let name = "firstbyte_client_estimated_requests_total";
    let help = "Requests of a client whose tokens are an estimate, by model.";
    text.family(name, Kind::Counter, help);
    each_model(shown, |client, model| {
        text.sample(name, &[("client", client), ("model", &*model.model)], model.estimated);
    });
    limits(text, shown);
    let name = "firstbyte_usage_unknown_total";
    let help = "Requests whose tokens are an estimate, by what kept them from being read.";
    text.family(name, Kind::Counter, help);
    for why in NoUsage::ALL {
        text.sample(name, &[("reason", why.label())], all.usage_unknown[why as usize]);
    }
}

fn each_model(shown: &ClientsShown, mut each: impl FnMut(&str, &ModelShown)) {
    for client in &shown.clients {
        for model in &client.models {
            each(&client.name, model);
        }
    }
}

fn limits(text: &mut Text, shown: &ClientsShown) {
    type Number = fn(&LimitShown) -> f64;
    let families: [(&str, Kind, &str, Number); 3] = [
        (
            "firstbyte_client_limit",
            Kind::Gauge,
            "Limit or budget of a client or client group: requests or tokens that may be used at once, \
             requests in flight, tokens or US dollars in the period.",
            |limit| in_units(limit, limit.most as f64),
        ),
        (
            "firstbyte_client_balance",
            Kind::Gauge,
            "What is left of the limit or budget; below 0 where more was used than there was.",
            |limit| in_units(limit, limit.left as f64),
        ),
        (
            "firstbyte_client_refusals_total",
            Kind::Counter,
            "Requests that the limit or budget rejected.",
            |limit| limit.refused as f64,
        ),
    ];
    for (name, kind, help, number) in families {
        text.family(name, kind, help);
        for limit in shown.clients.iter().flat_map(|client| &client.limits) {
            let labels = [("client", &*limit.owner), ("limit", limit.limit)];
            text.sample(name, &labels, number(limit));
        }
        for limit in &shown.groups {
            let labels = [("client_group", &*limit.owner), ("limit", limit.limit)];
            text.sample(name, &labels, number(limit));
        }
    }
}

fn in_units(limit: &LimitShown, number: f64) -> f64 {
    if limit.limit == "budget_usd" { number / NANO } else { number }
}
