//! What one pass over a head's lines tells. Most heads have no line that needs a look of its own, and asking a
//! map for each name that could be there costs more than passing over those that are.

use http::HeaderMap;

use super::head_size::HeadSize;
use super::marks::Marks;

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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

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
