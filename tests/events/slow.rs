//! A subscriber that does not read.

use std::net::TcpStream;

use super::{End, Subscriber, proxy, published, sse};
use crate::support::fixture::{Fixture, PATIENCE};

fn narrow(fixture: &Fixture, path: &str) -> Subscriber {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a buffer's size can be set");
    socket.connect(&fixture.address().into()).expect("the proxy listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    Subscriber::on(stream, path, "")
}

#[test]
fn one_that_never_reads_harms_nobody_and_is_cut_when_it_looks_again() {
    let fixture = proxy(1, "{ bytes: 256KiB }", "");
    let mut never = narrow(&fixture, "/events/news");
    let mut reader = Subscriber::to(&fixture, "/events/news");
    // More than its ring and all buffers between them take.
    let large = format!("data: {}", "x".repeat(60 * 1024));
    for nth in 0..200 {
        published(&fixture, &sse("news", &format!("event: {nth}\n{large}")));
        let event = reader.event().expect("an event");
        assert!(event.contains(&format!("\nevent: {nth}\n")), "{}", &event[..60]);
    }
    assert_eq!(never.ended(), End::Cut);
    fixture.wait_until("it was counted", |it| {
        it.count("firstbyte_event_subscribers_dropped_total{route=\"/events\"}") == 1
    });
    published(&fixture, &sse("news", "data: still there"));
    assert_eq!(reader.data(), "still there");
    drop((reader, never));
    let log = fixture.access_log();
    let cut = log.iter().filter(|line| line["error"] == "subscriber_lagged");
    let outcomes: Vec<_> = cut.map(|line| line["outcome"].clone()).collect();
    assert_eq!(outcomes, ["timed_out"]);
}
