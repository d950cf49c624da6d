//! How long a text is once HPACK's Huffman code has it (RFC 7541, appendix B), which h2 always uses.
//!
//! Text becomes shorter, but a byte beyond ASCII becomes two to four: a head that looks small can be larger on
//! the wire than a server's buffer. nginx counts each such byte one and a half times more.

/// The code's bits for each byte.
const BITS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// No byte has more.
pub(super) const MOST_BITS: usize = 30;

/// The code's length of a text, in bits.
pub(in crate::upstream) fn bits(text: &[u8]) -> usize {
    text.iter().map(|byte| usize::from(BITS[usize::from(*byte)])).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7541, appendix C.4.
    #[test]
    fn texts_are_as_long_as_the_standard_says() {
        for (text, bytes) in [("www.example.com", 12), ("no-cache", 6), ("custom-value", 9)] {
            assert_eq!(bits(text.as_bytes()).div_ceil(8), bytes, "{text}");
        }
        assert_eq!(bits(&[0xe9]), 22);
        assert!(BITS.iter().all(|bits| (5..=MOST_BITS).contains(&usize::from(*bits))));
    }
}
