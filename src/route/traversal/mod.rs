//! Whether a path would leave its prefix if somebody behind us resolved its dots.
//!
//! We resolve nothing, but an upstream may, and each in its own way: before or after decoding, once or
//! several times, with empty segments merged, with `\` taken for `/`, with path parameters cut off. The
//! worst of these readings decides, also where one reader does a part of it and the next one the rest.
//! The key that we inject is worth more than a path that no client needs.

mod spelling;

use spelling::{Drops, May, Spelled};

/// True if some reading of `rest` (what follows the route's prefix) goes up, at any point, by more
/// segments than it came down.
///
/// Time and memory are linear in the path. A path of plain ASCII without `%` and `..` costs one scan.
pub(super) fn climbs(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    may_have_dots(bytes)
        && [Drops::Controls, Drops::BeyondAscii]
            .into_iter()
            .any(|drops| Depths::START.climbs(Spelled::of(bytes, drops)))
}

/// Two dots together, or anything that may be another spelling of them.
fn may_have_dots(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte == b'%' || *byte > b'~') || bytes.windows(2).any(|it| it == b"..")
}

/// What a segment is so far, as an index into [`Depths`]: so many dots and nothing else, where three
/// stand for more, or a name. Behind a `;` the rest of the segment may be cut off: then what it is stays
/// as it is, at the index plus [`CUT`].
const NAME: usize = 4;
const CUT: usize = NAME + 1;
const KINDS: usize = 2 * CUT;

const UNREACHED: usize = usize::MAX;

/// For each kind of the current segment, how far below the prefix it begins in the reading that comes
/// down least. No other need be known: whatever follows, that one climbs first.
#[derive(Clone, Copy)]
struct Depths([usize; KINDS]);

impl Depths {
    const START: Self = {
        let mut depths = [UNREACHED; KINDS];
        depths[0] = 0;
        Self(depths)
    };

    fn climbs(mut self, spelled: Spelled) -> bool {
        for may in spelled {
            match self.after(may) {
                Some(after) => self = after,
                None => return true,
            }
        }
        self.after(May::SEPARATOR).is_none()
    }

    /// After one more character that may be any of `may`; `None` if a reading of it climbs.
    fn after(&self, may: May) -> Option<Self> {
        let mut after = [UNREACHED; KINDS];
        let mut reach = |kind: usize, depth: usize| after[kind] = after[kind].min(depth);
        for (kind, depth) in self.0.into_iter().enumerate().filter(|(_, at)| *at != UNREACHED) {
            if may.has(May::SEPARATOR) {
                reach(0, below(kind % CUT, depth)?);
            }
            if kind >= CUT {
                if may != May::SEPARATOR {
                    reach(kind, depth);
                }
                continue;
            }
            for (what, then) in [
                (May::ORDINARY, NAME),
                (May::DOT, dots(kind, 1)),
                (May::TWO_DOTS, dots(kind, 2)),
                (May::PARAMETER, kind + CUT),
                (May::NOTHING, kind),
            ] {
                if may.has(what) {
                    reach(then, depth);
                }
            }
        }
        Some(Self(after))
    }
}

/// The kind of a segment after more dots.
fn dots(kind: usize, more: usize) -> usize {
    if kind == NAME { NAME } else { (kind + more).min(3) }
}

/// The depth after a segment of this kind; `None` if it goes above the prefix. Only a name surely comes
/// down: an empty segment may be merged away, and some systems drop dots at a name's end.
fn below(kind: usize, depth: usize) -> Option<usize> {
    match kind {
        NAME => Some(depth + 1),
        2 => depth.checked_sub(1),
        _ => Some(depth),
    }
}

#[cfg(test)]
mod tests;
