//! The SETTINGS with which both sides of an HTTP/2 connection begin, as they pass below h2.
//!
//! h2 does not tell which heads the peer takes (`SETTINGS_MAX_HEADER_LIST_SIZE`), though a server may end the
//! connection over a larger one, and every stream on it. And of the heads that we take, h2 announces what it
//! reads: it ends the connection itself at four times that. So the peer's is read here, and ours is announced as
//! it is meant while h2 is built with more (`http2::builder`).
//!
//! Only the first SETTINGS of each side are looked at: after them this is gone, and a frame costs nothing.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

/// Of a frame (RFC 9113, section 4.1).
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;
/// The client's preface stands before its SETTINGS (RFC 9113, section 3.4).
const PREFACE: usize = 24;
const MAX_HEADER_LIST_SIZE: [u8; 2] = [0, 6];
/// More settings than there are; a longer frame is not waited for.
const LONGEST: usize = 1024;

/// What the peer says of the heads that it takes, in bytes as [`crate::upstream::HeadSize`] counts them; told once.
pub(in crate::upstream) type PeerTakes = Rc<Cell<Option<u32>>>;

/// Both sides' first SETTINGS.
pub(in crate::upstream) struct Greeting {
    /// What is announced in place of h2's own.
    takes: u32,
    sent: usize,
    /// Where in what is sent the value stands, once it is known.
    at: Option<usize>,
    /// The peer's frame as far as it came; `None` once it was read.
    frame: Option<Vec<u8>>,
    peer_takes: PeerTakes,
}

impl Greeting {
    /// Announces `takes`, and tells what the peer does.
    pub(in crate::upstream) fn new(takes: u32, peer_takes: PeerTakes) -> Self {
        Self { takes, sent: 0, at: None, frame: Some(Vec::new()), peer_takes }
    }

    /// Nothing is left to say or to hear.
    pub(in crate::upstream) fn is_over(&self) -> bool {
        self.frame.is_none() && self.sent > PREFACE + FRAME_HEAD
    }

    /// What is to be written in place of `bytes`; [`Greeting::wrote`] says how much of it was.
    pub(super) fn say<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.sent == PREFACE {
            let value = settings(bytes).and_then(|all| position(all, MAX_HEADER_LIST_SIZE));
            self.at = value.map(|value| PREFACE + FRAME_HEAD + value);
        }
        let Some(at) = self.at.filter(|at| *at + 4 > self.sent) else { return bytes.into() };
        let mut said = bytes.to_owned();
        for (place, byte) in (at..).zip(self.takes.to_be_bytes()) {
            if let Some(here) = place.checked_sub(self.sent).and_then(|here| said.get_mut(here)) {
                *here = byte;
            }
        }
        said.into()
    }

    pub(in crate::upstream) fn wrote(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Bytes that the peer sent.
    pub(in crate::upstream) fn hear(&mut self, bytes: &[u8]) {
        let Some(frame) = &mut self.frame else { return };
        frame.extend_from_slice(bytes);
        if frame.len() < FRAME_HEAD {
            return;
        }
        let whole = settings(frame).is_some();
        if whole || frame[3] != SETTINGS || frame.len() >= LONGEST {
            let value = |all: &[u8]| {
                let at = position(all, MAX_HEADER_LIST_SIZE)?;
                all.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
            };
            self.peer_takes.set(settings(frame).and_then(value));
            self.frame = None;
        }
    }
}

/// The payload of the SETTINGS frame with which `bytes` begin, if all of it is there.
fn settings(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_at_checked(FRAME_HEAD)?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    rest.get(..len).filter(|_| head[3] == SETTINGS)
}

/// Where the value of the last setting of this name stands: each has six bytes, and the last counts (RFC
/// 9113, section 6.5.3).
fn position(settings: &[u8], name: [u8; 2]) -> Option<usize> {
    let nth = settings.chunks_exact(6).rposition(|setting| setting[..2] == name)?;
    Some(nth * 6 + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(settings: &[(u16, u32)]) -> Vec<u8> {
        let mut frame = vec![0, 0, settings.len() as u8 * 6, SETTINGS, 0, 0, 0, 0, 0];
        for (name, value) in settings {
            frame.extend(name.to_be_bytes());
            frame.extend(value.to_be_bytes());
        }
        frame
    }

    fn heard(bytes: &[u8], at_once: usize) -> Option<u32> {
        let told = PeerTakes::default();
        let mut greeting = Greeting::new(0, Rc::clone(&told));
        bytes.chunks(at_once).for_each(|part| greeting.hear(part));
        told.get()
    }

    #[test]
    fn what_the_peer_takes_is_heard_however_it_comes() {
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let said = [frame(&[(3, 100), (6, 16_384)]), ping.to_vec()].concat();
        for at_once in 1..=said.len() {
            assert_eq!(heard(&said, at_once), Some(16_384), "{at_once} bytes at once");
        }
        assert_eq!(heard(&frame(&[(6, 1), (6, 2)]), 99), Some(2), "the last counts");
        assert_eq!(heard(&frame(&[(3, 100)]), 99), None);
        assert_eq!(heard(&frame(&[]), 99), None);
        assert_eq!(heard(&ping, 99), None, "no SETTINGS, and h2 will say so");
    }

    #[test]
    fn what_we_take_is_said_however_it_is_written() {
        let h2 =
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(&[(2, 0), (6, 1 << 24), (4, 9)])];
        let window = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0];
        let expected =
            [h2[0].clone(), frame(&[(2, 0), (6, 65_536), (4, 9)]), window.to_vec()].concat();
        for takes in 1..expected.len() {
            let mut greeting = Greeting::new(65_536, PeerTakes::default());
            let mut wire = Vec::new();
            // The preface is written first, and then a buffer that holds all of the frame.
            for buffer in [&h2[0], &[&h2[1][..], &window].concat()] {
                let mut left = &buffer[..];
                while !left.is_empty() {
                    let said = greeting.say(left);
                    let taken = takes.min(said.len());
                    wire.extend_from_slice(&said[..taken]);
                    greeting.wrote(taken);
                    left = &left[taken..];
                }
            }
            assert_eq!(wire, expected, "{takes} bytes at once");
        }
    }
}
