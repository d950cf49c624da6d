//! What one pass over a head's lines tells. Most heads have no line that needs a look of its own, and asking a
//! map for each name that could be there costs more than passing over those that are.

use http::{HeaderMap, HeaderName};

use super::head_size::HeadSize;

/// Size and marks of a head's lines, made in one pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadScan {
    /// Of the lines alone: pseudo-headers and the start line are left out.
    pub size: HeadSize,
    /// Which kinds of names there are.
    pub marks: Marks,
}

impl HeadScan {
    /// Of all lines of a map.
    pub fn of(lines: &HeaderMap) -> Self {
        Self::by(lines, Marks::of_text)
    }

    /// Of an answer's, where underscores concern nobody: they are not looked for.
    pub fn of_answer(lines: &HeaderMap) -> Self {
        Self::by(lines, Marks::of_known)
    }

    #[inline]
    fn by(lines: &HeaderMap, marks: impl Fn(&str) -> Marks) -> Self {
        lines.iter().fold(Self::default(), |scan, (name, value)| {
            let name = name.as_str();
            Self {
                size: scan.size.with(name.len() + value.len()),
                marks: scan.marks.and(marks(name)),
            }
        })
    }
}

/// A set of kinds of header names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks(u16);

impl Marks {
    /// `connection`.
    pub const CONNECTION: Self = Self(1);
    /// Hop-by-hop whether or not `connection` names it (RFC 9110, section 7.6.1).
    pub const HOP_BY_HOP: Self = Self(1 << 1);
    /// An underscore in the name: what CGI and its kin cannot tell from a hyphen.
    pub const UNDERSCORE: Self = Self(1 << 2);
    /// `expect`.
    pub const EXPECT: Self = Self(1 << 3);
    /// What a client may not say of itself: who forwarded the request.
    pub const FORWARDED: Self = Self(1 << 4);
    /// Under our own prefix, `x-firstbyte-`.
    pub const OURS: Self = Self(1 << 5);
    /// `authorization`.
    pub const AUTHORIZATION: Self = Self(1 << 6);
    /// Organization and project, which go and come with a key.
    pub const ACCOUNT: Self = Self(1 << 7);
    /// What browsers say of the page that asks.
    pub const PAGE: Self = Self(1 << 8);
    /// `content-length`.
    pub const LENGTH: Self = Self(1 << 9);

    /// None of them.
    pub const NONE: Self = Self(0);

    /// The kinds of one name.
    pub fn of(name: &HeaderName) -> Self {
        Self::of_text(name.as_str())
    }

    /// Both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets share a kind.
    pub const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    #[inline]
    fn of_text(name: &str) -> Self {
        let found = Self::of_known(name);
        if has_underscore(name.as_bytes()) { found.and(Self::UNDERSCORE) } else { found }
    }

    /// Most names begin with a letter, or have a length, of no concern.
    #[inline]
    fn of_known(name: &str) -> Self {
        let first = name.as_bytes().first().map_or(0, |first| first & 31);
        let candidate = CANDIDATES[usize::from(first)][name.len().min(LONGEST)];
        if candidate == 0 { Self::NONE } else { Self::by_name(name, candidate) }
    }

    /// In lower case, as a map has them. `candidate` is one behind the first that it can be.
    #[inline(never)]
    fn by_name(name: &str, candidate: u8) -> Self {
        if candidate == PREFIXED {
            return if name.starts_with(FORWARDED_BY) {
                Self::FORWARDED
            } else if name.starts_with(OUR_PREFIX) {
                Self::OURS
            } else {
                Self::NONE
            };
        }
        let alike = NAMES[usize::from(candidate) - 1..].iter();
        let mut alike = alike.take_while(|(known, _)| is_alike(known.as_bytes(), name.as_bytes()));
        alike.find(|(known, _)| *known == name).map_or(Self::NONE, |found| found.1)
    }
}

const FORWARDED_BY: &str = "x-forwarded-";
const OUR_PREFIX: &str = "x-firstbyte-";

const NAMES: [(&str, Marks); 18] = [
    ("authorization", Marks::AUTHORIZATION),
    ("connection", Marks::CONNECTION),
    ("content-length", Marks::LENGTH),
    ("expect", Marks::EXPECT),
    ("forwarded", Marks::FORWARDED),
    ("http2-settings", Marks::HOP_BY_HOP),
    ("keep-alive", Marks::HOP_BY_HOP),
    ("openai-organization", Marks::ACCOUNT),
    ("openai-project", Marks::ACCOUNT),
    ("origin", Marks::PAGE),
    ("proxy-authenticate", Marks::HOP_BY_HOP),
    ("proxy-authorization", Marks::HOP_BY_HOP),
    ("proxy-connection", Marks::HOP_BY_HOP),
    ("sec-fetch-site", Marks::PAGE),
    ("te", Marks::HOP_BY_HOP),
    ("trailer", Marks::HOP_BY_HOP),
    ("transfer-encoding", Marks::HOP_BY_HOP),
    ("upgrade", Marks::HOP_BY_HOP),
];

/// Longer names count as this long.
const LONGEST: usize = 31;

/// In place of a candidate: the name may begin with one of our two prefixes.
const PREFIXED: u8 = u8::MAX;

/// By the low bits of a first letter and by length: one more than where the first of [`NAMES`] stands that is
/// like it, or zero.
const CANDIDATES: [[u8; LONGEST + 1]; 32] = {
    let mut candidates = [[0; LONGEST + 1]; 32];
    let mut at = NAMES.len();
    while at > 0 {
        let name = NAMES[at - 1].0.as_bytes();
        let alike = &mut candidates[(name[0] & 31) as usize][name.len()];
        // Looked for from there on, those alike must stand together.
        assert!(*alike == 0 || *alike as usize == at + 1);
        *alike = at as u8;
        at -= 1;
    }
    let mut length = FORWARDED_BY.len();
    while length <= LONGEST {
        candidates[(b'x' & 31) as usize][length] = PREFIXED;
        length += 1;
    }
    candidates
};

/// First letter and length are the same.
fn is_alike(known: &[u8], name: &[u8]) -> bool {
    known.len() == name.len() && known.first() == name.first()
}

/// Some bytes at a time, and some of them twice: nearly every name has 4 to 32.
#[inline]
fn has_underscore(name: &[u8]) -> bool {
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
    use http::HeaderValue;

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

    #[test]
    fn each_name_of_concern_is_marked_and_its_neighbours_are_not() {
        let all = [
            (Marks::CONNECTION, &["connection"][..]),
            (
                Marks::HOP_BY_HOP,
                &[
                    "keep-alive",
                    "proxy-connection",
                    "proxy-authenticate",
                    "proxy-authorization",
                    "te",
                    "trailer",
                    "transfer-encoding",
                    "upgrade",
                    "http2-settings",
                ],
            ),
            (Marks::EXPECT, &["expect"]),
            (Marks::FORWARDED, &["forwarded", "x-forwarded-for", "x-forwarded-anything"]),
            (Marks::OURS, &["x-firstbyte-timeout-ms", "x-firstbyte-"]),
            (Marks::AUTHORIZATION, &["authorization"]),
            (Marks::ACCOUNT, &["openai-organization", "openai-project"]),
            (Marks::PAGE, &["origin", "sec-fetch-site"]),
            (Marks::LENGTH, &["content-length"]),
        ];
        for (mark, names) in all {
            for name in names {
                assert_eq!(Marks::of(&HeaderName::from_static(name)), mark, "{name}");
                for near in [format!("x{name}"), format!("{name}s"), name[1..].to_owned()] {
                    if !near.starts_with("x-f") && !near.is_empty() {
                        let near = HeaderName::try_from(near).unwrap();
                        assert_eq!(Marks::of(&near), Marks::NONE, "{near}");
                    }
                }
            }
        }
        assert_eq!(Marks::of_known("x-forwarded-for_"), Marks::FORWARDED);
        let both = Marks::of(&HeaderName::from_static("x-forwarded-for_"));
        assert_eq!(both, Marks::FORWARDED.and(Marks::UNDERSCORE));
    }

    #[test]
    fn every_line_counts_and_is_looked_at() {
        let mut lines = HeaderMap::new();
        lines.append("x-one", HeaderValue::from_static("1"));
        lines.append("x-one", HeaderValue::from_static("22"));
        lines.append("origin", HeaderValue::from_static("null"));
        let scan = HeadScan::of(&lines);
        assert_eq!(scan.size, HeadSize::of(&lines));
        assert_eq!((scan.size.lines, scan.marks), (3, Marks::PAGE));
    }
}
