//! TLS toward clients.

use std::time::UNIX_EPOCH;

use crate::record::collect::instance::Instance;
use crate::record::collect::recordings::Recordings;
use crate::record::export::prometheus::{Kind, Text};
use crate::record::outcome::Handshake;

pub(super) fn handshakes(text: &mut Text, all: &Recordings) {
    let name = "firstbyte_tls_handshakes_total";
    text.family(name, Kind::Counter, "TLS handshakes with clients, by result.");
    for became in Handshake::ALL {
        text.sample(name, &[("result", became.label())], all.handshakes[became as usize]);
    }
}

pub(super) fn certificates(text: &mut Text, instance: &Instance) {
    let all = instance.certificates();
    if all.is_empty() {
        return;
    }
    let name = "firstbyte_tls_certificate_expiry_timestamp_seconds";
    let help = "Time when a listener's certificate expires, in seconds since the Unix epoch.";
    text.family(name, Kind::Gauge, help);
    for (file, expires) in all {
        let seconds = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        text.sample(name, &[("certificate", &file)], seconds);
    }
}
