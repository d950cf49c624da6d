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

/// Bytes after a WINDOW_UPDATE's head: by how much the window grows.
const INCREMENT: usize = 4;

/// One frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes that follow it.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// What a WINDOW_UPDATE adds; of other frames 0.
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

    /// Calls `each` with every head that is whole after `bytes`. The work is in proportion to the frames.
    pub(super) fn walk(&mut self, mut bytes: &[u8], mut each: impl FnMut(Head)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let taken = (self.need - self.have).min(bytes.len());
            self.begun[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < self.need {
                return;
            }
            let head = parse(self.begun);
            if self.need == HEAD && head.kind == WINDOW_UPDATE && head.length as usize == INCREMENT
            {
                self.need += INCREMENT;
                continue;
            }
            let skip = head.length as usize + HEAD - self.need;
            let increment = if self.need > HEAD { head.increment } else { 0 };
            (self.have, self.need, self.skip) = (0, HEAD, skip);
            each(Head { increment, ..head });
        }
    }

    /// The last frame is whole, and no other begun.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0 && self.skip == 0
    }
}

/// All numbers without the bit that is reserved.
fn parse(bytes: [u8; HEAD + INCREMENT]) -> Head {
    let [a, b, c, kind, flags, d, e, f, g, h, i, j, k] = bytes;
    let number = |bytes| u32::from_be_bytes(bytes) & 0x7fff_ffff;
    let (length, stream) = (number([0, a, b, c]), number([d, e, f, g]));
    Head { length, kind, flags, stream, increment: number([h, i, j, k]) }
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
            heads.walk(before, |head| seen.push((head.kind, head.increment)));
            heads.walk(after, |head| seen.push((head.kind, head.increment)));
            assert_eq!(seen, [(WINDOW_UPDATE, 0x1_0203), (PING, 0)], "cut at {cut}");
        }
    }

    #[test]
    fn a_goaway_is_one_frame_of_the_connection() {
        let mut seen = Vec::new();
        let bytes = go_away(7, h2::Reason::ENHANCE_YOUR_CALM);
        Heads::after(0).walk(&bytes, |head| seen.push(head));
        assert_eq!(seen, [Head { length: 8, kind: GOAWAY, flags: 0, stream: 0, increment: 0 }]);
        assert_eq!(&bytes[HEAD..], [0, 0, 0, 7, 0, 0, 0, 11]);
    }
}
