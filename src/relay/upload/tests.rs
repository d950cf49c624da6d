//! Bodies in pieces that the test chooses, and what is held of them.

use std::collections::VecDeque;
use std::mem::size_of;
use std::net::SocketAddr;
use std::task::Waker;

use http::{Method, Version};
use tokio::runtime::{Builder, LocalOptions};

use super::watch::FAR;
use super::*;
use crate::admit::{Headroom, Level, LevelSetter, Pressure};
use crate::config::{AccessLog, LogFormat};
use crate::proto::field::Scan;
use crate::record::{Hub, Opened, Setup};

/// A worker with room for much, which counts what is held of it.
fn on_a_worker(test: impl FnOnce(&Rc<Stock>, &Rc<Record>)) {
    let options = LocalOptions::default();
    let runtime = Builder::new_current_thread().enable_all().build_local(options).unwrap();
    runtime.block_on(async {
        let hub = Hub::new(Setup {
            workers: 1,
            routes: vec!["/v1".into()],
            upstreams: vec!["a".into()],
            access_log: AccessLog::Off,
            log_format: LogFormat::default(),
            version: "1.2.3",
            commit: "abc",
        });
        let record = hub.unwrap().worker(0).start().open(Opened {
            at: Instant::now(),
            client: SocketAddr::from(([127, 0, 0, 1], 4000)).into(),
            version: Version::HTTP_11,
            method: Method::POST,
            path: String::new(),
        });
        let (pressure, _level_setter) = counted();
        test(&Stock::new(pressure, 1), &record);
    });
}

fn counted() -> (Pressure, LevelSetter) {
    let pressure = Pressure::default();
    let level_setter = pressure.level_setter(1 << 30);
    level_setter.show(Level::Calm, Headroom { held: 1 << 29, ..Headroom::default() });
    (pressure, level_setter)
}

/// A body of these pieces, none of which is there together with another.
fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> VecDeque<Poll<Bytes>> {
    let piece = |text: &str| [Poll::Ready(Bytes::copy_from_slice(text.as_bytes())), Poll::Pending];
    pieces.into_iter().flat_map(piece).collect()
}

fn upload(
    pieces: VecDeque<Poll<Bytes>>,
    replay: usize,
    (stock, record): (&Rc<Stock>, &Rc<Record>),
) -> Upload {
    let limits = UploadLimits { replay, idle: Duration::from_secs(3600), rate: 0 };
    Upload::new(RequestBody::Scripted(pieces), true, limits, stock, Instant::now(), record)
}

fn peek(upload: &mut Upload, most: usize) -> Result<Option<Box<str>>, Error> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut peek = Peek::new(Scan::of("").unwrap(), most, true);
    loop {
        if let Poll::Ready(peeked) = upload.poll_peek(&mut cx, &mut peek) {
            return peeked;
        }
    }
}

fn held(upload: &mut Upload) -> usize {
    upload.charge.share().unwrap().held()
}

const HANDLE: usize = size_of::<Bytes>();

#[test]
fn a_look_through_single_bytes_ends_at_what_it_takes_to_hold_them() {
    on_a_worker(|stock, record| {
        let body = format!("{{\"x\":\"{}", "x".repeat(4000));
        let pieces = in_pieces((0..body.len()).map(|at| &body[at..=at]));
        let mut upload = upload(pieces, 1 << 20, (stock, record));
        let mut look = Peek::new(Scan::of("").unwrap(), 4096, false);
        let mut cx = Context::from_waker(Waker::noop());
        let refused = loop {
            if let Poll::Ready(refused) = upload.poll_peek(&mut cx, &mut look) {
                break refused.unwrap_err();
            }
        };
        assert_eq!(refused.message(), FAR);
        // Far from all of it was read: as many as fit with their handles, and one more.
        let RequestBody::Scripted(left) = &upload.reader.body else { panic!("another body") };
        assert_eq!(body.len() - left.len() / 2, 4096 / (1 + HANDLE) + 1);
    });
}

#[test]
fn what_is_still_to_be_sent_counts_when_it_need_not_be_kept() {
    on_a_worker(|stock, record| {
        let pieces = ["{\"x\":[", "\"xxxxxxxxx\"]", ",\"model\":\"m\"", "}"];
        let mut upload = upload(in_pieces(pieces), 1 << 20, (stock, record));
        assert_eq!(peek(&mut upload, 4096).unwrap().as_deref(), Some("m"));
        let all = pieces[..3].iter().map(|piece| piece.len() + HANDLE).sum::<usize>();
        assert_eq!(held(&mut upload), all);
        upload.settle();
        assert_eq!(held(&mut upload), all, "nothing of it went up yet");
        let mut cx = Context::from_waker(Waker::noop());
        for piece in &pieces[..3] {
            assert!(matches!(upload.poll_next(&mut cx), Poll::Ready(Ok(()))));
            assert_eq!(std::mem::take(&mut upload.chunk), piece);
            upload.charge_with(0);
        }
        assert_eq!(held(&mut upload), 0);
    });
}

#[test]
fn what_is_read_ahead_counts_where_it_is_more_than_may_be_kept() {
    on_a_worker(|stock, record| {
        let frames = [60, 60].map(|len| Poll::Ready(Bytes::from(vec![b'x'; len])));
        let mut frames: VecDeque<_> = frames.into();
        frames.push_back(Poll::Pending);
        let mut upload = upload(frames, 60 + 2 * HANDLE, (stock, record));
        upload.read_ahead(&mut Context::from_waker(Waker::noop()));
        assert!(!upload.rewind(), "it is no more kept");
        assert_eq!(upload.again.len(), 2);
        assert_eq!(held(&mut upload), 2 * (60 + HANDLE));
    });
}

#[test]
fn a_body_that_goes_on_behind_its_end_fails_though_it_had_no_model() {
    on_a_worker(|stock, record| {
        for second in ["{\"model\":\"b\"}", "x"] {
            let mut upload = upload(in_pieces(["{}", second]), 1 << 20, (stock, record));
            assert_eq!(peek(&mut upload, 4096).unwrap(), None);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(upload.poll_next(&mut cx), Poll::Ready(Ok(()))), "the first goes up");
            upload.chunk = Bytes::new();
            let Poll::Ready(Err(refused)) = upload.poll_next(&mut cx) else { panic!("{second}") };
            assert!(refused.message().contains("behind its end"), "{second}");
        }
    });
}
