//! Whether a stream of events was complete to its reader when it was left.

use super::Observer;

/// How a stream of events says that it is complete. SDKs close as soon as they read it.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// The last bytes that were handed over.
#[derive(Debug, Default)]
pub struct DoneScanner {
    bytes: [u8; DONE.len()],
}

impl DoneScanner {
    /// They are the end of a complete stream of events.
    pub fn is_done(&self) -> bool {
        self.bytes == DONE
    }
}

impl Observer for DoneScanner {
    /// Costs the same whatever the chunk's size.
    fn chunk(&mut self, bytes: &[u8]) {
        let keep = self.bytes.len();
        if bytes.len() >= keep {
            self.bytes.copy_from_slice(&bytes[bytes.len() - keep..]);
        } else {
            self.bytes.copy_within(bytes.len().., 0);
            self.bytes[keep - bytes.len()..].copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_is_seen_however_it_was_split() {
        let stream = b"data: {}\n\ndata: [DONE]\n\n";
        for size in 1..=stream.len() {
            let mut scanner = DoneScanner::default();
            for chunk in stream.chunks(size) {
                assert!(!scanner.is_done());
                scanner.chunk(chunk);
            }
            assert!(scanner.is_done(), "in chunks of {size}");
        }
        let mut scanner = DoneScanner::default();
        scanner.chunk(b"data: [DONE]\n");
        assert!(!scanner.is_done(), "the frame has not ended");
    }
}
