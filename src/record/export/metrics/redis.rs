//! Limits that are shared by Redis; nothing where they are not.

use super::WAIT;
use crate::record::collect::instance::Instance;
use crate::record::collect::instance::redis::Counted;
use crate::record::export::prometheus::{Kind, Text};

pub(super) fn shared(text: &mut Text, instance: &Instance) {
    let redis = &*instance.redis;
    if !redis.is_used() {
        return;
    }
    let gauge = Kind::Gauge;
    let help = "1 while limits are shared through Redis; 0 while `on_loss` holds.";
    text.single("firstbyte_redis_connected", gauge, help, u64::from(redis.is_connected()));
    let help = "Instances that share limits, this one included, when that was last known.";
    text.single("firstbyte_redis_instances", gauge, help, redis.instances());
    let (limits, overshoot) = redis.leases();
    let help = "Shared limits that are not full, or are in use.";
    text.single("firstbyte_redis_limits", gauge, help, limits);
    let help = "The most that all instances together could take beyond a limit before they hear of each \
        other, as a part of the limit; of all limits the largest.";
    text.single("firstbyte_redis_overshoot_ratio", gauge, help, overshoot);
    let name = "firstbyte_redis_errors_total";
    text.family(name, Kind::Counter, "Exchanges with Redis that failed, by reason.");
    for (reason, count) in redis.counted(Counted::Errors) {
        text.sample(name, &[("reason", reason)], count);
    }
    let name = "firstbyte_redis_takes_total";
    text.family(name, Kind::Counter, "Requests that asked Redis first (`exact`), by result.");
    for (result, count) in redis.counted(Counted::Takes) {
        text.sample(name, &[("result", result)], count);
    }
    let name = "firstbyte_redis_sync_seconds";
    text.family(name, Kind::Histogram, "Time of the exchanges with Redis, off the request path.");
    redis.with_syncs(|syncs| text.histogram(name, &[], syncs, &WAIT));
}
