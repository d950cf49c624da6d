//! Whether a header's name has an underscore: asked of every line, so some bytes at a time.

/// Some bytes at a time, and some of them twice: nearly every name has 4 to 32.
#[inline]
pub(super) fn has_underscore(name: &[u8]) -> bool {
    let both = |first: u64, last: u64| underscores(first) | underscores(last) != 0;
    if name.len() > 16 {
        return is_in_long(name);
    }
    match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => both(u64::from_ne_bytes(*first), u64::from_ne_bytes(*last)),
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                both(u32::from_ne_bytes(*first).into(), u32::from_ne_bytes(*last).into())
            }
            _ => name.contains(&b'_'),
        },
    }
}

/// Of more than sixteen bytes.
fn is_in_long(name: &[u8]) -> bool {
    let halves = |bytes: &[u8; 16]| {
        let (words, _none) = bytes.as_chunks::<8>();
        words
            .iter()
            .map(|word| underscores(u64::from_ne_bytes(*word)))
            .fold(0, |all, one| all | one)
    };
    let ends = name.first_chunk().map_or(0, halves) | name.last_chunk().map_or(0, halves);
    let middle = name.get(16..name.len().saturating_sub(16)).unwrap_or_default();
    ends != 0 || middle.contains(&b'_')
}

/// Not zero where one of the bytes is an underscore.
#[inline]
fn underscores(word: u64) -> u64 {
    // Where a byte is an underscore, its difference is zero, and only of a zero does the subtraction set
    // the highest bit that was not set. A borrow can only come from a zero below.
    let differs = word ^ u64::from_ne_bytes([b'_'; 8]);
    differs.wrapping_sub(u64::from_ne_bytes([1; 8])) & !differs & u64::from_ne_bytes([0x80; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_underscore_is_found_wherever_it_stands() {
        for length in 0..40 {
            for other in ["-", "a", "^", "`", "~", "!"] {
                let name = other.repeat(length);
                assert!(!has_underscore(name.as_bytes()), "{name}");
                for at in 0..length {
                    let mut name = name.clone();
                    name.replace_range(at..=at, "_");
                    assert!(has_underscore(name.as_bytes()), "{name}");
                }
            }
        }
    }
}
