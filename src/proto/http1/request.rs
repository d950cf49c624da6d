//! A request's head in bytes, toward an upstream.

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request};

use super::lines::number;
use super::raw_target::RawTarget;

/// How the end of a request's body is told (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestCoding {
    /// By so many bytes, which the head tells; no body is 0.
    Length(u64),
    /// By the last chunk.
    Chunked,
}

/// Appends the head to `out`, its empty line included. Headers stay as they are but for those that frame the
/// message, which are ours to say: the length where it is known, chunks where it is not, and a length of zero
/// where somebody may wait for a body (RFC 9110, section 8.6).
pub fn encode_request(head: &Request<()>, has_body: bool, out: &mut Vec<u8>) -> RequestCoding {
    out.extend_from_slice(head.method().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target(head));
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut length = None;
    for (name, value) in head.headers() {
        if *name == CONNECTION || *name == TRANSFER_ENCODING {
            continue;
        }
        if *name == CONTENT_LENGTH {
            // One that was told of a body that is not there would be waited for.
            let Some(told) = number(value).filter(|told| has_body || *told == 0) else { continue };
            if length.replace(told).is_some() {
                continue;
            }
        }
        line(name.as_str(), value, out);
    }
    let coding = match length {
        Some(length) => RequestCoding::Length(length),
        None if has_body => RequestCoding::Chunked,
        None => RequestCoding::Length(0),
    };
    let expected = [Method::POST, Method::PUT, Method::PATCH].contains(head.method());
    match (coding, length) {
        (RequestCoding::Chunked, _) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        (RequestCoding::Length(_), None) if expected => {
            out.extend_from_slice(b"content-length: 0\r\n");
        }
        (RequestCoding::Length(_), _) => {}
    }
    out.extend_from_slice(b"\r\n");
    coding
}

fn target(head: &Request<()>) -> &[u8] {
    match head.extensions().get::<RawTarget>() {
        Some(raw) => raw.as_bytes(),
        None => head.uri().path_and_query().map_or("/", PathAndQuery::as_str).as_bytes(),
    }
}

fn line(name: &str, value: &HeaderValue, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(method: &str, lines: &[(&str, &str)], has_body: bool) -> (String, RequestCoding) {
        let mut head = Request::builder().method(method).uri("/v1/x?q");
        for (name, value) in lines {
            head = head.header(*name, *value);
        }
        let mut out = Vec::new();
        let coding = encode_request(&head.body(()).unwrap(), has_body, &mut out);
        (String::from_utf8(out).unwrap(), coding)
    }

    #[test]
    fn a_head_says_in_one_way_where_its_body_ends() {
        let (chunked, sized) = (RequestCoding::Chunked, RequestCoding::Length);
        for (method, lines, has_body, coding, end) in [
            (
                "POST",
                &[("content-length", "5"), ("a", "b")][..],
                true,
                sized(5),
                "content-length: 5\r\na: b\r\n",
            ),
            ("POST", &[("a", "b")], true, chunked, "a: b\r\ntransfer-encoding: chunked\r\n"),
            (
                "POST",
                &[("content-length", "5"), ("content-length", "5")],
                true,
                sized(5),
                "content-length: 5\r\n",
            ),
            (
                "GET",
                &[("transfer-encoding", "gzip")],
                true,
                chunked,
                "transfer-encoding: chunked\r\n",
            ),
            ("POST", &[("transfer-encoding", "chunked")], false, sized(0), "content-length: 0\r\n"),
            ("POST", &[("content-length", "0")], false, sized(0), "content-length: 0\r\n"),
            ("PUT", &[("content-length", "5")], false, sized(0), "content-length: 0\r\n"),
            ("GET", &[("content-length", "0")], false, sized(0), "content-length: 0\r\n"),
            ("GET", &[("connection", "close")], false, sized(0), ""),
            ("DELETE", &[], false, sized(0), ""),
        ] {
            let expected = format!("{method} /v1/x?q HTTP/1.1\r\n{end}\r\n");
            assert_eq!(encoded(method, lines, has_body), (expected, coding), "{method} {lines:?}");
        }
    }

    #[test]
    fn a_target_that_no_uri_holds_is_written_as_it_came() {
        let mut head = Request::get("/v1/x?q=%22").body(()).unwrap();
        head.extensions_mut().insert(RawTarget::new("/v1/x?q=\""));
        let mut out = Vec::new();
        encode_request(&head, false, &mut out);
        assert!(out.starts_with(b"GET /v1/x?q=\" HTTP/1.1\r\n"));
    }
}
