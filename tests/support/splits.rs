//! Bodies with events and every length of UTF-8 in them, cut anywhere.

use bytes::Bytes;
use loadtest::random::Random;
use sha2::{Digest, Sha256};

/// Of one, two, three and four bytes in UTF-8, and what frames events.
const WORDS: [&str; 8] =
    [" a", "é", "語", "🦀", "\n\ndata: {\"x\":\"", "\"}\r\n\r\n", ": ping\n", "data: [DONE]"];

/// So many bytes of events, the same for the same generator.
pub(crate) fn events(random: &mut Random, len: usize) -> Bytes {
    let mut text = Vec::with_capacity(len + 16);
    while text.len() < len {
        text.extend_from_slice(WORDS[random.below(WORDS.len())].as_bytes());
    }
    text.truncate(len);
    text.into()
}

/// `count` pieces of 1 byte to 64 KiB, most of them small, as tokens are.
pub(crate) fn pieces(random: &mut Random, count: usize) -> Vec<Bytes> {
    let mut sizes = (0..count).map(|_| size(random)).collect::<Vec<_>>();
    let mut text = events(random, sizes.iter().sum());
    sizes.drain(..).map(|size| text.split_to(size)).collect()
}

fn size(random: &mut Random) -> usize {
    let most = match random.below(100) {
        0..50 => 8,
        50..85 => 300,
        85..97 => 4096,
        _ => 64 * 1024,
    };
    1 + random.below(most)
}

/// In hexadecimal, as the upstream's log has it.
pub(crate) fn sha256(pieces: &[Bytes]) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update(piece);
    }
    hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
