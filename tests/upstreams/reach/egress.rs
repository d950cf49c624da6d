//! Upstreams behind an HTTP proxy: the way through it, and what is said where there is none.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use firstbyte::config::{Config, Egress};
use loadtest::upstream::{Builder, Script, Upstream};

use crate::support::fixture::{Fixture, KEY, PATIENCE, scratch};
use crate::support::message::Ask;
use crate::support::peers::egress_proxy::{Does, EgressProxy};
use crate::support::peers::http1_client::Http1;
use crate::support::program::{Program, program};
use crate::support::refusal::assert_failed;

fn ask() -> Ask {
    Ask::post("/v1/chat/completions", r#"{"stream":true}"#)
}

fn upstream() -> Builder {
    Upstream::builder().script(Script::new().answer(200, &[], "{}"))
}

fn through(address: SocketAddr) -> impl FnOnce(&mut Config) {
    let host = address.ip().to_string();
    move |config| {
        let proxy = Egress { host, port: address.port(), authorization: None };
        config.upstreams[0].proxy = Some(proxy);
    }
}

/// Warm pools too: each connection is a tunnel, opened before anybody asks.
#[test]
fn connections_go_through_the_proxy_and_are_warm_behind_it() {
    for builder in [upstream().http2(), upstream().http1(), upstream().clear()] {
        let upstream = builder.start().expect("the mock upstream starts");
        let proxy = EgressProxy::start(Does::Leads(upstream.addr()));
        let fixture = Fixture::unready(Upstream::builder(), |config| {
            through(proxy.address)(config);
            let meant = &mut config.upstreams[0];
            // Only the proxy knows where this is.
            "model.test".clone_into(&mut meant.host);
            meant.port = 8443;
            meant.tls.server_name = Some("localhost".into());
            if upstream.url().starts_with("https") {
                let ca = scratch().join("ca.pem");
                upstream.write_ca(&ca).expect("a file");
                meant.ca_file = Some(ca);
            } else {
                (meant.scheme, meant.ca_file) = (firstbyte::config::Scheme::Http, None);
            }
        });
        assert!(fixture.proxy.wait_ready(PATIENCE), "{}", upstream.url());
        let warm = proxy.asked();
        assert!(warm.len() >= 2, "{warm:?}");
        assert!(warm.iter().all(|head| {
            head == "CONNECT model.test:8443 HTTP/1.1\r\nHost: model.test:8443\r\n\r\n"
        }));
        for _ in 0..10 {
            assert_eq!(Http1::new(fixture.connect()).ask(&ask()).status, 200);
        }
        assert_eq!(upstream.requests(), 10);
        assert_eq!(fixture.count(r#"firstbyte_cold_requests_total{upstream="openai"}"#), 0);
        let host = upstream.log().requests[0].authority.clone();
        let host = host.or_else(|| upstream.log().requests[0].header("host").map(Into::into));
        assert_eq!(host.as_deref(), Some("model.test:8443"));
    }
}

#[test]
fn a_proxy_that_does_not_lead_on_says_why() {
    for (answer, cause) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy_authentication"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\ndeny", "proxy_denied"),
        ("HTTP/1.0 503 Service Unavailable\r\n\r\n", "proxy_failed"),
        ("220 smtp.test ESMTP\r\n\r\n", "proxy_not_http"),
        ("HTTP/1.1 200", "proxy_closed"),
        ("", "proxy_closed"),
    ] {
        let proxy = EgressProxy::start(Does::Answers(answer));
        let fixture = Fixture::unready(upstream(), through(proxy.address));
        let came = Http1::new(fixture.connect()).ask(&ask());
        assert_failed(&came, 502, "connect_refused", cause);
    }
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let fixture = Fixture::unready(upstream(), through(free));
    let came = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&came, 502, "connect_refused", "proxy_unreachable");
    let fixture = Fixture::unready(upstream(), |config| {
        through(free)(config);
        if let Some(proxy) = &mut config.upstreams[0].proxy {
            proxy.host = "firstbyte..invalid".into();
        }
    });
    let came = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&came, 502, "dns_error", "proxy_dns_failed");
    let proxy = EgressProxy::start(Does::Waits);
    let fixture = Fixture::unready(upstream(), |config| {
        through(proxy.address)(config);
        config.upstreams[0].deadlines.connect = Duration::from_millis(200);
    });
    let came = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&came, 504, "connect_timeout", "proxy_timeout");
}

/// What is wrong behind the proxy is not the proxy's.
#[test]
fn tls_is_end_to_end_through_it() {
    let upstream = upstream().http2().start().expect("the mock upstream starts");
    let proxy = EgressProxy::start(Does::Leads(upstream.addr()));
    let fixture = Fixture::unready(Upstream::builder(), |config| {
        through(proxy.address)(config);
        config.upstreams[0].ca_file = None;
    });
    let came = Http1::new(fixture.connect()).ask(&ask());
    assert_failed(&came, 502, "tls_error", "tls_unknown_authority");
    assert_eq!(upstream.requests(), 0, "no key goes there");
}

/// A program in front of `https://model.test:8443`, in whose environment `proxy` is.
fn with_environment(upstream: &Upstream, line: &str, variables: &[(&str, &str)]) -> Program {
    let directory = scratch();
    upstream.write_ca(directory.join("ca.pem")).expect("a file");
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nallowed_hosts: '*'\n\
         access_log: file:access.jsonl\nupstreams:\n  model:\n    url: https://model.test:8443/v1\n    \
         server_name: localhost\n    ca_file: ca.pem\n    key: {KEY}\n{line}\
         routes: [{{ path: /v1, upstream: model }}]\n"
    );
    let file = directory.join("firstbyte.yaml");
    std::fs::write(&file, text).expect("a file");
    let mut command = program();
    for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command.arg("-c").arg(&file).envs(variables.iter().copied());
    Program::spawn(&mut command)
}

#[test]
fn https_proxy_and_no_proxy_are_obeyed_and_a_proxy_of_its_own_comes_first() {
    let upstream = upstream().http2().start().expect("the mock upstream starts");
    let [theirs, ours] = [(), ()].map(|()| EgressProxy::start(Does::Leads(upstream.addr())));
    let url = format!("http://user:p%40ss-canary@{}", theirs.address);
    let own = format!("    proxy: http://{}\n", ours.address);
    for name in ["HTTPS_PROXY", "https_proxy"] {
        let proxy = with_environment(&upstream, "", &[(name, &url)]);
        assert_eq!(Http1::new(proxy.connect()).ask(&ask()).status, 200);
        proxy.terminate();
        let (_, said) = proxy.ended();
        assert!(!said.contains("canary"), "{said}");
    }
    let basic = "Proxy-Authorization: Basic dXNlcjpwQHNzLWNhbmFyeQ==\r\n";
    assert!(theirs.asked().iter().all(|head| head.contains(basic)), "{:?}", theirs.asked());
    let before = theirs.asked().len();
    let proxy = with_environment(&upstream, &own, &[("HTTPS_PROXY", &url)]);
    assert_eq!(Http1::new(proxy.connect()).ask(&ask()).status, 200);
    assert!(!ours.asked().is_empty() && !ours.asked()[0].contains("Authorization"));
    for (line, list) in [("    proxy: off\n", ""), ("", "x, .test"), ("", "*")] {
        let variables = [("HTTPS_PROXY", &*url), ("NO_PROXY", list)];
        let proxy = with_environment(&upstream, line, &variables);
        let came = Http1::new(proxy.connect()).ask(&ask());
        assert_failed(&came, 502, "dns_error", "dns_failed");
    }
    assert_eq!(theirs.asked().len(), before, "it is not asked for those");
    let seen = upstream.log().requests;
    assert!(seen.iter().all(|seen| seen.header("proxy-authorization").is_none()), "{seen:?}");
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_at_the_start() {
    for (variable, expected) in
        [("socks5h://user:canary@p:1080", "SOCKS"), ("https://p:3128", "TLS to a proxy")]
    {
        let output = program()
            .env("OPENAI_API_KEY", KEY)
            .env("OPENAI_BASE_URL", "https://model.test/v1")
            .env("HTTPS_PROXY", variable)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{said}");
        assert!(said.contains("HTTPS_PROXY") && !said.contains("canary"), "{said}");
    }
}

#[test]
fn check_says_which_way_an_upstream_is_reached() {
    let file = scratch().join("firstbyte.yaml");
    let text =
        "upstreams: { a: { url: https://model.test/v1 } }\nroutes: [{ path: /v1, upstream: a }]\n";
    std::fs::write(&file, text).expect("a file");
    let mut command = program();
    command
        .env("HTTPS_PROXY", "http://user:canary@10.0.0.9:3128")
        .arg("check")
        .arg("-c")
        .arg(&file);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("through the proxy 10.0.0.9:3128"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}
