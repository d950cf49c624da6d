//! One question to the admin listener of a proxy on this machine.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::store::Query;

/// It is on this machine.
const CONNECT: Duration = Duration::from_secs(5);
/// For the answer to be made: a year of many clients is read from the disk.
const ANSWER: Duration = Duration::from_secs(60);
/// Lines in the answer's head.
const HEADERS: usize = 32;

/// The answer's text.
pub(super) fn ask(admin: SocketAddr, query: &Query) -> Result<String, Box<dyn Error>> {
    let failed =
        |error| format!("the proxy that has the store cannot be asked at {admin}: {error}");
    let answer = exchange(admin, query).map_err(failed)?;
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let length = match head.parse(&answer)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Err("the proxy's answer has no end".into()),
    };
    let announced = head.headers.iter().find(|one| one.name.eq_ignore_ascii_case("content-length"));
    let announced = announced.and_then(|one| std::str::from_utf8(one.value).ok()?.parse().ok());
    let body = answer.get(length..).unwrap_or_default();
    if announced != Some(body.len()) {
        return Err("the proxy's answer was cut off".into());
    }
    let body = String::from_utf8(body.to_vec())?;
    match head.code {
        Some(200) => Ok(body),
        _ => Err(body.trim_end().to_owned().into()),
    }
}

fn exchange(admin: SocketAddr, query: &Query) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&admin, CONNECT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(
        stream,
        "GET /usage?{} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n",
        query.text()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
