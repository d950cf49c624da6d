//! What each character of a path may be to a reader that decodes.

/// A set of what one character may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct May(u8);

impl May {
    pub(super) const ORDINARY: Self = Self(1);
    pub(super) const DOT: Self = Self(2);
    pub(super) const TWO_DOTS: Self = Self(4);
    pub(super) const SEPARATOR: Self = Self(8);
    /// From here to the next separator, or to the path's end, some readers cut.
    pub(super) const PARAMETER: Self = Self(16);
    /// Some readers drop it.
    pub(super) const NOTHING: Self = Self(32);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn has(self, what: Self) -> bool {
        self.0 & what.0 != 0
    }
}

/// A path whose characters are looked at one by one.
pub(super) struct Spelled {
    bytes: Vec<Byte>,
    at: usize,
    /// How many of the next bytes may belong to what came before them.
    doubtful: usize,
}

/// A byte of the path after decoding until nothing can be decoded any more.
#[derive(Clone, Copy)]
struct Byte {
    value: u8,
    /// It was written as `%` and digits: to a reader that decodes less often it is a name's part.
    coded: bool,
    /// Of what it was written with, something stood in between that some readers drop, and others end at.
    spans: bool,
}

/// What a reader drops when it has decoded it, to decode what has then come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drops {
    /// Control characters and spaces.
    Controls,
    /// These, and what is not ASCII.
    BeyondAscii,
}

impl Drops {
    fn takes(self, byte: Byte) -> bool {
        match byte.value {
            0..=0x20 | 0x7f => true,
            0x80.. => self == Self::BeyondAscii,
            _ => false,
        }
    }
}

impl Spelled {
    pub(super) fn of(path: &[u8], drops: Drops) -> Self {
        Self { bytes: decoded(path, drops), at: 0, doubtful: 0 }
    }

    /// What a character at the front of `bytes` may be, its length, and how many bytes behind it may
    /// belong to it.
    fn read(bytes: &[Byte]) -> (May, usize, usize) {
        match bytes[0] {
            Byte { value: b'%', .. } => match wide(bytes) {
                Some(code) => (in_code(code), 6, 0),
                None => (no_digits(bytes), 1, 2),
            },
            Byte { value, coded, spans } if value.is_ascii() => {
                let may = if coded { in_code(value.into()) } else { plain(value) };
                (if spans { may.or(May::PARAMETER) } else { may }, 1, 0)
            }
            _ => beyond_ascii(bytes),
        }
    }
}

impl Iterator for Spelled {
    type Item = May;

    fn next(&mut self) -> Option<May> {
        let bytes = self.bytes.get(self.at..).filter(|bytes| !bytes.is_empty())?;
        let (may, length, doubtful) = Self::read(bytes);
        self.at += length;
        let may = if self.doubtful > 0 { may.or(May::NOTHING) } else { may };
        self.doubtful = self.doubtful.saturating_sub(length).max(doubtful);
        Some(may)
    }
}

/// Decodes until nothing is left to decode. What a digit was decoded from does not matter: `%25%32%65`
/// ends as a dot, as `%252e` does, and so does `%%002e` to who drops what `%00` is before decoding again.
fn decoded(path: &[u8], drops: Drops) -> Vec<Byte> {
    let mut bytes: Vec<Byte> = Vec::with_capacity(path.len());
    // Where those are in `bytes` that nobody drops.
    let mut stay: Vec<usize> = Vec::new();
    for value in path {
        let mut byte = Byte { value: *value, coded: false, spans: false };
        bytes.push(byte);
        stay.extend((!drops.takes(byte)).then(|| bytes.len() - 1));
        while let [.., sign, high, low] = stay[..]
            && bytes[sign].value == b'%'
            && let (Some(high), Some(low)) = (digit(bytes[high]), digit(bytes[low]))
        {
            let spans = bytes.len() - sign > 3 || bytes[sign..].iter().any(|byte| byte.spans);
            stay.truncate(stay.len() - 3);
            bytes.truncate(sign);
            byte = Byte { value: high << 4 | low, coded: true, spans };
            bytes.push(byte);
            stay.extend((!drops.takes(byte)).then_some(sign));
        }
    }
    bytes
}

fn digit(byte: Byte) -> Option<u8> {
    char::from(byte.value).to_digit(16).map(|digit| digit as u8)
}

fn plain(value: u8) -> May {
    match value {
        b'/' => May::SEPARATOR,
        b'.' => May::DOT,
        b'\\' => May::SEPARATOR.or(May::ORDINARY),
        b';' => May::PARAMETER.or(May::ORDINARY),
        0x7f => in_code(0x7f),
        _ => May::ORDINARY,
    }
}

/// What a character may be that is not written as itself: what stands for it, to whoever does not
/// decode it, and what it or the ASCII character that is compatible with it means to the others.
fn in_code(code: u32) -> May {
    let meant = match code {
        0x2e | 0x2024 | 0xfe52 | 0xff0e => May::DOT,
        0x2025 => May::TWO_DOTS,
        0x2f | 0x5c | 0xa5 | 0x2044 | 0x20a9 | 0x2215 | 0xfe68 | 0xff0f | 0xff3c => May::SEPARATOR,
        // `;`, and what ends a path to whoever looks for its end after decoding.
        0x23 | 0x3b | 0x3f | 0x37e | 0xfe54 | 0xff03 | 0xff1b | 0xff1f => May::PARAMETER,
        0..=0x20 | 0x7f => May::NOTHING.or(May::PARAMETER),
        _ => May::ORDINARY,
    };
    meant.or(May::ORDINARY)
}

/// What `%` may be where no two hex digits follow: some decoders take any letters for digits.
fn no_digits(bytes: &[Byte]) -> May {
    match bytes {
        [_, high, low, ..] if [high, low].iter().all(|it| it.value.is_ascii_alphanumeric()) => {
            May::ORDINARY.or(May::DOT).or(May::SEPARATOR).or(May::PARAMETER)
        }
        _ => May::ORDINARY,
    }
}

/// The code of `%uXXXX`, which one server family decodes.
fn wide(bytes: &[Byte]) -> Option<u32> {
    let [_, Byte { value: b'u' | b'U', .. }, digits @ ..] = bytes else { return None };
    let digits = digits.get(..4)?;
    digits.iter().try_fold(0, |code, byte| Some(code << 4 | u32::from(digit(*byte)?)))
}

/// UTF-8, also where it is longer than it need be or broken off: a lax decoder takes `%c0%ae` for a dot,
/// and what follows a broken sequence for a part of it.
fn beyond_ascii(bytes: &[Byte]) -> (May, usize, usize) {
    let first = bytes[0].value;
    let (more, mask) = match first {
        0xc0..=0xdf => (1, 0x1f),
        0xe0..=0xef => (2, 0x0f),
        0xf0..=0xf7 => (3, 0x07),
        0xf8..=0xfb => (4, 0x03),
        0xfc..=0xfd => (5, 0x01),
        _ => return (May::ORDINARY.or(May::NOTHING), 1, 0),
    };
    let Some(tail) = bytes.get(1..=more) else {
        return (May::ORDINARY.or(May::NOTHING), 1, more);
    };
    let code = tail
        .iter()
        .fold(u32::from(first & mask), |code, byte| code << 6 | u32::from(byte.value & 0x3f));
    if tail.iter().all(|byte| byte.value & 0xc0 == 0x80) {
        (in_code(code), 1 + more, 0)
    } else {
        (in_code(code).or(May::NOTHING), 1, more)
    }
}
