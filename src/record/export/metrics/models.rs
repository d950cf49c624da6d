//! Requests by model, where a rule needs that.

use std::collections::BTreeMap;

use crate::record::collect::labels::Labels;
use crate::record::export::View;
use crate::record::export::prometheus::{Kind, Text};

/// Stands at zero from the start.
const CODE: &str = "200";

/// By the names of the labels: two patterns of one name must not make one series twice.
pub(super) fn requests(text: &mut Text, view: &View<'_>) {
    let (names, all) = (&*view.instance.labels, &view.totals.recordings);
    let name = "firstbyte_model_requests_total";
    text.family(
        name,
        Kind::Counter,
        "Finished requests whose model a rule needed, by route, pattern of the model, and status.",
    );
    let mut counted: BTreeMap<(&str, &str, String), u64> = BTreeMap::new();
    for (route, model) in view.instance.expected.models(names) {
        counted.entry((route, model, CODE.to_owned())).or_default();
    }
    for (key, count) in &all.models {
        let code = key.code.map_or(Labels::NONE.to_owned(), |code| code.as_str().to_owned());
        *counted.entry((names.route(key.route), names.model(key.model), code)).or_default() +=
            *count;
    }
    for ((route, model, code), count) in counted {
        text.sample(name, &[("route", route), ("model", model), ("code", &code)], count);
    }
}
