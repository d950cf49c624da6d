//! Odd requests beside a crowd of ordinary ones, before origins of every implementation within reach: whatever
//! becomes of the odd ones, no neighbour is cut.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use firstbyte::config::{Config, Protocol, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use loadtest::upstream::{Script, Upstream};

use super::other_origins;
use crate::support::crowd::Crowd;
use crate::support::fixture::Fixture;
use crate::support::peers::origin::{Make, Origin};
use crate::support::peers::raw_upstream::lead_to;
use crate::support::size::{block_on, size};

const FRAME: &str = "data: frame\n\n";
/// As many as two connections to any of the origins carry.
const CLIENTS: usize = 16;
/// An odd request that is not answered by then is given up.
const LONGEST: Duration = Duration::from_secs(5);

/// A request that some server may not like.
#[derive(Debug, Clone, Default)]
struct Odd {
    method: &'static str,
    target: String,
    lines: Vec<(String, Vec<u8>)>,
    body: usize,
    trailers: Vec<(String, Vec<u8>)>,
    /// The client leaves in the middle of the body.
    leaves: bool,
}

/// A generator of numbers (xorshift64), the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn lines(&mut self, count: usize, each: usize) -> Vec<(String, Vec<u8>)> {
        let odd = ["x", "x_y", "x.y", "!#$%&'*+^`|~", "proxy", "x-content-length", "sec-x"];
        let kinds: [&[u8]; 4] = [b"v", b"\xe9", b"\t ", b"\"\\,;="];
        (0..count)
            .map(|nth| {
                let name = format!("{}-{nth}", self.one_of(&odd));
                let kind = self.one_of(&kinds);
                // Not white at the ends, which is no part of a value.
                let value = [b"(", kind.repeat(each / kind.len()).as_slice(), b")"].concat();
                (name, value)
            })
            .collect()
    }

    /// Any of all that, where each kind comes as often as the others.
    fn odd(&mut self) -> Odd {
        let bytes = self.one_of(&[500, 4_000, 9_000, 15_000, 20_000, 40_000, 60_000]);
        let mut odd = Odd { method: "POST", target: "/v1/odd".into(), body: 2, ..Odd::default() };
        match self.below(10) {
            0 => odd.lines = self.lines(1, bytes),
            1 => {
                let count = self.one_of(&[13, 40, 90, 100, 101, 110, 120]);
                odd.lines = self.lines(count, bytes / count);
            }
            2 => odd.target = format!("/v1/{}", "p".repeat(bytes)),
            3 => odd.lines = vec![("x-crumbs".into(), b"c=1; ".repeat(bytes / 5 - 1))],
            4 => {
                odd.method =
                    self.one_of(&["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "ODD-METHOD"]);
                (odd.body, odd.target) = (0, "/v1/odd?a=%ff&b=[]|&&=".into());
            }
            5 => {
                odd.body = self.one_of(&[1, 10_000, 200_000]);
                odd.leaves = true;
            }
            6 => odd.trailers = self.lines(1, bytes),
            7 => odd.trailers = self.lines(110, bytes / 110),
            8 => {
                odd.lines = vec![("te".into(), b"trailers".to_vec())];
                odd.trailers = self.lines(1, 20);
            }
            _ => {
                odd.lines = self.lines(100, 20);
                odd.body = 100_000;
            }
        }
        odd
    }
}

impl Odd {
    fn http1(&self) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n", self.method, self.target);
        let chunked = !self.trailers.is_empty();
        if chunked {
            head += "transfer-encoding: chunked\r\n";
        } else if self.body > 0 {
            head.extend(["content-length: ", &self.body.to_string(), "\r\n"]);
        }
        let mut wire = head.into_bytes();
        let line =
            |(name, value): &(String, Vec<u8>)| [name.as_bytes(), b": ", value, b"\r\n"].concat();
        wire.extend(self.lines.iter().flat_map(line));
        wire.extend(b"\r\n");
        let sent = if self.leaves { self.body / 2 } else { self.body };
        if chunked {
            wire.extend(format!("{sent:x}\r\n{}\r\n0\r\n", "b".repeat(sent)).into_bytes());
            wire.extend(self.trailers.iter().flat_map(line));
            wire.extend(b"\r\n");
        } else {
            wire.extend(vec![b'b'; sent]);
        }
        wire
    }

    /// Whatever comes of it.
    fn ask_http1(&self, proxy: SocketAddr) {
        let mut stream = TcpStream::connect(proxy).expect("the proxy listens");
        stream.set_read_timeout(Some(LONGEST)).expect("a timeout can be set");
        let sent = stream.write_all(&self.http1());
        if sent.is_ok() && !self.leaves {
            let _any = stream.read_to_end(&mut Vec::new());
        }
    }

    async fn ask_http2(&self, proxy: SocketAddr) -> Result<(), h2::Error> {
        let stream = tokio::net::TcpStream::connect(proxy).await.expect("the proxy listens");
        let (sender, connection) = h2::client::handshake(stream).await?;
        let driving = tokio::spawn(async move {
            // How it ends shows in its streams.
            let _ended = connection.await;
        });
        let mut request =
            Request::builder().method(self.method).uri(format!("http://a{}", self.target));
        *request.headers_mut().expect("a head") = map(&self.lines);
        let Ok(request) = request.body(()) else { return Ok(()) };
        let mut sender = sender.ready().await?;
        let (answer, mut upload) = sender.send_request(request, self.body == 0)?;
        if self.body > 0 {
            upload.send_data(Bytes::from(vec![b'b'; self.body / 2]), false)?;
            if self.leaves {
                upload.send_reset(h2::Reason::CANCEL);
            } else if self.trailers.is_empty() {
                upload.send_data(Bytes::from(vec![b'b'; self.body - self.body / 2]), true)?;
            } else {
                upload.send_trailers(map(&self.trailers))?;
            }
        }
        let mut body = answer.await?.into_body();
        while let Some(data) = body.data().await {
            body.flow_control().release_capacity(data?.len())?;
        }
        driving.abort();
        Ok(())
    }
}

fn map(lines: &[(String, Vec<u8>)]) -> HeaderMap {
    let line = |(name, value): &(String, Vec<u8>)| {
        let name = HeaderName::try_from(name.as_str()).expect("a name");
        (name, HeaderValue::from_bytes(value).expect("a value"))
    };
    lines.iter().map(line).collect()
}

/// Few connections, which all share.
fn few_connections(config: &mut Config) {
    let pool = &mut config.upstreams[0].pool;
    (pool.min_connections, pool.max_connections) = (2, 2);
    pool.queue_timeout = Duration::from_secs(60);
    config.upstreams[0].deadlines.response_head = LONGEST;
}

/// The crowd sees nothing of the odd ones.
fn assert_no_neighbour_is_cut(fixture: &Fixture, name: &str) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let crowd = Crowd::gather(fixture.address(), CLIENTS, &other_origins::expected(FRAME));
    crowd.go_on_for(CLIENTS);
    for _ in 0..size(90, 2_000) {
        let odd = dice.odd();
        odd.ask_http1(fixture.address());
        block_on(async {
            // Refused, reset, or cut: only the others matter.
            let _any = tokio::time::timeout(LONGEST, odd.ask_http2(fixture.address())).await;
        });
    }
    crowd.go_on_for(CLIENTS);
    let visits = crowd.leave();
    let ill: Vec<_> = visits.iter().filter(|visit| !visit.well).collect();
    assert!(ill.is_empty(), "{name}: {} of {} were cut: {:?}", ill.len(), visits.len(), ill[0]);
}

fn before(address: SocketAddr) -> Fixture {
    Fixture::configured(Upstream::builder().clear(), |config| {
        lead_to(config, address, Protocol::Http2);
        few_connections(config);
    })
}

fn mock() -> Upstream {
    let script = (0..8).fold(Script::new().stream(), |script, _| {
        script.body(FRAME).wait(Duration::from_millis(2))
    });
    let mock = Upstream::builder().clear().script(script.finish()).start();
    mock.expect("the mock upstream starts")
}

#[test]
fn before_our_own_mock_no_neighbour_is_cut() {
    let mock = mock();
    assert_no_neighbour_is_cut(&before(mock.addr()), "the mock");
}

#[test]
fn before_hyper_no_neighbour_is_cut() {
    for takes in [None, Some(4 * 1024)] {
        let origin = other_origins::hyper(takes, FRAME);
        assert_no_neighbour_is_cut(&before(origin.address), "hyper");
        assert!(origin.requests() > 0);
    }
}

#[test]
fn before_node_no_neighbour_is_cut() {
    let Some((_node, address)) = other_origins::node(FRAME) else { return };
    assert_no_neighbour_is_cut(&before(address), "Node");
}

#[test]
fn before_haproxy_and_nginx_no_neighbour_is_cut() {
    for make in [Make::Haproxy, Make::Nginx] {
        let mock = mock();
        let Some(origin) = Origin::start(make, mock.addr()) else { continue };
        let fixture = Fixture::configured(Upstream::builder().clear(), |config| {
            let upstream = &mut config.upstreams[0];
            (upstream.scheme, upstream.ca_file) = (Scheme::Https, Some(origin.ca()));
            "localhost".clone_into(&mut upstream.host);
            upstream.port = origin.address().port();
            upstream.base_path.clear();
            few_connections(config);
        });
        assert_no_neighbour_is_cut(&fixture, &format!("{make:?}"));
    }
}
