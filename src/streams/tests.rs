use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode};

use super::*;
use crate::admit::Pressure;
use crate::config::Resume;
use crate::error::Kind;
use crate::record::StreamMeters;
use crate::relay::OwnSource;

const TTL: Duration = Duration::from_secs(300);
const DETACHED: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn registry() -> Registry {
    Registry::new(Pressure::default(), Arc::new(StreamMeters::default()))
}

fn owner(name: &str) -> Owner {
    Owner::Client(name.into())
}

fn stream_of(owner: Owner, bytes: usize, streams: usize) -> NewStream {
    let head = KeptHead {
        status: StatusCode::OK,
        content_type: Some(HeaderValue::from_static("Text/Event-Stream; charset=utf-8")),
        content_encoding: None,
    };
    let keeps = Resume { bytes, ttl: TTL, detached: DETACHED, streams, anonymous: false };
    NewStream { owner, conversation: None, head, route: "/v1".into(), keeps, is_elsewhere: false }
}

fn kept(registry: &Registry, bytes: usize) -> Arc<KeptStream> {
    registry.keep(stream_of(owner("a"), bytes, 100), Instant::now()).expect("it is kept")
}

fn append(stream: &KeptStream, bytes: &[u8]) {
    assert!(stream.log().append(bytes, Instant::now()));
}

/// All that there is for a reader just now, and what follows it.
fn read(reader: &mut LogReader) -> (Vec<u8>, Poll<Option<Kind>>) {
    let mut all = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match reader.poll_next(&mut cx) {
            Poll::Ready(Some(Ok(bytes))) => all.extend_from_slice(&bytes),
            Poll::Ready(Some(Err(error))) => return (all, Poll::Ready(Some(error.kind()))),
            Poll::Ready(None) => return (all, Poll::Ready(None)),
            Poll::Pending => return (all, Poll::Pending),
        }
    }
}

/// Bytes that tell where they are from.
fn told(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).map(|at| (at % 251) as u8).collect()
}

#[test]
fn readers_at_any_offset_get_each_byte_once_and_in_order() {
    let registry = registry();
    let stream = kept(&registry, 4 << 20);
    let mut readers = vec![LogReader::new(&stream, 0, false)];
    let (mut written, mut got) = (0, vec![(0, Vec::new())]);
    for size in [1, 100, 5_000, 16_384, 70_000, 3, 40_000, 16_385, 99] {
        append(&stream, &told(written, size));
        written += size;
        for at in [written / 3, written - 1, written] {
            readers.push(LogReader::new(&stream, at as u64, false));
            got.push((at, Vec::new()));
        }
        for (reader, (_, got)) in readers.iter_mut().zip(&mut got) {
            let (bytes, after) = read(reader);
            got.extend_from_slice(&bytes);
            assert_eq!(after, Poll::Pending);
        }
    }
    stream.end(End::Complete);
    for (reader, (at, got)) in readers.iter_mut().zip(got) {
        assert!(got == told(at, written - at), "from {at}");
        assert_eq!(read(reader), (Vec::new(), Poll::Ready(None)));
        assert!(reader.is_end());
    }
}

#[test]
fn a_reader_is_woken_for_bytes_and_for_the_end_and_the_writer_for_the_end_only() {
    let registry = registry();
    let stream = kept(&registry, 1 << 20);
    let (reads, writes) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    let (reading, writing) = (Waker::from(Arc::clone(&reads)), Waker::from(Arc::clone(&writes)));
    let (mut reading, mut writing) = (Context::from_waker(&reading), Context::from_waker(&writing));
    let mut reader = LogReader::new(&stream, 0, false);
    assert!(stream.log().poll_over(&mut writing).is_pending());
    for turn in 1..=3 {
        while reader.poll_next(&mut reading).is_ready() {}
        append(&stream, b"x");
        assert_eq!(reads.0.load(Ordering::SeqCst), turn);
    }
    while reader.poll_next(&mut reading).is_ready() {}
    assert_eq!(writes.0.load(Ordering::SeqCst), 0);
    stream.end(End::Stopped);
    assert_eq!((reads.0.load(Ordering::SeqCst), writes.0.load(Ordering::SeqCst)), (4, 1));
    assert_eq!(stream.log().poll_over(&mut writing), Poll::Ready(End::Stopped));
    assert!(!stream.log().append(b"late", Instant::now()), "nothing comes after the end");
}

#[test]
fn the_ring_keeps_the_newest_and_a_reader_that_it_overtakes_is_told() {
    let registry = registry();
    let stream = kept(&registry, 64 * 1024);
    let (mut slow, mut quick) =
        (LogReader::new(&stream, 0, false), LogReader::new(&stream, 0, false));
    for _ in 0..1000 {
        append(&stream, &told(0, 251));
        assert!(read(&mut quick).1.is_pending());
    }
    let extent = stream.log().extent();
    assert!((60 * 1024..=64 * 1024).contains(&(extent.end - extent.start)), "{extent:?}");
    assert_eq!(read(&mut slow), (Vec::new(), Poll::Ready(Some(Kind::StreamLagged))));
    let mut late = LogReader::new(&stream, extent.start, false);
    let (bytes, after) = read(&mut late);
    assert!(bytes == told(extent.start as usize, (extent.end - extent.start) as usize));
    assert!(after.is_pending());
}

#[test]
fn what_is_counted_is_what_is_held_and_nothing_is_left_of_it() {
    let registry = registry();
    let stream = kept(&registry, 1 << 20);
    for _ in 0..3000 {
        append(&stream, &[b'x'; 100]);
    }
    let held = registry.meters().bytes();
    assert!((300_000..360_000).contains(&held), "{held}");
    stream.log().shrink(64 * 1024);
    stream.log().shrink(64 * 1024);
    stream.log().shrink(64 * 1024);
    assert!(registry.meters().bytes() < 300_000);
    stream.end(End::Complete);
    drop(stream);
    registry.sweep(Instant::now() + TTL * 2);
    assert_eq!(registry.meters().bytes(), 0);
}

#[test]
fn a_stream_is_found_by_its_owner_alone() {
    let registry = registry();
    let stream = kept(&registry, 1 << 20);
    assert!(registry.find(stream.id(), &owner("a")).is_some());
    assert!(registry.find(stream.id(), &owner("b")).is_none());
    assert!(registry.find(stream.id(), &Owner::Anyone).is_none());
}

#[test]
fn a_conversation_that_begins_anew_stops_the_one_of_that_name() {
    let registry = registry();
    let new = |who: &str| NewStream {
        conversation: Some("chat".into()),
        ..stream_of(owner(who), 1 << 20, 10)
    };
    let keep = |who: &str| registry.keep(new(who), Instant::now()).expect("it is kept");
    let (first, other) = (keep("a"), keep("b"));
    let second = keep("a");
    assert_eq!(first.log().extent().over, Some(End::Stopped));
    assert_eq!(other.log().extent().over, None);
    assert!(registry.find(first.id(), &owner("a")).is_none());
    let found = registry.of_conversation("chat", &owner("a")).expect("it is there");
    assert_eq!(found.id(), second.id());
    assert!(registry.of_conversation("chat", &owner("c")).is_none());
}

#[test]
fn an_unread_stream_is_given_up_and_an_ended_one_forgotten_in_time() {
    let registry = registry();
    let stream = kept(&registry, 1 << 20);
    let begun = Instant::now();
    let reader = LogReader::new(&stream, 0, false);
    assert!(registry.sweep(begun + DETACHED * 10).is_some());
    assert_eq!(stream.log().extent().over, None, "it is read");
    drop(reader);
    let left = Instant::now();
    registry.sweep(left + DETACHED / 2);
    assert_eq!(stream.log().extent().over, None, "its reader may come back");
    registry.sweep(left + DETACHED);
    assert_eq!(stream.log().extent().over, Some(End::Cut(Kind::StreamAbandoned)));
    let ended = Instant::now();
    assert!(registry.sweep(ended + TTL / 2).is_some());
    assert!(registry.find(stream.id(), &owner("a")).is_some());
    assert_eq!(registry.sweep(ended + TTL), None);
    assert!(registry.find(stream.id(), &owner("a")).is_none());
}

#[test]
fn an_owner_has_so_many_and_what_ended_first_gives_way() {
    let registry = registry();
    let keep = |who: &str| registry.keep(stream_of(owner(who), 1 << 20, 3), Instant::now());
    let all: Vec<_> = (0..3).map(|_| keep("a").expect("there is room")).collect();
    assert!(keep("a").is_none(), "all of them run");
    assert!(keep("b").is_some(), "another's are no matter");
    let reader = LogReader::new(&all[0], 0, false);
    all[0].end(End::Complete);
    all[2].end(End::Complete);
    all[1].end(End::Complete);
    assert!(keep("a").is_some());
    let left = |nth: usize| registry.find(all[nth].id(), &owner("a")).is_some();
    assert_eq!([left(0), left(1), left(2)], [true, true, false]);
    drop(reader);
}

#[test]
fn while_memory_is_short_nothing_new_is_kept_and_what_ended_goes() {
    use crate::admit::{Headroom, Level};
    let pressure = Pressure::default();
    let registry = Registry::new(pressure.clone(), Arc::new(StreamMeters::default()));
    let all: Vec<_> = (0..8).map(|_| kept(&registry, 1 << 20)).collect();
    for stream in &all {
        append(stream, &told(0, 100_000));
    }
    for stream in &all[..6] {
        stream.end(End::Complete);
    }
    let setter = pressure.level_setter(1 << 30);
    setter.show(Level::Shed, Headroom::default());
    assert!(registry.keep(stream_of(owner("a"), 1 << 20, 10), Instant::now()).is_none());
    registry.sweep(Instant::now());
    let left = |nth: usize| registry.find(all[nth].id(), &owner("a")).is_some();
    assert!(!left(0) && !left(1), "the oldest went");
    assert!(left(5) && left(6) && left(7), "a quarter was enough");
    for _ in 0..9 {
        registry.sweep(Instant::now());
    }
    assert_eq!([left(5), left(6), left(7)], [false, true, true], "those that run stay");
    assert!(all[7].log().held() <= 80 * 1024, "with less");
}

#[test]
fn while_it_drains_a_stream_lives_as_long_as_its_readers() {
    let registry = registry();
    let (read_on, unread) = (kept(&registry, 1 << 20), kept(&registry, 1 << 20));
    let reader = LogReader::new(&read_on, 0, false);
    registry.drain(false);
    assert_eq!(unread.log().extent().over, Some(End::Cut(Kind::Draining)));
    assert_eq!(read_on.log().extent().over, None);
    assert!(registry.keep(stream_of(owner("a"), 1 << 20, 10), Instant::now()).is_none());
    drop(reader);
    assert_eq!(read_on.log().extent().over, Some(End::Cut(Kind::Draining)));
}

#[test]
fn a_replay_ends_as_its_stream_did() {
    let registry = registry();
    for (end, told) in [
        (End::Complete, None),
        (End::Stopped, Some(Kind::StreamStopped)),
        (End::Cut(Kind::UpstreamCut), Some(Kind::StreamCut)),
    ] {
        let stream = kept(&registry, 1 << 20);
        append(&stream, b"data: a\n\n");
        stream.end(end);
        stream.end(End::Complete);
        let mut reader = LogReader::new(&stream, 0, true);
        assert_eq!(read(&mut reader), (b"data: a\nid: 9\n\n".to_vec(), Poll::Ready(told)));
    }
}

#[test]
fn events_are_looked_for_where_the_bytes_are_their_text() {
    let has_events = |content_type: &'static str, coding: Option<&'static str>| {
        let value = HeaderValue::from_static;
        let (content_type, content_encoding) = (Some(value(content_type)), coding.map(value));
        KeptHead { status: StatusCode::OK, content_type, content_encoding }.has_events()
    };
    assert!(has_events("Text/Event-Stream; charset=utf-8", None));
    assert!(has_events("text/event-stream", Some("identity")), "which codes nothing");
    assert!(!has_events("text/event-stream", Some("gzip")) && !has_events("text/plain", None));
}
