//! Kinds of header names. Asking a map for each name that could be there costs more than passing over those
//! that are, and most of them are of no kind.

use http::HeaderName;

use super::underscores::has_underscore;

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
    pub(super) fn of_text(name: &str) -> Self {
        let found = Self::of_known(name);
        if has_underscore(name.as_bytes()) { found.and(Self::UNDERSCORE) } else { found }
    }

    /// Most names begin with a letter, or have a length, of no concern.
    #[inline]
    pub(super) fn of_known(name: &str) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
