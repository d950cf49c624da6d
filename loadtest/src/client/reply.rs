//! An HTTP/1.1 answer (RFC 9112) as a pure state machine: fed with what each read brought, it needs
//! no I/O and no clock, so every way of cutting an answer short can be tested without a socket.

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};

use super::chunked::Chunked;
use super::clock::Mono;
use super::outcome::{Failure, FailureKind};
use super::progress::{Progress, Watch};

/// Longest head accepted, in bytes.
const HEAD_MAX: usize = 256 * 1024;
/// Most header lines accepted.
const HEADERS_MAX: usize = 128;

/// How the body's end is known (RFC 9112 section 6.3).
#[derive(Debug)]
enum Framing {
    Head,
    Chunked(Chunked),
    Length(u64),
    Close,
    Done,
}

/// One answer being read.
#[derive(Debug)]
pub(super) struct Reply {
    framing: Framing,
    head: Vec<u8>,
    bodiless: bool,
    reusable: bool,
}

impl Reply {
    /// The answer to a request of `method`.
    pub(super) fn to(method: &Method) -> Self {
        Self {
            framing: Framing::Head,
            head: Vec::new(),
            bodiless: method == Method::HEAD,
            reusable: true,
        }
    }

    /// Whether the answer is complete.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.framing, Framing::Done)
    }

    /// Whether the connection may carry another request once this answer is complete.
    pub(super) fn is_reusable(&self) -> bool {
        self.reusable && self.is_done()
    }

    /// Takes what one read brought at `now`.
    pub(super) fn feed<W: Watch>(
        &mut self,
        now: Mono,
        bytes: &[u8],
        progress: &mut Progress<'_, W>,
    ) -> Result<(), Failure> {
        if !matches!(self.framing, Framing::Head) {
            return self.body(now, bytes, progress);
        }
        if self.head.len() + bytes.len() > HEAD_MAX {
            return Err(Failure::new(FailureKind::Protocol, "the response head is too long"));
        }
        self.head.extend_from_slice(bytes);
        loop {
            let Some(head) = parse(&self.head)? else { return Ok(()) };
            let rest = self.head.split_off(head.length);
            self.head = rest;
            if head.status.is_informational() {
                continue;
            }
            self.framing = self.framing_of(&head)?;
            self.reusable = !head.closes && !matches!(self.framing, Framing::Close);
            progress.head(now, head.status, head.headers);
            let rest = std::mem::take(&mut self.head);
            return self.body(now, &rest, progress);
        }
    }

    /// The peer closed: complete only where closing is the framing.
    pub(super) fn closed(&mut self) -> Result<(), Failure> {
        match self.framing {
            Framing::Done => Ok(()),
            Framing::Close => {
                self.framing = Framing::Done;
                Ok(())
            }
            Framing::Head => Err(Failure::new(
                FailureKind::NoHead,
                "the connection closed before the response head",
            )),
            Framing::Chunked(_) | Framing::Length(_) => Err(Failure::new(
                FailureKind::Reset,
                "the connection closed before the end of the body",
            )),
        }
    }

    fn body<W: Watch>(
        &mut self,
        now: Mono,
        bytes: &[u8],
        progress: &mut Progress<'_, W>,
    ) -> Result<(), Failure> {
        let used = match &mut self.framing {
            Framing::Chunked(decoder) => {
                let used = decoder
                    .feed(bytes, |data| progress.body(now, data))
                    .map_err(|bad| Failure::new(FailureKind::Protocol, bad.0))?;
                if decoder.is_done() {
                    self.framing = Framing::Done;
                }
                used
            }
            Framing::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                progress.body(now, &bytes[..take]);
                *left -= take as u64;
                if *left == 0 {
                    self.framing = Framing::Done;
                }
                take
            }
            Framing::Close => {
                progress.body(now, bytes);
                bytes.len()
            }
            Framing::Head | Framing::Done => 0,
        };
        if used < bytes.len() {
            self.reusable = false;
        }
        Ok(())
    }

    fn framing_of(&self, head: &Head) -> Result<Framing, Failure> {
        let status = head.status;
        if self.bodiless || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
            return Ok(Framing::Done);
        }
        if let Some(coding) = head.headers.get(TRANSFER_ENCODING) {
            return if coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                Ok(Framing::Chunked(Chunked::new()))
            } else {
                Err(Failure::new(FailureKind::Protocol, "unknown transfer coding"))
            };
        }
        let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
        let Some(length) = lengths.next() else { return Ok(Framing::Close) };
        let parsed = length.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        match parsed {
            Some(_) if lengths.any(|other| other != length) => {
                Err(Failure::new(FailureKind::Protocol, "more than one content-length"))
            }
            Some(0) => Ok(Framing::Done),
            Some(length) => Ok(Framing::Length(length)),
            None => Err(Failure::new(FailureKind::Protocol, "content-length is not a number")),
        }
    }
}

/// A parsed head.
struct Head {
    length: usize,
    status: StatusCode,
    headers: HeaderMap,
    closes: bool,
}

fn parse(bytes: &[u8]) -> Result<Option<Head>, Failure> {
    let wrong = |error: &dyn ToString| Failure::new(FailureKind::Protocol, error);
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut lines);
    let length = match response.parse(bytes).map_err(|error| wrong(&error))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = StatusCode::from_u16(response.code.unwrap_or(0)).map_err(|error| wrong(&error))?;
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for line in response.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|error| wrong(&error))?;
        let value = HeaderValue::from_bytes(line.value).map_err(|error| wrong(&error))?;
        headers.append(name, value);
    }
    let says = |word: &str| {
        headers.get_all(CONNECTION).iter().any(|value| {
            value.to_str().is_ok_and(|text| {
                text.split(',').any(|token| token.trim().eq_ignore_ascii_case(word))
            })
        })
    };
    let closes = says("close") || (response.version == Some(0) && !says("keep-alive"));
    Ok(Some(Head { length, status, headers, closes }))
}

#[cfg(test)]
mod tests {
    use super::super::progress::Trace;
    use super::*;

    const CHUNKED: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\
        content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
        7\r\ndata: a\r\n2\r\n\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

    fn read(parts: &[&[u8]]) -> (Result<(), Failure>, Reply, Trace, super::super::Outcome) {
        let mut trace = Trace::default();
        let mut progress = Progress::new(Mono(1), true, &mut trace);
        let mut reply = Reply::to(&Method::POST);
        let mut result = Ok(());
        for (index, part) in parts.iter().enumerate() {
            result = result.and_then(|()| reply.feed(Mono(10 + index as u64), part, &mut progress));
        }
        result = result.and_then(|()| reply.closed());
        let outcome = progress.finish(Mono(99), result.clone().err());
        (result, reply, trace, outcome)
    }

    #[test]
    fn every_split_of_an_answer_is_read_alike() {
        for split in 0..CHUNKED.len() {
            let (result, reply, trace, outcome) = read(&[&CHUNKED[..split], &CHUNKED[split..]]);
            assert!(result.is_ok() && reply.is_reusable(), "split at {split}");
            assert_eq!(trace.body, b"data: a\n\ndata: [DONE]\n\n");
            assert_eq!((outcome.status, outcome.events, outcome.done), (Some(200), 2, true));
            assert!(outcome.ok());
        }
    }

    #[test]
    fn an_answer_cut_anywhere_is_seen_as_a_failure() {
        let head = CHUNKED.windows(4).rposition(|four| four == b"d\r\n\r").unwrap() + 5;
        for cut in 0..CHUNKED.len() - 1 {
            let outcome = read(&[&CHUNKED[..cut]]).3;
            let expected = if cut < head { FailureKind::NoHead } else { FailureKind::Reset };
            assert_eq!(outcome.failed(), Some(expected), "cut at {cut}");
        }
    }

    #[test]
    fn a_clean_end_without_done_is_a_failure_of_its_own() {
        let wire = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
            content-length: 9\r\n\r\ndata: a\n\n";
        assert_eq!(read(&[wire]).3.failed(), Some(FailureKind::NoDone));
    }

    #[test]
    fn bytes_after_the_answer_forbid_reuse() {
        let wire = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab";
        let (result, reply, trace, _) = read(&[wire]);
        assert!(result.is_ok() && reply.is_done() && !reply.is_reusable());
        assert_eq!(trace.body, b"a");
    }

    #[test]
    fn two_lengths_that_differ_are_refused() {
        let wire = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
        assert_eq!(read(&[wire]).3.failed(), Some(FailureKind::Protocol));
    }
}
