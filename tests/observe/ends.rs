//! How requests ended, by where they went, and whether an answer had begun.

use loadtest::upstream::{Cut, Script, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;

fn ended(fixture: &Fixture, labels: &str) -> u64 {
    fixture.count(&format!("firstbyte_stream_end_total{{{labels}}}"))
}

#[test]
fn an_answer_that_was_cut_is_told_from_one_that_never_began() {
    let cut = Script::new().stream().body("data: 1\n\n").cut(Cut::Rst);
    let fixture = Fixture::start(Upstream::builder().script(cut));
    let mut client = Http1::new(fixture.connect());
    client.send(&Ask::get("/v1/models"));
    assert_eq!(client.head(&Ask::get("/v1/models")).status, 200);
    fixture.wait_until("it is counted", |fixture| {
        ended(fixture, r#"outcome="upstream_failed",phase="after_head""#) == 1
    });
    let of_route = r#"route="/v1",upstream="openai",outcome="upstream_failed""#;
    assert_eq!(ended(&fixture, of_route), 1);
    assert_eq!(ended(&fixture, r#"phase="before_head""#), 0);
    assert_eq!(Http1::new(fixture.connect()).ask(&Ask::get("/nowhere")).status, 404);
    let nowhere = r#"route="none",upstream="none",outcome="refused",phase="before_head""#;
    fixture.wait_until("it is counted", |fixture| ended(fixture, nowhere) == 1);
}

#[test]
fn an_upstream_that_cannot_be_reached_failed_before_a_head() {
    let fixture = Fixture::unready(Upstream::builder(), |config| {
        // A port that nobody listens on: it was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        config.upstreams[0].port = free.local_addr().expect("an address").port();
    });
    assert_eq!(Http1::new(fixture.connect()).ask(&Ask::get("/v1/models")).status, 502);
    let failed = r#"upstream="openai",outcome="upstream_failed",phase="before_head""#;
    fixture.wait_until("it is counted", |fixture| ended(fixture, failed) == 1);
}
