//! Header names with underscores, which a CGI-like upstream takes for the same name with hyphens.

use loadtest::upstream::Script;

use crate::support::message::Ask;
use crate::support::pairing::{CLIENTS, Origin, every_pairing, upstream};

const COUNTER: &str = "firstbyte_underscore_headers_dropped_total";

/// Names that could contradict what frames the message, who asks, and what we may say alone.
const NAMES: [&str; 6] = [
    "Transfer_Encoding",
    "Content_Length",
    "content_type",
    "OpenAI_Organization",
    "X_Forwarded_For",
    "x-user_id",
];

#[test]
fn names_with_underscores_reach_no_upstream_and_are_counted() {
    every_pairing(
        || upstream().respond(|_| Script::new().answer(200, &[("x_answer", "1")], "")),
        |fixture, client, _| {
            let before = fixture.count(COUNTER);
            let ask =
                NAMES.iter().fold(Ask::post("/v1/x", "body"), |ask, name| ask.header(name, "5"));
            let ask = ask.header("x-user-id", "mine");
            let came = client.ask(&ask.trailer("x_sum", "1").trailer("content_length", "9"));
            assert_eq!(came.status, 200);
            assert_eq!(came.header("x_answer"), Some("1"), "answers keep theirs");
            let seen = fixture.upstream.log().requests.last().cloned().expect("a request");
            let odd: Vec<_> = seen.headers.iter().filter(|line| line.name.contains('_')).collect();
            assert!(odd.is_empty(), "{odd:?}");
            assert_eq!((seen.header("x-user-id"), seen.body_len), (Some("mine"), 4));
            assert!(seen.trailers.is_empty(), "{:?}", seen.trailers);
            assert_eq!(fixture.count(COUNTER), before + NAMES.len() as u64 + 2);
        },
    );
}

#[test]
fn an_upstream_that_wants_them_gets_them() {
    for (origin, speaks) in [Origin::ClearHttp1, Origin::TlsHttp2].into_iter().zip(CLIENTS) {
        let answers = upstream().respond(|_| Script::new().answer(200, &[], ""));
        let fixture = origin.configured(answers, |config| {
            config.upstreams[0].underscores_in_headers = true;
        });
        let ask = Ask::get("/v1/x").header("x_user_id", "1").header("x_user_id", "2");
        assert_eq!(speaks.connect(&fixture).ask(&ask).status, 200);
        let seen = fixture.upstream.log().requests.last().cloned().expect("a request");
        assert_eq!(seen.header_values("x_user_id"), ["1", "2"]);
        assert_eq!(fixture.count(COUNTER), 0);
    }
}
