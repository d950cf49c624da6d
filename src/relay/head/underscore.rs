//! Names with underscores. A server that hands headers on as variables (CGI and its kin) makes
//! `HTTP_CONTENT_LENGTH` of `Content_Length` and of `Content-Length`: what was decided by the one, and
//! what only we may say, the other could contradict. nginx drops such names too.

/// How many header lines were not forwarded for their names' underscores. Beside a request in its
/// extensions, where there were any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld(pub u64);

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
const UNDERSCORES: u64 = u64::from_ne_bytes([b'_'; 8]);

/// Of every name of every request: eight bytes at a time, the last eight perhaps twice.
pub(super) fn has_underscore(name: &str) -> bool {
    let name = name.as_bytes();
    match name.last_chunk::<8>() {
        None => name.contains(&b'_'),
        Some(last) => is_in(*last) || name.as_chunks::<8>().0.iter().any(|word| is_in(*word)),
    }
}

fn is_in(word: [u8; 8]) -> bool {
    // Where a byte is an underscore, its difference is zero, and only of a zero does the subtraction set
    // the highest bit that was not set. A borrow can only come from a zero below.
    let differs = u64::from_ne_bytes(word) ^ UNDERSCORES;
    differs.wrapping_sub(ONES) & !differs & HIGH != 0
}

#[cfg(test)]
mod tests {
    use super::has_underscore;

    #[test]
    fn an_underscore_is_found_wherever_it_stands() {
        for length in 0..40 {
            for other in ["-", "a", "^", "`", "~", "!"] {
                let name = other.repeat(length);
                assert!(!has_underscore(&name), "{name}");
                for at in 0..length {
                    let mut name = name.clone();
                    name.replace_range(at..=at, "_");
                    assert!(has_underscore(&name), "{name}");
                }
            }
        }
    }
}
