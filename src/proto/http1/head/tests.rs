use super::*;

const LIMITS: Limits = Limits { bytes: 1024, headers: 8 };

/// The head at the front of `bytes`, which come in pieces of `piece`, and what follows it.
fn read(bytes: &[u8], piece: usize, limits: Limits) -> Result<(Head, Vec<u8>), Kind> {
    let (mut search, mut ahead) = (Search::default(), BytesMut::new());
    let mut pieces = bytes.chunks(piece);
    let length = loop {
        match search.find(&mut ahead, limits)? {
            Some(length) => break length,
            None => ahead.extend_from_slice(pieces.next().expect("a head")),
        }
    };
    let block = ahead.split_to(length).freeze();
    ahead.extend_from_slice(&pieces.collect::<Vec<_>>().concat());
    Ok((parse(&block, limits)?, ahead.to_vec()))
}

fn head(text: &str) -> Result<Head, Kind> {
    read(text.as_bytes(), text.len(), LIMITS).map(|(head, _)| head)
}

fn with(lines: &str) -> Head {
    head(&format!("POST /v1 HTTP/1.1\r\nhost: a\r\n{lines}\r\n")).unwrap()
}

fn is_bad(result: &Result<Head, Kind>) -> bool {
    matches!(result, Err(Kind::BadRequest(_)))
}

#[test]
fn a_head_is_read_as_it_is_however_it_is_cut() {
    let text =
        b"\r\n\r\nPOST /v1/x?q=%20#f HTTP/1.1\r\nHost: a\r\nX-A:  one two \t\r\nx-a:\r\n\r\nbody\n";
    for piece in 1..text.len() {
        let (head, rest) = read(text, piece, LIMITS).unwrap();
        assert_eq!(head.parts.method, Method::POST);
        assert_eq!(head.parts.uri.path_and_query().unwrap(), "/v1/x?q=%20", "in pieces of {piece}");
        assert_eq!(head.parts.version, Version::HTTP_11);
        let values: Vec<_> = head.parts.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["one two", ""]);
        assert_eq!(rest, b"body\n");
    }
}

#[test]
fn a_line_that_ends_without_cr_is_refused_at_once() {
    for text in
        ["GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n", "\nGET / HTTP/1.1\r\n\r\n"]
    {
        assert_eq!(head(text).unwrap_err(), BARE_LF, "{text:?}");
    }
}

#[test]
fn what_is_no_head_is_refused() {
    for text in [
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nhost\r\n\r\n",
        "GET / HTTP/1.1\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nx: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nx\0y: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET a:b:c HTTP/1.1\r\n\r\n",
    ] {
        assert!(is_bad(&head(text)), "{text:?}");
    }
}

#[test]
fn a_head_has_its_bounds_and_each_says_which() {
    let long = |line: usize, rest: usize| {
        head(&format!("GET /{} HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(line), "b".repeat(rest)))
    };
    assert!(long(500, 400).is_ok());
    assert_eq!(long(500, 600).unwrap_err(), Kind::HeadTooLarge);
    let endless = format!("GET /{}", "a".repeat(2000));
    assert_eq!(head(&endless).unwrap_err(), Kind::TargetTooLong);
    let lines = |count: usize| head(&format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(count)));
    assert!(lines(8).is_ok());
    assert_eq!(lines(9).unwrap_err(), Kind::TooManyHeaders);
}

#[test]
fn bounds_above_the_usual_are_kept_too() {
    let limits = Limits { bytes: 1 << 20, headers: 300 };
    let lines = |count: usize| {
        let text = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(count));
        read(text.as_bytes(), 4096, limits).map(|(head, _)| head.parts.headers.len())
    };
    assert_eq!(lines(300), Ok(300));
    assert_eq!(lines(301), Err(Kind::TooManyHeaders));
    let target = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    assert_eq!(read(target.as_bytes(), 4096, limits).unwrap_err(), Kind::TargetTooLong);
}

#[test]
fn a_body_ends_in_one_way_or_the_head_is_unclear() {
    for (lines, framing) in [
        ("", Framing::Length(0)),
        ("content-length: 12\r\n", Framing::Length(12)),
        ("content-length: 12\r\ncontent-length: 12\r\n", Framing::Length(12)),
        ("transfer-encoding: Chunked\r\n", Framing::Chunked),
        ("content-length: 12\r\ncontent-length: 13\r\n", Framing::Unclear),
        ("content-length: 12, 12\r\n", Framing::Unclear),
        ("content-length: +12\r\n", Framing::Unclear),
        ("content-length: -0\r\n", Framing::Unclear),
        ("content-length: 0x0c\r\n", Framing::Unclear),
        ("content-length: \r\n", Framing::Unclear),
        ("content-length: 99999999999999999999\r\n", Framing::Unclear),
        ("content-length: 0\r\ntransfer-encoding: chunked\r\n", Framing::Unclear),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", Framing::Unclear),
        ("transfer-encoding: chunked, chunked\r\n", Framing::Unclear),
        ("transfer-encoding: gzip, chunked\r\n", Framing::Unclear),
        ("transfer-encoding: identity\r\n", Framing::Unclear),
        ("transfer-encoding: \x0bchunked\r\n", Framing::Unclear),
        ("transfer-encoding:\r\n", Framing::Unclear),
    ] {
        let text = format!("POST /v1 HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
        match head(&text) {
            Ok(head) => assert_eq!(head.framing, framing, "{lines:?}"),
            Err(_) => assert_eq!(framing, Framing::Unclear, "{lines:?}"),
        }
    }
}

#[test]
fn http_1_0_has_no_chunks_and_closes_unless_asked() {
    let old = |lines: &str| head(&format!("POST /v1 HTTP/1.0\r\n{lines}\r\n")).unwrap();
    assert_eq!(old("transfer-encoding: chunked\r\n").framing, Framing::Unclear);
    assert_eq!(old("content-length: 1\r\n").framing, Framing::Length(1));
    assert!(!old("").keep_alive);
    assert!(old("connection: x, Keep-Alive\r\n").keep_alive);
    assert!(!old("expect: 100-continue\r\n").expects);
}

#[test]
fn what_the_head_says_of_its_connection_is_heard() {
    assert!(with("").keep_alive);
    assert!(!with("connection: x\r\nconnection: y ,CLOSE\r\n").keep_alive);
    assert!(with("connection: closed\r\n").keep_alive);
    assert!(with("expect: 100-Continue\r\n").expects);
    assert!(!with("").expects);
    assert!(with("te: gzip;q=0.1, trailers\r\n").trailers);
    assert!(!with("te: gzip\r\n").trailers);
}

/// The time that a head of `bytes`, given byte by byte, takes to be found `times` times over.
fn trickled(bytes: usize, times: usize) -> std::time::Duration {
    let limits = Limits { bytes: usize::MAX, headers: 8 };
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(bytes));
    let begun = std::time::Instant::now();
    for _ in 0..times {
        let (mut search, mut ahead) = (Search::default(), BytesMut::new());
        for byte in head.as_bytes().chunks(1) {
            ahead.extend_from_slice(byte);
            if let Some(length) = search.find(&mut ahead, limits).unwrap() {
                assert_eq!(length, head.len());
            }
        }
    }
    begun.elapsed()
}

#[test]
fn a_long_head_costs_as_much_for_each_byte_as_a_short_one() {
    // The best of some rounds: others use this machine too.
    let best = |bytes, times| (0..5).map(|_| trickled(bytes, times)).min().unwrap();
    let (short, long) = (best(4 * 1024, 64), best(256 * 1024, 1));
    assert!(long < short * 4, "{long:?} for one long head, {short:?} for 64 short ones");
}
