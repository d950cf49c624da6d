//! Limits that move.

use crate::record::collect::instance::Instance;
use crate::record::export::prometheus::{Kind, Text};
use crate::record::outcome::Lowered;

/// Nothing where no limit moves.
pub(super) fn limits(text: &mut Text, instance: &Instance) {
    let all = instance.adaptives.each();
    if all.is_empty() {
        return;
    }
    let name = "firstbyte_limit_streams";
    text.family(name, Kind::Gauge, "Adaptive limit of requests in flight, as it is now.");
    for (label, of, meters) in &all {
        text.sample(name, &[(label, of)], meters.bound() as u64);
    }
    let name = "firstbyte_limit_streams_in_flight";
    text.family(name, Kind::Gauge, "Requests in flight that count against an adaptive limit.");
    for (label, of, meters) in &all {
        text.sample(name, &[(label, of)], meters.in_flight() as u64);
    }
    let name = "firstbyte_limit_lowered_total";
    text.family(name, Kind::Counter, "Times that an adaptive limit was lowered, by reason.");
    for (label, of, meters) in &all {
        for why in Lowered::ALL {
            text.sample(name, &[(label, of), ("reason", why.label())], meters.count(why));
        }
    }
}
