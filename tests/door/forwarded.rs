//! Who the client is where proxies stand in front, and what an upstream is told of it.

use loadtest::upstream::{Script, Upstream};

use super::{clear, ready};
use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::peers::http1_client::Http1;
use crate::support::peers::http2_client::Http2;

fn behind(trusted: &str, forwarded: &str) -> Fixture {
    let upstream = clear(Upstream::builder().script(Script::new().answer(200, &[], "{}")));
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: file:access.jsonl\n\
         {trusted}\nupstreams:\n  a: {{ url: '{}/v1', protocol: http2{forwarded} }}\n\
         routes: [{{ path: /v1, upstream: a }}]\n",
        upstream.url()
    );
    ready(upstream, &text)
}

fn saying(name: &str, value: &str) -> Ask {
    Ask::get("/v1/models").header(name, value)
}

/// The three lines as the upstream got them with its last request.
fn told(fixture: &Fixture) -> [Option<String>; 3] {
    let log = fixture.upstream.log();
    let last = log.requests.last().expect("a request");
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]
        .map(|name| last.header(name).map(str::to_owned))
}

#[test]
fn the_log_names_who_a_trusted_proxy_names_and_nobody_else_s_word_counts() {
    for (trusted, expected) in [
        ("trusted_proxies: 127.0.0.0/8", ["192.0.2.7", "192.0.2.8"]),
        ("trusted_proxies: [10.0.0.0/8]", ["127.0.0.1:", "127.0.0.1:"]),
        ("", ["127.0.0.1:", "127.0.0.1:"]),
    ] {
        let fixture = behind(trusted, "");
        let asks =
            [saying("x-forwarded-for", "6.6.6.6, 192.0.2.7"), saying("forwarded", "for=192.0.2.8")];
        Http1::new(fixture.connect()).ask(&asks[0]);
        Http2::connect(fixture.address()).ask(&asks[1]);
        assert_eq!(told(&fixture), [None, None, None], "the upstream is told nothing");
        let log = fixture.access_log();
        for (line, expected) in log.iter().zip(expected) {
            let client = line["client"].as_str().expect("text");
            assert!(client.starts_with(expected), "{trusted}: {client}");
        }
    }
}

#[test]
fn an_upstream_of_ones_own_is_told_of_the_client_where_that_is_wanted() {
    let some = |lines: [&str; 3]| lines.map(|line| Some(line.to_owned()));
    let said = saying("x-forwarded-for", "192.0.2.7")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "chat.test");
    let trusted = "trusted_proxies: 127.0.0.1";
    for (trusted, how, expected) in [
        (trusted, "set", ["192.0.2.7", "https", "chat.test"]),
        (trusted, "append", ["192.0.2.7, 127.0.0.1", "https", "chat.test"]),
        ("", "set", ["127.0.0.1", "http", "localhost"]),
        ("", "append", ["127.0.0.1", "http", "localhost"]),
    ] {
        let fixture = behind(trusted, &format!(", forwarded: {how}"));
        Http1::new(fixture.connect()).ask(&said);
        assert_eq!(told(&fixture), some(expected), "{trusted} {how}");
    }
}
