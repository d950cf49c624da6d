//! The name of a kept stream.

use std::fmt;

use aws_lc_rs::rand;

/// 128 random bits, shown as 32 lower-case hex digits: nobody guesses one. It is no proof of who asks all the same:
/// that is [`Owner`](super::Owner)'s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u128);

impl StreamId {
    /// A new one; `None` where the system gives no random bytes.
    pub fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).ok()?;
        Some(Self(u128::from_be_bytes(bytes)))
    }

    /// 32 hex digits, in lower case as we write them.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_one = text.len() == 32 && text.bytes().all(fits);
        is_one.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// The first 8 digits: enough to find it in a log, and not enough to ask for it.
    pub fn short(self) -> String {
        format!("{:08x}", self.0 >> 96)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Short: it may get into a log.
impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_is_written_and_nothing_else_is_one() {
        let id = StreamId::random().expect("random bytes");
        let text = id.to_string();
        assert_eq!((text.len(), StreamId::parse(&text)), (32, Some(id)));
        assert!(text.starts_with(&id.short()) && id.short().len() == 8);
        let upper = "ABCDEF0123456789ABCDEF0123456789";
        for wrong in ["", "0", "+0000000000000000000000000000000", upper, &format!("{text}0")] {
            assert_eq!(StreamId::parse(wrong), None, "{wrong}");
        }
    }
}
