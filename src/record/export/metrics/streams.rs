//! Streams that are kept for later readers; nothing where no route keeps any.

use crate::record::collect::instance::Instance;
use crate::record::export::prometheus::{Kind, Text};
use crate::record::outcome::{KeptEnd, Resume};

pub(super) fn kept(text: &mut Text, instance: &Instance) {
    let streams = &*instance.streams;
    if !streams.is_used() {
        return;
    }
    let ((kept, readers), gauge) = (streams.gauges(), Kind::Gauge);
    let help = "Streams kept for readers that come back or join, running and ended.";
    text.single("firstbyte_kept_streams", gauge, help, kept);
    let help = "Memory that kept streams take, in bytes.";
    text.single("firstbyte_kept_stream_bytes", gauge, help, streams.bytes());
    let help = "Readers of kept streams, the requests that began them included.";
    text.single("firstbyte_kept_stream_readers", gauge, help, readers);
    let name = "firstbyte_kept_streams_ended_total";
    text.family(
        name,
        Kind::Counter,
        "Kept streams whose upstream response is over, by how it ended.",
    );
    for (end, count) in KeptEnd::ALL.iter().zip(streams.ends()) {
        text.sample(name, &[("end", end.label())], count);
    }
    let name = "firstbyte_kept_stream_resumes_total";
    text.family(name, Kind::Counter, "Requests for a kept stream, by result.");
    for (result, count) in Resume::ALL.iter().zip(streams.resumes()) {
        text.sample(name, &[("result", result.label())], count);
    }
}
