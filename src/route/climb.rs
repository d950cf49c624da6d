//! Whether a path would leave its prefix if somebody behind us resolved its dots.
//!
//! We resolve nothing, but an upstream may, and each in its own way: before or after decoding, with
//! empty segments merged, with `\` taken for `/`, with path parameters cut off. The worst of these
//! readings decides. The key that we inject is worth more than a path that no client needs.

/// True if, at any point of `rest` (what follows the route's prefix), more segments went up than
/// came down.
pub(super) fn climbs(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    if !may_have_dots(bytes) {
        return false;
    }
    let mut depth = 0_usize;
    let mut segment = Segment::default();
    let mut at = 0;
    while let Some((byte, width)) = next(&bytes[at..]) {
        at += width;
        if !matches!(byte, b'/' | b'\\') {
            segment.push(byte);
            continue;
        }
        match segment.step(depth) {
            Some(now) => depth = now,
            None => return true,
        }
        segment = Segment::default();
    }
    segment.step(depth).is_none()
}

/// Two dots together, or any percent sign; so that `gpt-4.1` costs one scan.
fn may_have_dots(bytes: &[u8]) -> bool {
    bytes.contains(&b'%') || bytes.windows(2).any(|pair| pair == b"..")
}

/// The next byte as the most eager decoder reads it: `%252e` too is a dot once decoded twice.
fn next(bytes: &[u8]) -> Option<(u8, usize)> {
    let first = *bytes.first()?;
    if first != b'%' {
        return Some((first, 1));
    }
    let mut digits = 1;
    while bytes[digits..].starts_with(b"25") {
        digits += 2;
    }
    let decoded = match bytes.get(digits..digits + 2) {
        Some(b"2e" | b"2E") => b'.',
        Some(b"2f" | b"2F") => b'/',
        Some(b"5c" | b"5C") => b'\\',
        Some(b"3b" | b"3B") => b';',
        _ => return Some((first, 1)),
    };
    Some((decoded, digits + 2))
}

/// One segment, as far as dots are concerned.
#[derive(Default)]
struct Segment {
    dots: usize,
    /// A byte that is not a dot came before any `;`.
    other: bool,
    /// A `;` came: the rest is a parameter, which some cut off before they resolve.
    parameter: bool,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        match byte {
            _ if self.parameter => {}
            b';' => self.parameter = true,
            b'.' => self.dots += 1,
            _ => self.other = true,
        }
    }

    /// The depth after this segment; `None` if it goes above the prefix.
    fn step(&self, depth: usize) -> Option<usize> {
        match (self.other, self.dots) {
            (false, 0 | 1) => Some(depth),
            (false, 2) => depth.checked_sub(1),
            _ => Some(depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::climbs;

    #[test]
    fn ordinary_paths_do_not_climb() {
        for rest in [
            "",
            "/",
            "/chat/completions",
            "/models/gpt-4.1",
            "/files/..a",
            "/files/a..",
            "/files/...",
            "/a/../b",
            "/a/b/../../c",
            "/./a/.",
            "//a//b",
            "/a%20b/%E2%82%AC",
            "/100%",
            "/a%2fb%2f..",
            "/%2",
            "/%25",
        ] {
            assert!(!climbs(rest), "{rest}");
        }
    }

    #[test]
    fn every_spelling_of_a_climb_is_seen() {
        for rest in [
            "/..",
            "/../",
            "/../admin",
            "/a/../../b",
            "/a/../../b/c/d",
            "//..",
            "/./..",
            "/%2e%2e/admin",
            "/%2E./admin",
            "/.%2e",
            "/%252e%252e/",
            "/%25252e./",
            "/..%2fadmin",
            "/..%252fadmin",
            "/..\\admin",
            "/..%5cadmin",
            "/a%2f..%2f..",
            "/..;/admin",
            "/..;x=1/admin",
            "/..%3b/admin",
        ] {
            assert!(climbs(rest), "{rest}");
        }
    }
}
