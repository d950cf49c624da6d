//! What an operator sees of clients that leave, and of a proxy that does.

use std::time::Duration;

use loadtest::upstream::{Builder, Script, Upstream};

use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::group::ask;
use crate::support::peers::http1_client::Http1;

fn silent() -> Builder {
    Upstream::builder().script(Script::new().stream().body("data: 1\n\n").stall())
}

#[test]
fn how_long_an_upstream_went_untold_that_its_client_left_is_in_metrics_and_log() {
    for upstream in [silent().http2(), silent().http1()] {
        let fixture = Fixture::start(upstream);
        let mut client = Http1::new(fixture.connect());
        client.send(&ask());
        assert_eq!(client.head(&ask()).status, 200);
        drop(client);
        assert!(fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "it is told");
        fixture.wait_until("it is counted", |fixture| {
            fixture.count("firstbyte_cancel_seconds_count") == 1
        });
        let line = fixture.access_log().remove(0);
        let took = line["cancel_us"].as_f64().expect("a time");
        assert!(line["outcome"] == "client_gone" && took <= PATIENCE.as_micros() as f64, "{line}");
    }
}

#[test]
fn a_drain_is_seen_while_it_lasts() {
    let fixture = Fixture::configured(silent(), |config| config.client.drain = PATIENCE);
    let mut client = Http1::new(fixture.connect());
    client.send(&ask());
    assert_eq!(client.head(&ask()).status, 200);
    assert_eq!(fixture.count("firstbyte_draining"), 0);
    assert!(fixture.metric("firstbyte_drain_seconds") <= 0.0);
    fixture.proxy.drain();
    assert_eq!(
        (fixture.count("firstbyte_draining"), fixture.count("firstbyte_streams_in_flight")),
        (1, 1)
    );
    let begun = fixture.metric("firstbyte_drain_seconds");
    fixture.wait_until("time passes", |fixture| fixture.metric("firstbyte_drain_seconds") > begun);
    assert!(begun < Duration::from_secs(60).as_secs_f64());
}
