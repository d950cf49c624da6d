//! What a request's and an answer's head cost on their way through, with the headers that `OpenAI`'s
//! Python SDK and API send. Every round needs a fresh copy (and drops it): measured alone too, to be
//! subtracted.

#![expect(clippy::expect_used, reason = "a bench that cannot start must say so")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use firstbyte::config::{
    HealthPolicy, Pool, Protocol, Route, Scheme, Target, Upstream, UpstreamDeadlines, UpstreamId,
};
use firstbyte::relay::head::{UpstreamHead, answer};
use firstbyte::route::Table;
use http::{HeaderValue, Request, Response, Version, request, response};

const REQUEST: &str = "host: 127.0.0.1:8080
accept-encoding: gzip, deflate
connection: keep-alive
accept: application/json
content-type: application/json
user-agent: OpenAI/Python 2.8.0
x-stainless-lang: python
x-stainless-package-version: 2.8.0
x-stainless-os: Linux
x-stainless-arch: x64
x-stainless-runtime: CPython
x-stainless-runtime-version: 3.13.5
authorization: Bearer sk-proj-0123456789012345678901234567890123456789
x-stainless-async: false
x-stainless-retry-count: 0
x-stainless-read-timeout: 600
content-length: 512";

const ANSWER: &str = "date: Sun, 22 Nov 2026 10:00:00 GMT
content-type: text/event-stream; charset=utf-8
access-control-expose-headers: X-Request-ID
openai-organization: org
openai-processing-ms: 120
openai-project: proj_0123456789
openai-version: 2020-10-01
x-envoy-upstream-service-time: 130
x-ratelimit-limit-requests: 10000
x-ratelimit-limit-tokens: 2000000
x-ratelimit-remaining-requests: 9999
x-ratelimit-remaining-tokens: 1999000
x-ratelimit-reset-requests: 6ms
x-ratelimit-reset-tokens: 0s
x-request-id: req_0123456789abcdef
cf-cache-status: DYNAMIC
set-cookie: __cf_bm=0123456789; path=/
set-cookie: _cfuvid=0123456789; path=/
strict-transport-security: max-age=31536000
x-content-type-options: nosniff
server: cloudflare
cf-ray: 0123456789abcdef-FRA
alt-svc: h3=\":443\"";

fn lines(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines().filter_map(|line| line.split_once(": "))
}

fn client() -> request::Parts {
    let mut head = Request::post("/v1/chat/completions");
    for (name, value) in lines(REQUEST) {
        head = head.header(name, value);
    }
    head.body(()).expect("a request").into_parts().0
}

fn upstreams() -> response::Parts {
    let mut head = Response::builder().version(Version::HTTP_2);
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
        base_path: base_path.to_owned(),
        key: Some("sk-proj-9876543210987654321098765432109876543210".to_owned().into()),
        forward_authorization: false,
        organization: None,
        project: None,
        ca_file: None,
        protocol: Protocol::Auto,
        pool: Pool::default(),
        deadlines: UpstreamDeadlines::default(),
        health: HealthPolicy::default(),
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
            b.iter(|| head.request(black_box(&parts).clone(), "/v1", version));
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
            let result = answer(&mut parts, &id, true);
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
