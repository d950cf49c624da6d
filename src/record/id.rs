//! The name of one request.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use http::HeaderValue;

/// 128 bits that name one request; shown as 32 lower-case hex digits.
///
/// Distinct, not secret: whoever sees some can guess others.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// The 32 hex digits without going through a formatter; for a header value.
    pub fn hex(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (place, byte) in self.0.to_be_bytes().into_iter().enumerate() {
            digits[2 * place] = hex_digit(byte >> 4);
            digits[2 * place + 1] = hex_digit(byte & 15);
        }
        digits
    }

    /// The same as a header's value.
    pub fn header_value(self) -> HeaderValue {
        // Hex digits are always a header's value; an empty one stands for what cannot happen.
        HeaderValue::from_bytes(&self.hex()).unwrap_or(HeaderValue::from_static(""))
    }
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hex().into_iter().try_for_each(|digit| fmt::Write::write_char(f, char::from(digit)))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One worker's source of ids: a random start and a counter, so that an id costs no system call.
pub(super) struct RequestIds {
    high: u64,
    low: u64,
    made: Cell<u64>,
}

impl RequestIds {
    /// Seeds from the keys that the standard library takes from the kernel for its hash maps: as
    /// random as needed here, without a dependency.
    pub(super) fn new() -> RequestIds {
        let random = || RandomState::new().build_hasher().finish();
        RequestIds { high: random(), low: random(), made: Cell::new(0) }
    }

    /// `mix` is a bijection, so one worker never makes the same low half twice; two workers meet
    /// only if 128 random bits do.
    pub(super) fn next(&self) -> RequestId {
        let count = self.made.get().wrapping_add(1);
        self.made.set(count);
        let low = mix(self.low.wrapping_add(count));
        let high = mix(self.high ^ low);
        RequestId(u128::from(high) << 64 | u128::from(low))
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood, 2014): every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_of_two_workers_never_meet_and_read_as_32_hex_digits() {
        let (one, other) = (RequestIds::new(), RequestIds::new());
        let ids: HashSet<String> =
            (0..10_000).flat_map(|_| [one.next().to_string(), other.next().to_string()]).collect();
        assert_eq!(ids.len(), 20_000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }

    #[test]
    fn the_digits_are_those_of_the_number() {
        let id = RequestId(0x0123_4567_89ab_cdef_0000_0000_0000_002a);
        assert_eq!(id.to_string(), "0123456789abcdef000000000000002a");
    }
}
