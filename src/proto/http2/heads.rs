//! The heads of frames, found in bytes however these are split (RFC 9113, section 4.1).

/// What a client begins with (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
const HEAD: usize = 9;

/// The types that matter here (RFC 9113, section 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
#[cfg(test)]
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

/// `END_STREAM` of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 0x1;
/// `PADDED` of DATA.
pub(super) const PADDED: u8 = 0x8;

/// Bytes after a `WINDOW_UPDATE`'s head: by how much the window grows.
const INCREMENT: usize = 4;

/// One frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes that follow it.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// What a `WINDOW_UPDATE` adds; of other frames it means nothing.
    pub(super) increment: u32,
}

/// Where one direction of a connection stands.
#[derive(Debug)]
pub(super) struct Heads {
    /// The beginning of a head that was split.
    begun: [u8; HEAD + INCREMENT],
    have: usize,
    need: usize,
    /// Bytes that belong to no head.
    skip: usize,
}

impl Heads {
    /// `preface` bytes come before the first frame.
    pub(super) fn after(preface: usize) -> Self {
        Self { begun: [0; HEAD + INCREMENT], have: 0, need: HEAD, skip: preface }
    }

    /// The length of the one frame that `bytes` are, where that is DATA without padding: most reads and
    /// writes are just that, and need no walk.
    #[inline]
    pub(super) fn whole_data(&self, bytes: &[u8]) -> Option<u32> {
        let head = u64::from_be_bytes(*bytes.first_chunk()?);
        let (length, kind, flags) = ((head >> 40) as u32, (head >> 32) as u8, (head >> 24) as u8);
        let plain = kind == DATA && flags & PADDED == 0 && length > 0;
        let whole = length as usize + HEAD == bytes.len();
        (plain && whole && self.is_between()).then_some(length)
    }

    /// Calls `each` with every head that is whole after `bytes`. The work is in proportion to the frames.
    #[inline]
    pub(super) fn walk(&mut self, mut bytes: &[u8], mut each: impl FnMut(Head)) {
        loop {
            let mut next = self.skip;
            if self.have == 0 {
                while let Some(whole) = bytes.get(next..).and_then(<[u8]>::first_chunk) {
                    let head = parse(whole);
                    next += HEAD + head.length as usize;
                    each(head);
                }
            }
            if next >= bytes.len() {
                self.skip = next - bytes.len();
                return;
            }
            bytes = &bytes[next..];
            self.skip = 0;
            let Some(head) = self.gather(&mut bytes) else { return };
            each(head);
        }
    }

    /// The head that is split, or at the end of what was read, once it is whole.
    fn gather(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        loop {
            let taken = (self.need - self.have).min(bytes.len());
            let (begun, rest) = bytes.split_at(taken);
            self.begun[self.have..self.have + taken].copy_from_slice(begun);
            self.have += taken;
            *bytes = rest;
            if self.have < self.need {
                return None;
            }
            let head = parse(&self.begun);
            if self.need == HEAD && head.is_update() {
                self.need += INCREMENT;
                continue;
            }
            self.skip = head.length as usize + HEAD - self.need;
            (self.have, self.need) = (0, HEAD);
            return Some(head);
        }
    }

    /// The last frame is whole, and no other begun.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0 && self.skip == 0
    }
}

impl Head {
    /// It is a `WINDOW_UPDATE` of the length that one has.
    fn is_update(self) -> bool {
        self.kind == WINDOW_UPDATE && self.length as usize == INCREMENT
    }
}

/// The bit before a number that means nothing is left out.
const NUMBER: u32 = 0x7fff_ffff;

#[inline]
fn parse(bytes: &[u8; HEAD + INCREMENT]) -> Head {
    let first = bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    let (length, kind, flags) = ((first >> 40) as u32, (first >> 32) as u8, (first >> 24) as u8);
    let stream = ((first << 8) as u32 | u32::from(bytes[HEAD - 1])) & NUMBER;
    let increment = bytes.last_chunk().map_or(0, |last| u32::from_be_bytes(*last)) & NUMBER;
    Head { length, kind, flags, stream, increment }
}

/// A GOAWAY frame: nothing after the stream `last` was looked at (RFC 9113, section 6.8).
pub fn go_away(last: u32, reason: h2::Reason) -> [u8; HEAD + 8] {
    let mut frame = [0; HEAD + 8];
    frame[2] = 8;
    frame[3] = GOAWAY;
    frame[HEAD..HEAD + 4].copy_from_slice(&last.to_be_bytes());
    frame[HEAD + 4..].copy_from_slice(&u32::from(reason).to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Vec<u8> {
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend((stream | 1 << 31).to_be_bytes());
        frame.resize(HEAD + length as usize, 0xff);
        frame
    }

    proptest! {
        #[test]
        fn heads_are_found_wherever_reads_split_them(
            frames in prop::collection::vec((0_u8..12, any::<u8>(), 0_u32..1 << 31, 0_u32..40), 0..20),
            splits in prop::collection::vec(1_usize..30, 1..40),
            preface in 0_usize..30,
        ) {
            let mut bytes = vec![b'P'; preface];
            for (kind, flags, stream, length) in &frames {
                bytes.extend(frame(*kind, *flags, *stream, *length));
            }
            let (mut heads, mut found, mut rest) = (Heads::after(preface), Vec::new(), &bytes[..]);
            for split in splits.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at(rest.len().min(*split));
                heads.walk(now, |head| found.push((head.kind, head.flags, head.stream, head.length)));
                rest = later;
            }
            prop_assert_eq!(found, frames);
            prop_assert!(heads.is_between());
        }
    }

    #[test]
    fn inside_a_frame_is_not_between_frames() {
        let mut heads = Heads::after(0);
        let bytes = frame(PING, 0, 0, 8);
        for cut in 1..bytes.len() {
            let mut heads = Heads::after(0);
            heads.walk(&bytes[..cut], |_| {});
            assert!(!heads.is_between(), "after {cut} bytes");
        }
        heads.walk(&bytes, |_| {});
        assert!(heads.is_between());
    }

    #[test]
    fn what_a_window_update_adds_is_known_wherever_it_is_split() {
        let mut bytes = frame(WINDOW_UPDATE, 0, 0, 4);
        bytes[HEAD..].copy_from_slice(&0x8001_0203_u32.to_be_bytes());
        bytes.extend(frame(PING, 0, 0, 8));
        for cut in 0..bytes.len() {
            let (mut heads, mut seen) = (Heads::after(0), Vec::new());
            let (before, after) = bytes.split_at(cut);
            heads.walk(before, |head| seen.push(head));
            heads.walk(after, |head| seen.push(head));
            assert_eq!(
                seen.iter().map(|head| head.kind).collect::<Vec<_>>(),
                [WINDOW_UPDATE, PING]
            );
            assert_eq!(seen[0].increment, 0x1_0203, "cut at {cut}");
        }
    }

    #[test]
    fn one_frame_of_data_by_itself_is_seen_at_a_glance() {
        let (heads, data) = (Heads::after(0), frame(DATA, 0, 1, 200));
        assert_eq!(heads.whole_data(&data), Some(200));
        assert_eq!(heads.whole_data(&frame(DATA, END_STREAM, 1, 1)), Some(1));
        for other in [
            frame(DATA, 0, 1, 0),
            frame(DATA, PADDED, 1, 200),
            frame(PING, 0, 0, 8),
            data[..208].to_vec(),
            data.repeat(2),
            Vec::new(),
        ] {
            assert_eq!(heads.whole_data(&other), None);
        }
        assert_eq!(Heads::after(1).whole_data(&data), None, "something else comes first");
    }

    #[test]
    fn a_goaway_is_one_frame_of_the_connection() {
        let mut seen = Vec::new();
        let bytes = go_away(7, h2::Reason::ENHANCE_YOUR_CALM);
        Heads::after(0).walk(&bytes, |head| seen.push((head.length, head.kind, head.stream)));
        assert_eq!(seen, [(8, GOAWAY, 0)]);
        assert_eq!(&bytes[HEAD..], [0, 0, 0, 7, 0, 0, 0, 11]);
    }
}
