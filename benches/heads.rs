//! What a request's and an answer's head cost on their way through, with the headers that `OpenAI`'s
//! Python SDK and API send. Every round needs a fresh copy (and drops it): measured alone too, to be
//! subtracted.

#![expect(clippy::expect_used, reason = "a bench that cannot start must say so")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use firstbyte::config::{
    Dns, Forwarded, HealthPolicy, Outgoing, Pool, Protocol, Redirects, Route, Scheme, Target,
    Upstream, UpstreamDeadlines, UpstreamId, UpstreamTls,
};
use firstbyte::relay::head::{UpstreamHead, answer};
use firstbyte::route::Table;
use firstbyte::upstream::HeadScan;
use http::{HeaderValue, Request, Response, Version, request, response};
use scripted::texts::{ANSWER, REQUEST, lines};

fn client() -> request::Parts {
    let mut head = Request::post("/v1/chat/completions");
    head = head.header("host", "127.0.0.1:8080").header("content-length", "512");
    for (name, value) in lines(REQUEST) {
        head = head.header(name, value);
    }
    head.body(()).expect("a request").into_parts().0
}

fn upstreams() -> response::Parts {
    let mut head = Response::builder().version(Version::HTTP_2);
    head = head.header("x-request-id", "req_0123456789abcdef");
    for (name, value) in lines(ANSWER) {
        head = head.header(name, value);
    }
    head.body(()).expect("an answer").into_parts().0
}

fn upstream(base_path: &str) -> Upstream {
    Upstream {
        name: "openai".to_owned(),
        scheme: Scheme::Https,
        host: "api.openai.com".to_owned(),
        port: 443,
        socket: None,
        proxy: None,
        base_path: base_path.to_owned(),
        key: Some("sk-proj-9876543210987654321098765432109876543210".to_owned().into()),
        forward_authorization: false,
        outgoing: Outgoing::default(),
        redirects: Redirects::Rewrite,
        underscores_in_headers: false,
        forwarded: Forwarded::Off,
        organization: None,
        project: None,
        host_header: None,
        ca_file: None,
        tls: UpstreamTls::default(),
        protocol: Protocol::Auto,
        pool: Pool::default(),
        deadlines: UpstreamDeadlines::default(),
        dns: Dns::default(),
        health: HealthPolicy::default(),
        probe: None,
        streams: None,
        adapt: None,
    }
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("request head");
    let parts = client();
    group.bench_function("the copy alone", |b| {
        b.iter(|| black_box(&parts).clone());
    });
    for (name, base, version) in [
        ("to HTTP/2, same path", "/v1", Version::HTTP_2),
        ("to HTTP/2, another path", "/openai/v1", Version::HTTP_2),
        ("to HTTP/1.1, same path", "/v1", Version::HTTP_11),
    ] {
        let head = UpstreamHead::new(&upstream(base), true).expect("an upstream");
        group.bench_function(name, |b| {
            b.iter(|| {
                let scan = HeadScan::of(&parts.headers);
                head.request(black_box(&parts).clone(), scan, "/v1", version)
            });
        });
    }
    group.finish();
}

fn answers(c: &mut Criterion) {
    let mut group = c.benchmark_group("answer head");
    let parts = upstreams();
    let id = HeaderValue::from_static("0123456789abcdef0123456789abcdef");
    group.bench_function("the copy alone", |b| b.iter(|| black_box(&parts).clone()));
    group.bench_function("an event stream's", |b| {
        b.iter(|| {
            let mut parts = black_box(&parts).clone();
            let marks = HeadScan::of(&parts.headers).marks;
            let result = answer(&mut parts, marks, &id, true);
            (parts, result)
        });
    });
    group.finish();
}

fn routes(c: &mut Criterion) {
    let paths = ["/", "/v1", "/v1/files", "/azure/openai"];
    let routes: Vec<Route> =
        paths.iter().map(|path| Route::new(*path, Target::Upstream(UpstreamId(0)))).collect();
    let table = Table::new(&routes);
    c.bench_function("route: one of four", |b| {
        b.iter(|| table.lookup(black_box("/v1/chat/completions")).map(|found| found.route));
    });
}

criterion_group!(benches, requests, answers, routes);
criterion_main!(benches);
