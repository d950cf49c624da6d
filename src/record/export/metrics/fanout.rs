//! Streams and events that are shared by Redis; nothing where none are.

use crate::record::collect::instance::Instance;
use crate::record::export::prometheus::{Kind, Text};

pub(super) fn shared(text: &mut Text, instance: &Instance) {
    let fanout = &*instance.fanout;
    if !fanout.is_used() {
        return;
    }
    let (gauge, [own, mirrored, names]) = (Kind::Gauge, fanout.gauges());
    let help =
        "1 while kept streams and named events are shared through Redis; 0 while it is lost.";
    text.single("firstbyte_fanout_connected", gauge, help, u64::from(fanout.is_connected()));
    let name = "firstbyte_fanout_streams";
    text.family(
        name,
        gauge,
        "Running streams written to Redis (`own`) and read from it (`mirrored`).",
    );
    text.sample(name, &[("kind", "own")], own);
    text.sample(name, &[("kind", "mirrored")], mirrored);
    let help = "Names of events that this process reads from Redis.";
    text.single("firstbyte_fanout_names", gauge, help, names);
    let help = "Streams whose sharing stopped because Redis was slow or lost; other processes see them \
                cut or not at all.";
    let name = "firstbyte_fanout_streams_unshared_total";
    text.single(name, Kind::Counter, help, fanout.streams_unshared());
    let name = "firstbyte_fanout_errors_total";
    text.family(name, Kind::Counter, "Exchanges with Redis that failed, by reason.");
    for (reason, count) in fanout.errors() {
        text.sample(name, &[("reason", reason)], count);
    }
}
