//! Chunk extensions, of which nobody here reads what they say (RFC 9112, section 7.1.1).

/// Whether `text`, from the chunk's size to the line's end, is extensions or nothing:
/// `*( BWS ";" BWS name [ BWS "=" BWS value ] )`, a name being a token, a value a token or quoted.
pub(super) fn are_valid(text: &[u8]) -> bool {
    let mut left = text;
    while !left.is_empty() {
        match after_one(left) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

fn after_one(text: &[u8]) -> Option<&[u8]> {
    let begun = after_blanks(text).strip_prefix(b";")?;
    let named = after_token(after_blanks(begun))?;
    match after_blanks(named).strip_prefix(b"=").map(after_blanks) {
        None => Some(named),
        Some(value) => match value.strip_prefix(b"\"") {
            Some(quoted) => after_quoted(quoted),
            None => after_token(value),
        },
    }
}

fn after_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[blanks..]
}

fn after_token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take_while(|byte| is_token(**byte)).count();
    (length > 0).then(|| &text[length..])
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What follows the closing quote. No control character but a tab: a CR would be a line's end to some
/// readers, a NUL to others (RFC 9110, section 5.6.4).
fn after_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(&text[at + 1..]),
            b'\\' if is_text(*text.get(at + 1)?) => at += 2,
            byte if *byte != b'\\' && is_text(*byte) => at += 1,
            _ => return None,
        }
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::are_valid;

    #[test]
    fn extensions_as_the_rfc_has_them() {
        for text in [
            "",
            ";a",
            " ;a",
            "\t ; \ta",
            ";a=b",
            ";a = b",
            ";a=b;c;d=e",
            ";a=\"\"",
            ";a=\"b;c=d\\\"\te\u{e9}\" ;f",
            ";!#$%&'*+-.^_`|~=0",
        ] {
            assert!(are_valid(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn what_has_no_name_or_breaks_off_is_none() {
        for text in [
            ";",
            "; ",
            " ",
            "; =x",
            ";=x",
            ";;a",
            ";a;",
            ";a ",
            ";a=",
            ";a= ;b",
            ";a=b c",
            ";a=b=c",
            ";a b",
            ";\"a\"",
            ";a=\"b",
            ";a=\"b\\\"",
            ";a=\"b\"c",
            ";a=\"b\rc\"",
            ";a=\"b\0c\"",
            ";a=\"b\\\x0c\"",
            ";a\r",
            ";\u{e9}",
            "a",
            "=a",
            ",a",
        ] {
            assert!(!are_valid(text.as_bytes()), "{text:?}");
        }
    }
}
