//! What was refused for want of room.

use crate::record::collect::recordings::Recordings;
use crate::record::export::prometheus::{Kind, Text};
use crate::record::outcome::{Hangup, Shed};

pub(super) fn sheds(text: &mut Text, all: &Recordings) {
    let name = "firstbyte_shed_total";
    text.family(
        name,
        Kind::Counter,
        "Requests and connections rejected because a limit was reached, by reason.",
    );
    for why in Shed::ALL {
        text.sample(name, &[("reason", why.label())], all.sheds[why as usize]);
    }
    let name = "firstbyte_client_hangups_total";
    text.family(name, Kind::Counter, "Client connections closed by the proxy, by reason.");
    for why in Hangup::ALL {
        text.sample(name, &[("reason", why.label())], all.hangups[why as usize]);
    }
    let help =
        "Times that accepting connections paused because descriptors or kernel memory ran out.";
    text.single("firstbyte_accept_pauses_total", Kind::Counter, help, all.accept_pauses);
    let help = "Panics that were caught; each failed one request.";
    text.single("firstbyte_panics_total", Kind::Counter, help, all.panics);
    let help = "Header lines not forwarded because their names contain underscores.";
    text.single("firstbyte_underscore_headers_dropped_total", Kind::Counter, help, all.withheld);
}
