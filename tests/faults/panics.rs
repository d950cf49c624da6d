//! A panic fails the request that it is in. It is raised by what no file can say and [`Config`]'s fields
//! can: a group whose member is an upstream that is not there.

use firstbyte::config::{
    Config, Group, GroupId, Member, Pick, Protocol, Retry, Route, Target, Triggers, UpstreamId,
    WhenEjected,
};
use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::raw_http2;
use crate::support::refusal::assert_refused;

/// Where a request goes that is to panic.
const BROKEN: &str = "/broken/v1/models";

/// Requests in all, one of which panics.
const ALL: usize = 10_000;

fn broken(config: &mut Config) {
    config.upstreams[0].protocol = Protocol::Http2;
    config.groups.push(Group {
        name: "nobody".into(),
        members: vec![Member { upstream: UpstreamId(7), weight: 1, tier: 0 }],
        pick: Pick::Weighted,
        failover_on: Triggers::default(),
        retry: Retry::default(),
        when_all_ejected: WhenEjected::Ask,
        hedge: None,
    });
    config.routes.push(Route::new("/broken", Target::Group(GroupId(0))));
}

fn fixture() -> Fixture {
    let ok = Script::new().answer(200, &[], "ok");
    Fixture::unready(Upstream::builder().clear().http2().log(false).script(ok), broken)
}

/// One in ten thousand, on connections that carry others at the same time.
#[test]
fn a_panic_fails_exactly_one_request_of_ten_thousand() {
    let fixture = fixture();
    let statuses = raw_http2::block_on(async {
        let mut clients = Vec::new();
        for nth in 0..8 {
            let client = raw_http2::Client::connect(fixture.address()).await;
            clients.push(tokio::spawn(async move {
                let mut statuses = Vec::new();
                for round in 0..ALL / 80 {
                    let mut answers = Vec::new();
                    for at in 0..10 {
                        let panics = (nth, round, at) == (3, 60, 5);
                        answers.push(
                            client.send(if panics { BROKEN } else { "/v1/models" }, b"").await,
                        );
                    }
                    for answer in answers {
                        statuses.push(answer.await.map_or(0, |answer| answer.status().as_u16()));
                    }
                }
                statuses
            }));
        }
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.await.expect("a client"));
        }
        all
    });
    assert_eq!(statuses.len(), ALL);
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), ALL - 1);
    assert_eq!(fixture.count("firstbyte_panics_total"), 1);
    assert_eq!(fixture.count("firstbyte_streams_in_flight"), 0);
    let ready = r#"firstbyte_upstream_connections{upstream="openai",state="ready"}"#;
    assert!(fixture.count(ready) >= 2, "the pool is well");
    let lines = fixture.access_log();
    let failed: Vec<_> = lines.iter().filter(|line| line["status"] == 500).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["error"], "internal");
}

#[test]
fn a_panic_is_told_as_an_error_of_ours_and_the_connection_goes_on() {
    let fixture = fixture();
    let mut client = Http1::new(fixture.connect());
    for _ in 0..3 {
        assert_refused(&client.ask(&Ask::get(BROKEN)), 500, "internal");
        assert_eq!(client.ask(&Ask::get("/v1/models")).status, 200);
    }
}
