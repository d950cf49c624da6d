//! A client on a bare socket.

use loadtest::upstream::Upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Whatever came until the answer was whole or the connection ended.
pub(crate) struct Http1Answer {
    pub head: String,
    pub body: Vec<u8>,
    pub ended_cleanly: bool,
    pub error: Option<std::io::ErrorKind>,
}

impl Http1Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) async fn http1_connect(upstream: &Upstream) -> TcpStream {
    TcpStream::connect(upstream.addr()).await.unwrap()
}

pub(crate) async fn http1_request(
    upstream: &Upstream,
    method: &str,
    path: &str,
    body: &str,
) -> Http1Answer {
    let mut tcp = http1_connect(upstream).await;
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    tcp.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    http1_read(&mut tcp).await
}

/// Reads one answer.
pub(crate) async fn http1_read(tcp: &mut TcpStream) -> Http1Answer {
    let mut raw = Vec::new();
    let mut error = None;
    loop {
        if let Some(at) = find(&raw, b"\r\n\r\n") {
            let head = String::from_utf8(raw[..at + 4].to_vec()).unwrap();
            let (body, ended_cleanly) = body(&head, &raw[at + 4..]).unwrap();
            if ended_cleanly || error.is_some() {
                return Http1Answer { head, body, ended_cleanly, error };
            }
        }
        match tcp.read_buf(&mut raw).await {
            Ok(0) => error = error.or(Some(std::io::ErrorKind::UnexpectedEof)),
            Ok(_) => continue,
            Err(broken) => error = Some(broken.kind()),
        }
        if find(&raw, b"\r\n\r\n").is_none() {
            let head = String::new();
            return Http1Answer { head, body: raw, ended_cleanly: false, error };
        }
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// The body so far, and whether it is whole.
fn body(head: &str, raw: &[u8]) -> Option<(Vec<u8>, bool)> {
    let head = head.to_ascii_lowercase();
    if let Some((_, rest)) = head.split_once("content-length: ") {
        let length: usize = rest.split("\r\n").next()?.parse().ok()?;
        return Some((raw[..raw.len().min(length)].to_vec(), raw.len() >= length));
    }
    if !head.contains("transfer-encoding: chunked") {
        return Some((raw.to_vec(), false));
    }
    let (mut body, mut rest) = (Vec::new(), raw);
    loop {
        let Some(at) = find(rest, b"\r\n") else { return Some((body, false)) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).ok()?, 16).ok()?;
        rest = &rest[at + 2..];
        if size == 0 {
            return Some((body, rest == b"\r\n"));
        }
        body.extend_from_slice(&rest[..rest.len().min(size)]);
        if rest.len() < size + 2 {
            return Some((body, false));
        }
        rest = &rest[size + 2..];
    }
}
