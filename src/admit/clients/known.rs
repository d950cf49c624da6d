//! The key that a connection's last request brought: the next one nearly always brings the same, and need not be hashed.

use std::cell::RefCell;
use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};

/// Of one connection. It knows one key at a time, and only of the directory that it was found in: after a reload it is
/// looked up again. What it holds is wiped when it goes.
#[derive(Default)]
pub struct KnownKey(RefCell<Option<Known>>);

struct Known {
    /// The number of the directory.
    directory: u64,
    key: SecretSlice<u8>,
    client: usize,
}

impl KnownKey {
    /// The number of the client whose key this is, if the last request of the connection had the same.
    pub(super) fn client(&self, directory: u64, key: &[u8]) -> Option<usize> {
        let known = self.0.borrow();
        let known = known.as_ref().filter(|known| known.directory == directory)?;
        same(known.key.expose_secret(), key).then_some(known.client)
    }

    pub(super) fn learn(&self, directory: u64, key: &[u8], client: usize) {
        let key = SecretSlice::from(key.to_vec());
        *self.0.borrow_mut() = Some(Known { directory, key, client });
    }
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownKey")
    }
}

/// In a time that depends on lengths alone: a balancer's connection carries requests of several clients, and none must
/// find another's key byte by byte.
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (ours, theirs) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest = ours.remainder().iter().zip(theirs.remainder());
    let differs = rest.fold(0_u8, |differs, (a, b)| differs | (a ^ b));
    let number = |chunk: &[u8]| chunk.first_chunk().map_or(0, |chunk| u64::from_ne_bytes(*chunk));
    let words = ours.zip(theirs).fold(0, |differs, (a, b)| differs | (number(a) ^ number(b)));
    std::hint::black_box(words | u64::from(differs)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_the_last_key_of_one_directory_and_no_other() {
        let known = KnownKey::default();
        assert_eq!(known.client(1, b""), None);
        known.learn(1, b"fb-0123456789", 7);
        assert_eq!(known.client(1, b"fb-0123456789"), Some(7));
        for other in
            [&b"fb-0123456788"[..], b"fb-012345678", b"fb-01234567890", b"gb-0123456789", b""]
        {
            assert_eq!(known.client(1, other), None);
        }
        assert_eq!(known.client(2, b"fb-0123456789"), None, "a reload may have taken it out");
        known.learn(2, b"fb-other", 8);
        assert_eq!(
            (known.client(2, b"fb-other"), known.client(1, b"fb-0123456789")),
            (Some(8), None)
        );
        assert_eq!(format!("{known:?}"), "KnownKey");
    }
}
