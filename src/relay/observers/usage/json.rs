//! As much of JSON (RFC 8259) as it takes to know where a value stands. It knows strings, and so never takes what a
//! model says for structure; it does not check what it need not understand. Nothing here recurs: depth costs nothing.

/// The brackets outside of strings, in order: where each is, and by how much it changes the depth.
pub(super) struct Brackets<'a> {
    json: &'a [u8],
    at: usize,
    /// The text ended inside a string.
    is_cut: bool,
}

impl<'a> Brackets<'a> {
    /// Of text that begins outside of a string.
    pub(super) fn of(json: &'a [u8]) -> Self {
        Self { json, at: 0, is_cut: false }
    }
}

impl Iterator for Brackets<'_> {
    type Item = (usize, i32);

    fn next(&mut self) -> Option<(usize, i32)> {
        while let Some(byte) = self.json.get(self.at) {
            let at = self.at;
            self.at += 1;
            match byte {
                b'{' | b'[' => return Some((at, 1)),
                b'}' | b']' => return Some((at, -1)),
                b'"' => {
                    let end = string_end(self.json, at);
                    (self.at, self.is_cut) = (end.unwrap_or(self.json.len()), end.is_none());
                }
                _ => {}
            }
        }
        None
    }
}

/// By how much the depth is changed over this text, which begins outside of a string; `None` if it ends in one.
pub(super) fn depth(json: &[u8]) -> Option<i32> {
    let mut brackets = Brackets::of(json);
    let depth = brackets.by_ref().map(|(_, change)| change).sum();
    (!brackets.is_cut).then_some(depth)
}

/// The key of the object in which this text ends, if that is a member of the outermost one. The text begins where
/// its JSON does.
pub(super) fn parent(json: &[u8]) -> Option<&[u8]> {
    let (mut depth, mut opened) = (0, 0);
    for (at, change) in Brackets::of(json) {
        depth += change;
        if (depth, change) == (2, 1) {
            opened = at;
        }
    }
    if depth != 2 || json.get(opened) != Some(&b'{') {
        return None;
    }
    let key = json[..opened].trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let key = key.strip_suffix(b"\"")?;
    Some(&key[memchr::memrchr(b'"', key)? + 1..])
}

/// Gives each member of the object at the front of this text, key and value as they are written, and returns where
/// it ends. `None` if it does not end, or is none.
pub(super) fn members<'a>(
    json: &'a [u8],
    mut member: impl FnMut(&'a [u8], &'a [u8]),
) -> Option<usize> {
    let mut at = 1;
    if *json.first()? != b'{' {
        return None;
    }
    loop {
        at = after_space(json, at);
        match json.get(at)? {
            b'}' => return Some(at + 1),
            b',' => at += 1,
            b'"' => {
                let key_end = string_end(json, at)?;
                let colon = after_space(json, key_end);
                if *json.get(colon)? != b':' {
                    return None;
                }
                let value = after_space(json, colon + 1);
                let end = value_end(json, value)?;
                member(&json[at + 1..key_end - 1], &json[value..end]);
                at = end;
            }
            _ => return None,
        }
    }
}

fn after_space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(|byte| *byte <= b' ') {
        at += 1;
    }
    at
}

fn value_end(json: &[u8], at: usize) -> Option<usize> {
    let value = &json[at..];
    let end = match value.first()? {
        b'"' => string_end(value, 0)?,
        b'{' | b'[' => container_end(value)?,
        _ => value.iter().position(|byte| *byte <= b' ' || matches!(byte, b',' | b'}' | b']'))?,
    };
    // So that each round takes something.
    (end > 0).then_some(at + end)
}

fn container_end(json: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let end = Brackets::of(json).find(|(_, change)| {
        depth += change;
        depth == 0
    });
    end.map(|(at, _)| at + 1)
}

/// Behind the string that begins at `at`.
fn string_end(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_and_knows_strings() {
        for (json, wanted) in [
            ("", Some(0)),
            ("{[", Some(2)),
            ("}}\n", Some(-2)),
            (r#"{"a":"}}}\"}\\"}"#, Some(0)),
            (r#"{"a":"}}}\"}\\\"}"#, None),
            (r#"{"a":"\"#, None),
        ] {
            assert_eq!(depth(json.as_bytes()), wanted, "{json}");
        }
    }

    #[test]
    fn the_parent_is_the_key_of_the_object_one_below_the_outermost() {
        for (json, wanted) in [
            (r#"{"a":{},"response" : {"b":[{}],"#, Some("response")),
            (r#"{"a":{"#, Some("a")),
            (r#"{"a":{"b":{"#, None),
            (r#"{"a":["#, None),
            (r"[{", None),
            (r#"{"a":{}"#, None),
            ("", None),
        ] {
            assert_eq!(parent(json.as_bytes()), wanted.map(str::as_bytes), "{json}");
        }
    }

    #[test]
    fn members_are_given_as_they_are_written_and_only_of_a_whole_object() {
        let json = br#"{ "a" : 1.5e3 ,"b\"}":"}", "c":{"a":[2]},"d":null } , "e":1"#;
        let mut all = Vec::new();
        let end = members(json, |key, value| all.push((key, value)));
        assert_eq!(end, Some(json.len() - 8));
        let wanted: [(&[u8], &[u8]); 4] =
            [(b"a", b"1.5e3"), (br#"b\"}"#, br#""}""#), (b"c", br#"{"a":[2]}"#), (b"d", b"null")];
        assert_eq!(all, wanted);
        for cut in 0..json.len() - 8 {
            assert_eq!(members(&json[..cut], |_, _| {}), None, "{cut}");
        }
        for none in ["{1}", r#"{"a"}"#, r#"{"a" 1}"#, r#"{"a":}"#, r#"{"a":,"b":1}"#] {
            assert_eq!(members(none.as_bytes(), |_, _| {}), None, "{none}");
        }
    }
}
