//! What is said: heads as `OpenAI`'s Python SDK and API send them, a prompt of a kilobyte, a token's
//! event.

pub const PATH: &str = "/v1/chat/completions";

/// Without `host` and `content-length`, which are put in.
pub const REQUEST: &str = "accept-encoding: gzip, deflate
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
x-stainless-read-timeout: 600";

/// Without `x-request-id`, which differs each time.
pub const ANSWER: &str = "date: Sun, 22 Nov 2026 10:00:00 GMT
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
cf-cache-status: DYNAMIC
set-cookie: __cf_bm=0123456789; path=/
set-cookie: _cfuvid=0123456789; path=/
strict-transport-security: max-age=31536000
x-content-type-options: nosniff
server: cloudflare
cf-ray: 0123456789abcdef-FRA
alt-svc: h3=\":443\"";

/// The key of the client that sends [`REQUEST`].
pub const KEY: &str = "sk-proj-0123456789012345678901234567890123456789";

/// Name and value of each line.
pub fn lines(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines().filter_map(|line| line.split_once(": "))
}

/// A prompt: 1 KiB of JSON.
pub fn prompt() -> Vec<u8> {
    let head = br#"{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":""#;
    let tail = br#""}]}"#;
    let mut text = head.to_vec();
    text.resize(1024 - tail.len(), b'p');
    text.extend_from_slice(tail);
    text
}

/// A token's event: 200 bytes.
pub fn token() -> Vec<u8> {
    let head = br#"data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":""#;
    let tail = b"\"}}]}\n\n";
    let mut text = head.to_vec();
    text.resize(200 - tail.len(), b't');
    text.extend_from_slice(tail);
    text
}

/// How a stream of events says that it is whole.
pub const DONE: &[u8] = b"data: [DONE]\n\n";
