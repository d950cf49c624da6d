//! `firstbyte check --connect`: each upstream tried as a request would reach it.

use std::fs;
use std::net::TcpListener;

use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::scratch;
use crate::support::program::{program, run};

fn answering(status: u16) -> loadtest::upstream::Builder {
    Upstream::builder().script(Script::new().answer(status, &[], "{}"))
}

/// The lines of the table, each by its upstream.
fn line<'a>(out: &'a str, upstream: &str) -> &'a str {
    let mut lines = out.lines().filter(|line| line.starts_with(&format!("{upstream} ")));
    lines.next_back().unwrap_or_else(|| panic!("no line for {upstream} in {out}"))
}

#[test]
fn each_upstream_gets_a_line_that_says_how_far_a_request_would_come() {
    let [good, plain, closed] = [
        answering(200).http2().start().expect("it starts"),
        answering(200).clear().http1().start().expect("it starts"),
        answering(401).http2().start().expect("it starts"),
    ];
    let folder = scratch();
    for (name, upstream) in [("good", &good), ("closed", &closed)] {
        if upstream.url().starts_with("https") {
            upstream.write_ca(folder.join(format!("{name}.pem"))).expect("it can be written");
        }
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dead = free.local_addr().expect("an address");
    drop(free);
    let of = |name: &str, upstream: &Upstream, ca: &str| {
        let tls = upstream.url().starts_with("https");
        let ca =
            if tls && !ca.is_empty() { format!("    ca_file: {ca}.pem\n") } else { String::new() };
        let http2 = if tls { "" } else { "    protocol: http2\n" };
        let http2 = if name == "plain" { "" } else { http2 };
        format!("  {name}:\n    url: {}\n{ca}{http2}", upstream.base_url())
    };
    let file = folder.join("firstbyte.yaml");
    let text = format!(
        "upstreams:\n{}{}{}{}  dead:\n    url: http://{dead}/v1\n  nowhere:\n    url: \
         http://no-such-name.invalid/v1\nroutes:\n  - path: /v1\n    upstream: good\n",
        of("good", &good, "good"),
        of("plain", &plain, ""),
        of("closed", &closed, "closed"),
        of("distrusted", &good, "")
    );
    fs::write(&file, text).expect("it can be written");
    let (code, out, said) = run(&["check", "--connect", "-c", file.to_str().expect("text")]);
    println!("{out}{said}");
    assert_eq!(code, Some(1), "not all would serve");
    assert!(out.starts_with("ok: "), "{out}");
    let good_line = line(&out, "good");
    assert!(good_line.contains("127.0.0.1:"), "{good_line}");
    assert!(good_line.contains("HTTP/2, GET /v1/models: 200 in "), "{good_line}");
    assert!(line(&out, "plain").contains("HTTP/1.1, GET /v1/models: 200 in "), "{out}");
    assert!(line(&out, "closed").contains("401") && line(&out, "closed").contains("check `key`"));
    assert!(line(&out, "dead").contains("TCP failed: refused: 127.0.0.1:"), "{out}");
    assert!(line(&out, "nowhere").contains("DNS failed: "), "{out}");
    if good.url().starts_with("https") {
        assert!(line(&out, "distrusted").contains("TLS failed: "), "{out}");
    }
    // One connection for each that can be reached, and one request: it costs nobody more.
    assert_eq!([plain.requests(), closed.requests()], [1, 1]);
    assert!(out.lines().any(|line| line.starts_with("upstream ") && line.contains("handshake")));
}

#[test]
fn where_all_would_serve_it_exits_with_success_and_needs_no_file() {
    let upstream = answering(200).clear().http1().start().expect("it starts");
    let output = program()
        .args(["check", "--connect"])
        .env("OPENAI_API_KEY", "sk-canary-0123")
        .env("OPENAI_BASE_URL", upstream.base_url())
        .output()
        .expect("it runs");
    let out = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{out}");
    assert!(line(&out, "openai").contains("GET /v1/models: 200 in "), "{out}");
    assert!(!out.contains("canary"), "{out}");
    let seen = upstream.log().requests.remove(0);
    assert_eq!(seen.header("authorization"), Some("Bearer sk-canary-0123"));
}
