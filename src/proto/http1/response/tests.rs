use super::*;

const LIMITS: Limits = Limits { bytes: 1024, headers: 8 };

/// The head at the front of `text`, which comes in pieces of `piece`, and what follows it.
fn read(text: &str, piece: usize) -> Result<(ResponseHead, Vec<u8>), Fault> {
    read_for(text, piece, false)
}

fn read_for(text: &str, piece: usize, to_head: bool) -> Result<(ResponseHead, Vec<u8>), Fault> {
    let (mut search, mut ahead) = (Search::default(), BytesMut::new());
    let mut pieces = text.as_bytes().chunks(piece);
    let length = loop {
        match search.find_response(&mut ahead, LIMITS)? {
            Some(length) => break length,
            None => ahead.extend_from_slice(pieces.next().ok_or(Fault::ClosedInHead)?),
        }
    };
    let block = ahead.split_to(length).freeze();
    ahead.extend_from_slice(&pieces.collect::<Vec<_>>().concat());
    Ok((parse_response(&block, LIMITS, to_head)?, ahead.to_vec()))
}

/// Framing and whether the connection stays, of a head with this first line and these lines.
fn ends(first: &str, lines: &str) -> Result<(ResponseFraming, bool), Fault> {
    let head = read(&format!("{first}\r\n{lines}\r\n"), 1024)?.0;
    Ok((head.framing, head.keep_alive))
}

#[test]
fn a_head_is_read_as_it_is_however_it_is_cut() {
    let text = "\r\nHTTP/1.1 200 OK\r\nServer: a\r\nX-A:  one two \t\r\nx-a:\r\ncontent-length: 4\r\n\r\nbody\n";
    for piece in 1..text.len() {
        let (head, rest) = read(text, piece).unwrap();
        assert_eq!((head.parts.status, head.parts.version), (StatusCode::OK, Version::HTTP_11));
        let values: Vec<_> = head.parts.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["one two", ""]);
        assert_eq!((head.framing, head.keep_alive), (ResponseFraming::Length(4), true));
        assert_eq!(rest, b"body\n", "in pieces of {piece}");
    }
}

#[test]
fn what_is_no_head_is_refused_with_its_reason() {
    for (text, fault) in [
        ("garbage\r\n\r\n", Fault::StatusLine),
        ("HTTP/2.0 200 OK\r\n\r\n", Fault::StatusLine),
        ("HTTP/1.2 200 OK\r\n\r\n", Fault::StatusLine),
        ("http/1.1 200 OK\r\n\r\n", Fault::StatusLine),
        ("HTTP/1.1  200 OK\r\n\r\n", Fault::StatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", Fault::StatusLine),
        ("HTTP/1.1 099 OK\r\n\r\n", Fault::StatusLine),
        ("HTTP/1.1 20 OK\r\n\r\n", Fault::StatusLine),
        ("HTTP/1.1 200 O\0K\r\n\r\n", Fault::StatusLine),
        ("HTTP/1.1 200 OK\n\r\n", Fault::BareLf),
        ("HTTP/1.1 200 OK\r\nx: a\ny: b\r\n\r\n", Fault::BareLf),
        ("HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n", Fault::HeaderLine),
        ("HTTP/1.1 200 OK\r\nx : a\r\n\r\n", Fault::HeaderLine),
        ("HTTP/1.1 200 OK\r\n x: a\r\n\r\n", Fault::HeaderLine),
        ("HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n", Fault::HeaderLine),
        ("HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n", Fault::HeaderLine),
        ("HTTP/1.1 200 OK\r\nx\r\n\r\n", Fault::HeaderLine),
        ("HTTP/1.1 200 OK\r\n: a\r\n\r\n", Fault::HeaderLine),
    ] {
        for piece in [1, text.len()] {
            assert_eq!(read(text, piece).unwrap_err(), fault, "{text:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_head_has_its_bounds_and_each_says_which() {
    let lines =
        |count: usize| read(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(count)), 1024);
    assert!(lines(8).is_ok());
    assert_eq!(lines(9).unwrap_err(), Fault::TooManyHeaders);
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1024));
    assert_eq!(read(&long, 7).unwrap_err(), Fault::HeadTooLarge);
}

#[test]
fn a_body_ends_in_one_way_or_the_answer_is_refused() {
    use ResponseFraming::{Chunked, Length, UntilClose};
    for (lines, ending) in [
        ("", Ok((UntilClose, false))),
        ("content-length: 12\r\n", Ok((Length(12), true))),
        ("content-length: 12\r\ncontent-length: 12\r\n", Ok((Length(12), true))),
        ("transfer-encoding: Chunked\r\n", Ok((Chunked, true))),
        ("content-length: 12\r\nconnection: x, Close\r\n", Ok((Length(12), false))),
        ("content-length: 12\r\ncontent-length: 13\r\n", Err(Fault::Length)),
        ("content-length: 12, 12\r\n", Err(Fault::Length)),
        ("content-length: +12\r\n", Err(Fault::Length)),
        ("content-length: -0\r\n", Err(Fault::Length)),
        ("content-length: \r\n", Err(Fault::Length)),
        ("content-length: 99999999999999999999\r\n", Err(Fault::Length)),
        ("content-length: 0\r\ntransfer-encoding: chunked\r\n", Err(Fault::TwoFramings)),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            Err(Fault::TransferCoding),
        ),
        ("transfer-encoding: chunked, chunked\r\n", Err(Fault::TransferCoding)),
        ("transfer-encoding: gzip, chunked\r\n", Err(Fault::TransferCoding)),
        ("transfer-encoding: identity\r\n", Err(Fault::TransferCoding)),
        ("transfer-encoding:\r\n", Err(Fault::TransferCoding)),
    ] {
        assert_eq!(ends("HTTP/1.1 200 OK", lines), ending, "{lines:?}");
    }
}

#[test]
fn http_1_0_closes_unless_it_says_otherwise_and_its_chunks_are_taken_off() {
    use ResponseFraming::{Chunked, Length, UntilClose};
    for (lines, ending) in [
        ("", (UntilClose, false)),
        ("connection: keep-alive\r\n", (UntilClose, false)),
        ("content-length: 1\r\n", (Length(1), false)),
        ("content-length: 1\r\nconnection: Keep-Alive\r\n", (Length(1), true)),
        ("transfer-encoding: chunked\r\nconnection: keep-alive\r\n", (Chunked, false)),
    ] {
        assert_eq!(ends("HTTP/1.0 200 OK", lines), Ok(ending), "{lines:?}");
    }
}

#[test]
fn an_answer_without_a_body_has_none_whatever_it_says() {
    let none = ResponseFraming::Length(0);
    for (first, lines, stays) in [
        ("HTTP/1.1 204 No Content", "", true),
        ("HTTP/1.1 204 No Content", "content-length: 0\r\n", true),
        ("HTTP/1.1 204 No Content", "content-length: 5\r\n", false),
        ("HTTP/1.1 204 No Content", "transfer-encoding: chunked\r\n", false),
        ("HTTP/1.1 304 Not Modified", "content-length: 5\r\n", true),
        ("HTTP/1.1 103 Early Hints", "", true),
        ("HTTP/1.1 101 Switching Protocols", "", false),
    ] {
        assert_eq!(ends(first, lines), Ok((none, stays)), "{first} {lines:?}");
    }
    for lines in ["content-length: 5\r\n", "transfer-encoding: chunked\r\n", ""] {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let head = read_for(&text, 1024, true).unwrap().0;
        assert_eq!((head.framing, head.keep_alive), (none, true), "{lines:?}");
    }
}

#[test]
fn a_reason_of_its_own_is_kept_byte_for_byte() {
    for (first, reason) in [
        ("HTTP/1.1 200 OK", None),
        ("HTTP/1.1 200 Fine", Some(&b"Fine"[..])),
        ("HTTP/1.1 200 \u{e9}", Some("\u{e9}".as_bytes())),
        ("HTTP/1.1 200 ", Some(b"")),
        ("HTTP/1.1 200", Some(b"")),
        ("HTTP/1.1 299 Odd", Some(b"Odd")),
    ] {
        let head = read(&format!("{first}\r\n\r\n"), 64).unwrap().0;
        let kept = head.parts.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
        assert_eq!(kept, reason, "{first}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(256) })]

    #[test]
    fn no_bytes_make_it_panic_and_no_cut_makes_a_difference(
        bytes in "(HTTP/1\\.[01] [0-9]{3} [a-z]{0,3}\r\n)?([a-zT]{1,9}: ?[a-z0-9]{0,3}(\r\n|\n|\r))*(\r\n\r\n)?",
        piece in 1_usize..20,
    ) {
        let outcome = |piece| read(&bytes, piece).map(|(head, rest)| (format!("{head:?}"), rest));
        if !bytes.is_empty() {
            assert_eq!(outcome(piece), outcome(bytes.len()));
        }
    }
}
