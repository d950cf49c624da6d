//! What is kept of a body until its end: its first bytes and its last ones.

use super::super::done::{Keeps, Last};

/// Bytes of a body that are kept at most. The last of them hold an event of usage, and what stands behind it: of a
/// response of `OpenAI`'s that is the client's metadata. More would hold more of that, and cost large chunks, of
/// which as much is copied, and each stream its memory.
pub(super) const KEPT: usize = 8 * 1024;

/// Of those, the body's first: a `message_start`, or what stands before the choices in JSON that begins with its
/// usage.
pub(super) const HEAD: usize = 2 * 1024;

const TAIL: usize = KEPT - HEAD;

/// Larger copies are made in pieces: of 4 KiB and more the C library leaves them to `rep movsb`, which on some
/// processors takes twenty times as long where source and target lie at the same place of their pages.
const PIECE: usize = 2 * 1024;

/// The first and last bytes that went by, and all of them while they are few. One allocation, made once: pages of
/// it that nothing was written to are not resident.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Of a longer body, the first [`HEAD`] and then a ring.
    bytes: Vec<u8>,
    /// Where the next byte goes.
    at: usize,
    /// Something between head and ring is gone.
    is_cut: bool,
}

impl Default for Kept {
    fn default() -> Self {
        Self { bytes: Vec::with_capacity(KEPT), at: 0, is_cut: false }
    }
}

impl Kept {
    /// The body's first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.bytes[..self.bytes.len().min(HEAD)]
    }

    /// All of the body, if it is here.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (!self.is_cut).then_some(&self.bytes[..])
    }

    /// The last bytes, in two parts; without those of the head where something is between them.
    pub(super) fn tail(&self) -> (&[u8], &[u8]) {
        if self.is_cut {
            (&self.bytes[self.at..], &self.bytes[HEAD..self.at])
        } else {
            (&[], &self.bytes)
        }
    }

    /// What is large, or does not fit behind the last bytes. Not inlined: most chunks are small.
    #[inline(never)]
    fn pieces(&mut self, mut bytes: &[u8]) {
        if self.bytes.len() == KEPT && bytes.len() > TAIL {
            bytes = &bytes[bytes.len() - TAIL..];
            self.is_cut = true;
        }
        for piece in bytes.chunks(PIECE) {
            let (first, second) = piece.split_at(piece.len().min(KEPT - self.at));
            self.place(first);
            if !second.is_empty() {
                (self.at, self.is_cut) = (HEAD, true);
                self.place(second);
            }
        }
    }

    /// What fits.
    fn place(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if self.at == self.bytes.len() {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes[self.at..end].copy_from_slice(bytes);
        }
        self.at = end;
    }
}

impl Keeps for Kept {
    /// Costs a copy, of what is kept at most.
    fn push(&mut self, bytes: &[u8]) {
        if bytes.len() > PIECE || self.at + bytes.len() > KEPT {
            self.pieces(bytes);
        } else {
            self.place(bytes);
        }
    }

    fn last(&self) -> Last<'_> {
        let (older, newer) = self.tail();
        let newer = &newer[newer.len().saturating_sub(Last::MOST)..];
        let older = &older[older.len().saturating_sub(Last::MOST - newer.len())..];
        Last { older, newer, is_whole: !self.is_cut && newer.len() < Last::MOST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way of splitting that matters here, and a plain copy to compare with.
    #[test]
    fn the_first_and_the_last_bytes_are_kept_however_they_are_split() {
        let body: Vec<u8> = (0..3 * KEPT + 77).map(|at| (at * 7 / 5 % 251) as u8).collect();
        for size in [1, 2, 200, 1023, HEAD, HEAD + 1, TAIL - 1, TAIL, KEPT, KEPT + 1, 40_000] {
            let mut kept = Kept::default();
            let mut seen = 0;
            for chunk in body.chunks(size) {
                kept.push(chunk);
                seen += chunk.len();
                let so_far = &body[..seen];
                assert_eq!(kept.head(), &so_far[..seen.min(HEAD)]);
                assert_eq!(kept.whole(), (seen <= KEPT).then_some(so_far));
                let (older, newer) = kept.tail();
                let tail = [older, newer].concat();
                let wanted = if seen <= KEPT { seen } else { TAIL };
                assert!(tail == so_far[seen - wanted..], "{size}, {seen}");
                let last = kept.last();
                let end = [last.older, last.newer].concat();
                assert!(end == so_far[seen.saturating_sub(Last::MOST)..], "{size}, {seen}");
                assert_eq!(last.is_whole, seen < Last::MOST);
            }
        }
    }

    #[test]
    fn no_more_is_held_than_the_bound_whatever_comes() {
        let mut kept = Kept::default();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            kept.push(&chunk);
        }
        assert_eq!((kept.bytes.len(), kept.bytes.capacity()), (KEPT, KEPT));
    }
}
