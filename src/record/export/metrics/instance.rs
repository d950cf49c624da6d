//! The process: its bounds, its configuration, its drain, and what the kernel says of it.

use std::time::UNIX_EPOCH;

use crate::record::collect::instance::Instance;
use crate::record::collect::instance::ceilings::Ceilings;
use crate::record::collect::instance::configured::Configured;
use crate::record::collect::instance::store::StoreMeter;
use crate::record::export::View;
use crate::record::export::process::Process;
use crate::record::export::prometheus::{Kind, Text};

pub(super) fn ceilings(text: &mut Text, ceilings: &Ceilings) {
    let gauge = Kind::Gauge;
    let help = "Limit of client connections open at the same time.";
    text.single("firstbyte_client_connections_max", gauge, help, ceilings.connections());
    let Some((ceiling, used, level)) = ceilings.memory() else { return };
    let help = "Memory limit, in bytes.";
    text.single("firstbyte_memory_ceiling_bytes", gauge, help, ceiling);
    let help = "Memory that counts against the limit, in bytes, when it was last sampled.";
    text.single("firstbyte_memory_used_bytes", gauge, help, used);
    let help = "State of the memory limit: 0 accepts everything, 1 rejects new requests, 2 rejects \
        new connections too.";
    text.single("firstbyte_memory_level", gauge, help, u64::from(level));
}

pub(super) fn store(text: &mut Text, store: &StoreMeter) {
    let Some(unwritten) = store.unwritten() else { return };
    let help = "Seconds for which usage and balances could not be written to the store; 0 while they are. Absent \
        without `store`.";
    text.single("firstbyte_store_unwritten_seconds", Kind::Gauge, help, unwritten.as_secs_f64());
}

pub(super) fn ourselves(text: &mut Text, view: &View<'_>) {
    let View { instance, totals, log_dropped } = *view;
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    let help = "Requests in flight, from the request head to the end of the response.";
    text.single("firstbyte_streams_in_flight", gauge, help, totals.gauges.streams_in_flight);
    let help = "Open client connections.";
    text.single("firstbyte_client_connections", gauge, help, totals.gauges.client_connections);
    let drained_for = instance.drained_for();
    let help =
        "1 while the process leaves, from its lame duck on, until its requests are finished.";
    text.single("firstbyte_draining", gauge, help, u64::from(drained_for.is_some()));
    let help = "Seconds since the process began to leave; 0 before.";
    let seconds = drained_for.unwrap_or_default().as_secs_f64();
    text.single("firstbyte_drain_seconds", gauge, help, seconds);
    let help = "Requests (streams, not connections) cut at the end of a drain.";
    text.single("firstbyte_drain_cut_total", counter, help, totals.recordings.cut);
    let help = "Access log lines lost because the log was too slow or could not be written.";
    text.single("firstbyte_access_log_dropped_total", counter, help, log_dropped);
    let help = "Configured workers.";
    text.single("firstbyte_workers", gauge, help, instance.workers);
    let help = "Times that a scrape left a worker out because it did not respond in time.";
    text.single("firstbyte_worker_scrape_misses_total", counter, help, totals.missed);
    let name = "firstbyte_build_info";
    text.family(
        name,
        gauge,
        "Always 1; the labels are the version and the commit of the running program.",
    );
    text.sample(name, &[("version", instance.version), ("commit", instance.commit)], 1);
}

pub(super) fn configured(text: &mut Text, configured: &Configured) {
    let (applied, refused) = configured.reloads();
    let name = "firstbyte_reloads_total";
    text.family(name, Kind::Counter, "Reloads of the configuration, by result.");
    text.sample(name, &[("result", "applied")], applied);
    text.sample(name, &[("result", "refused")], refused);
    let (digest, since) = configured.in_force();
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let help = "Time when the configuration in force was applied, in seconds since the Unix epoch.";
    text.single("firstbyte_config_applied_timestamp_seconds", Kind::Gauge, help, since);
    let name = "firstbyte_config_info";
    text.family(
        name,
        Kind::Gauge,
        "Always 1; the label is the beginning of the configuration file's SHA-256.",
    );
    text.sample(name, &[("sha256", &digest)], 1);
}

pub(super) fn process(text: &mut Text, instance: &Instance) {
    let now = Process::read();
    let help = "User and system CPU time spent, in seconds.";
    text.single("process_cpu_seconds_total", Kind::Counter, help, now.cpu_seconds);
    let start = instance.started_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let help = "Start time of the process since the Unix epoch, in seconds.";
    text.single("process_start_time_seconds", Kind::Gauge, help, start);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Resident memory, in bytes.", now.resident_bytes),
        ("process_virtual_memory_bytes", "Virtual memory, in bytes.", now.virtual_bytes),
        ("process_threads", "Threads.", now.threads),
        ("process_open_fds", "Open file descriptors.", now.open_fds),
        ("process_max_fds", "Limit of open file descriptors.", now.max_fds),
    ] {
        if let Some(value) = value {
            text.single(name, Kind::Gauge, help, value);
        }
    }
}
