//! Our reading of heads beside hyper's own server, which shares the tokenizer and nothing else: what we
//! take, it takes for the same; what it could take otherwise, we do not take.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use http::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

const LIMITS: Limits = Limits { bytes: 8 * 1024, headers: 64 };

/// What hyper makes of `bytes`, or nothing if it refuses them.
fn hypers(bytes: &[u8]) -> Option<request::Parts> {
    let seen = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&seen);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        slot.borrow_mut().get_or_insert(request.into_parts().0);
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        client.write_all(bytes).await.unwrap();
        drop(client);
        let mut http1 = http1::Builder::new();
        http1.max_headers(LIMITS.headers);
        let _refused = http1.serve_connection(TokioIo::new(server), service).await;
    });
    seen.take()
}

/// What we make of it, given in pieces of `piece` bytes; nothing if it is refused or not whole.
fn ours(bytes: &[u8], piece: usize) -> Option<Head> {
    let (mut search, mut ahead) = (Search::default(), BytesMut::new());
    for piece in bytes.chunks(piece) {
        ahead.extend_from_slice(piece);
        if let Some(length) = search.find(&mut ahead, LIMITS).ok()? {
            return parse(&ahead.split_to(length).freeze(), LIMITS).ok();
        }
    }
    None
}

fn assert_same(ours: &request::Parts, hypers: &request::Parts) {
    assert_eq!((&ours.method, &ours.uri), (&hypers.method, &hypers.uri));
    assert_eq!((ours.version, &ours.headers), (hypers.version, &hypers.headers));
    // Lines of one name in their order, and nothing beside them.
    for name in hypers.headers.keys() {
        let (ours, hypers) = (ours.headers.get_all(name), hypers.headers.get_all(name));
        assert!(ours.iter().eq(hypers), "{name}");
    }
}

fn is_said_once(head: &Head) -> bool {
    let lengths = head.parts.headers.get_all(CONTENT_LENGTH).iter().count();
    head.framing != Framing::Unclear && lengths < 2
}

const NAME: &str = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}";

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        "/[!-~&&[^#<>\"`{}\\\\^|]]{0,30}",
        "http://[a-z.]{1,9}(:80)?/[a-z/?=&]{0,9}",
        Just("*".into())
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let value = proptest::collection::vec(
        prop_oneof![9 => 0x21_u8..0x7f, 1 => 0x80_u8..=0xff, 1 => Just(b' ')],
        0..30,
    );
    (NAME, "[ \t]{0,3}", value, "[ \t]{0,3}").prop_map(|(name, before, value, after)| {
        [name.as_bytes(), b":", before.as_bytes(), &value, after.as_bytes(), b"\r\n"].concat()
    })
}

/// Lines that say where the body ends and what becomes of the connection.
fn framing_line() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("content-length"),
        Just("Transfer-Encoding"),
        Just("connection"),
        Just("Host")
    ];
    let value = prop_oneof![
        "[0-9]{1,3}",
        Just("chunked".to_owned()),
        Just("close".into()),
        Just("gzip, chunked".into())
    ];
    (name, value).prop_map(|(name, value)| format!("{name}: {value}\r\n").into_bytes())
}

/// Valid heads.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let lines = proptest::collection::vec(prop_oneof![4 => line(), 1 => framing_line()], 0..12);
    ("(\r\n){0,2}", "GET|POST|[A-Z]{1,8}", target(), "HTTP/1\\.[01]", lines).prop_map(
        |(before, method, target, version, lines)| {
            let first = format!("{before}{method} {target} {version}\r\n").into_bytes();
            [first, lines.concat(), b"\r\n".to_vec()].concat()
        },
    )
}

/// A head in which a few bytes are others: mostly those that end lines and part names from values.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![3 => proptest::sample::select(&b"\r\n\0 \t:,;\x0b\x0c"[..]), 1 => any::<u8>()];
    let damage =
        proptest::collection::vec((any::<prop::sample::Index>(), byte, any::<bool>()), 1..4);
    (head(), damage).prop_map(|(mut head, damage)| {
        for (at, byte, instead) in damage {
            let at = at.index(head.len());
            if instead { head[at] = byte } else { head.insert(at, byte) }
        }
        head
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn a_valid_head_is_read_as_hyper_reads_it(head in head(), piece in 1_usize..40) {
        if let Some(hypers) = hypers(&head) {
            let ours = ours(&head, piece).expect("what hyper takes is taken");
            // Where the end is said twice hyper chooses, and we leave it to be refused.
            if is_said_once(&ours) {
                assert_same(&ours.parts, &hypers);
            }
        }
    }

    #[test]
    fn what_is_taken_of_a_damaged_head_is_what_hyper_takes(head in damaged(), piece in 1_usize..40) {
        if let Some(ours) = ours(&head, piece).filter(is_said_once) {
            assert_same(&ours.parts, &hypers(&head).expect("what we take, hyper takes"));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), piece in 1_usize..40) {
        let _either = ours(&bytes, piece);
        let _either = ours(&[b"GET / HTTP/1.1\r\n", &bytes[..], b"\r\n\r\n"].concat(), piece);
    }
}
