//! Watches the HTTP/2 frames that leave, for what the `h2` crate does by itself and does not tell: refusing
//! streams beyond the limit.

/// Length, type, flags, stream (RFC 9113, section 4.1), and the code of a RST_STREAM.
const HEADER: usize = 9;
const RST_STREAM: u8 = 3;
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];

/// Follows the boundaries of frames through pieces of any size.
pub(in crate::upstream) struct RefusedStreams {
    head: [u8; HEADER + REFUSED_STREAM.len()],
    have: usize,
    skip: usize,
    refused: Box<dyn FnMut()>,
}

impl RefusedStreams {
    /// Calls `refused` for each RST_STREAM(REFUSED_STREAM) that has been written.
    pub(in crate::upstream) fn new(refused: impl FnMut() + 'static) -> Self {
        Self {
            head: [0; HEADER + REFUSED_STREAM.len()],
            have: 0,
            skip: 0,
            refused: Box::new(refused),
        }
    }

    /// The next bytes of the connection, from its first on.
    pub(in crate::upstream) fn written(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let reset = self.have >= HEADER && self.head[3] == RST_STREAM;
            let wanted = if reset { self.head.len() } else { HEADER };
            let taken = (wanted - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            self.whole();
        }
    }

    /// If a head is whole, goes on to the next frame.
    fn whole(&mut self) {
        let reset = self.head[3] == RST_STREAM;
        if self.have == HEADER && !reset {
            let length = [0, self.head[0], self.head[1], self.head[2]];
            self.skip = u32::from_be_bytes(length) as usize;
            self.have = 0;
        } else if self.have == self.head.len() {
            if self.head[HEADER..] == REFUSED_STREAM {
                (self.refused)();
            }
            self.have = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn refusals_are_counted_however_the_bytes_are_cut() {
        let mut wire = vec![0, 0, 5, 0, 0, 0, 0, 0, 1, 3, 3, 3, 3, 3];
        wire.extend([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7]);
        wire.extend([0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 8]);
        wire.extend([0, 0, 0, 4, 1, 0, 0, 0, 0]);
        wire.extend([0, 0, 4, 3, 0, 0, 0, 0, 5, 0, 0, 0, 7]);
        for size in 1..=wire.len() {
            let count = Rc::new(Cell::new(0));
            let counted = count.clone();
            let mut watch = RefusedStreams::new(move || counted.set(counted.get() + 1));
            wire.chunks(size).for_each(|piece| watch.written(piece));
            assert_eq!(count.get(), 2, "in pieces of {size}");
        }
    }
}
