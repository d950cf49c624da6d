//! How servers read a path, step by step: every order of the steps, any step any number of times. It
//! shares nothing with what it is compared to.

use std::collections::HashSet;

/// A text that the path becomes by some steps and of which the dots then lead out; `None` if there is
/// none.
pub(super) fn climbing(path: &str) -> Option<String> {
    let mut seen = HashSet::from([path.as_bytes().to_vec()]);
    let mut left: Vec<Vec<u8>> = seen.iter().cloned().collect();
    while let Some(text) = left.pop() {
        for decoded in 0..3 {
            match resolved(&text, decoded) {
                None => return Some(String::from_utf8_lossy(&text).into_owned()),
                Some(resolved) => add(resolved, &mut seen, &mut left),
            }
        }
        for step in [decode, slashes, cut_parameters, merge, drop_controls, cut_end] {
            add(step(&text), &mut seen, &mut left);
        }
        assert!(seen.len() < 100_000, "{path} has no end of readings");
    }
    None
}

fn add(text: Vec<u8>, seen: &mut HashSet<Vec<u8>>, left: &mut Vec<Vec<u8>>) {
    if seen.insert(text.clone()) {
        left.push(text);
    }
}

/// Once; what is no `%` with two digits stays.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let digits = text.get(at + 1..at + 3).filter(|it| it.iter().all(u8::is_ascii_hexdigit));
        if let Some(digits) = digits.filter(|_| text[at] == b'%') {
            let digits = std::str::from_utf8(digits).unwrap();
            decoded.push(u8::from_str_radix(digits, 16).unwrap());
            at += 3;
        } else {
            decoded.push(text[at]);
            at += 1;
        }
    }
    decoded
}

fn slashes(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

fn segments(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'/')
}

fn cut_parameters(text: &[u8]) -> Vec<u8> {
    let cut = |segment: &[u8]| segment.split(|byte| *byte == b';').next().unwrap().to_vec();
    segments(text).map(cut).collect::<Vec<_>>().join(&b'/')
}

fn merge(text: &[u8]) -> Vec<u8> {
    let mut merged = text.to_vec();
    merged.dedup_by(|a, b| *a == b'/' && *b == b'/');
    merged
}

fn drop_controls(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| *byte > b' ' && *byte != 0x7f).collect()
}

fn cut_end(text: &[u8]) -> Vec<u8> {
    text.split(|byte| matches!(byte, 0 | b'?' | b'#')).next().unwrap().to_vec()
}

/// Without its dots (RFC 3986, section 5.2.4): an empty segment is one. Segments are compared after being
/// decoded so many times, as by who splits first and decodes then. `None` if it climbs.
fn resolved(text: &[u8], decoded: usize) -> Option<Vec<u8>> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in segments(text.strip_prefix(b"/").unwrap_or(text)) {
        let mut read = segment.to_vec();
        for _ in 0..decoded {
            read = decode(&read);
        }
        match &read[..] {
            b"." => {}
            b".." => {
                kept.pop()?;
            }
            _ => kept.push(segment),
        }
    }
    Some([&b"/"[..], &kept.join(&b'/')].concat())
}
