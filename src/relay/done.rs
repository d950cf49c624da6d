//! Whether a stream of events was complete to its reader when it was left.

/// How a stream of events says that it is complete. SDKs close as soon as they read it.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// The last bytes that were handed over.
#[derive(Debug, Default)]
pub struct DoneScanner {
    bytes: [u8; DONE.len()],
}

impl DoneScanner {
    /// Another chunk was handed over. Costs the same whatever its size.
    pub fn push(&mut self, chunk: &[u8]) {
        let keep = self.bytes.len();
        if chunk.len() >= keep {
            self.bytes.copy_from_slice(&chunk[chunk.len() - keep..]);
        } else {
            self.bytes.copy_within(chunk.len().., 0);
            self.bytes[keep - chunk.len()..].copy_from_slice(chunk);
        }
    }

    /// They are the end of a complete stream of events.
    pub fn is_done(&self) -> bool {
        self.bytes == DONE
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
                scanner.push(chunk);
            }
            assert!(scanner.is_done(), "in chunks of {size}");
        }
        let mut scanner = DoneScanner::default();
        scanner.push(b"data: [DONE]\n");
        assert!(!scanner.is_done(), "the frame has not ended");
    }
}
