//! Percent-encoding (RFC 3986, section 2.1), undone.

/// The bytes that a text stands for. `None` where a percent sign is not followed by two hexadecimal digits.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push((high << 4 | low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

/// A value of a query as forms write it (WHATWG URL, section 5.1): `+` is a space, and the bytes are UTF-8. `None` where
/// they are not, or as for [`decoded`].
pub fn form_decoded(text: &str) -> Option<String> {
    String::from_utf8(decoded(&text.replace('+', " "))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_with_two_digits_is_a_byte_and_all_else_is_itself() {
        assert_eq!(decoded("a/b%2Fc%3a+").as_deref(), Some(&b"a/b/c:+"[..]));
        assert_eq!(decoded("%C3%A9%00%ff").as_deref(), Some(&[0xc3, 0xa9, 0, 0xff][..]));
        assert_eq!(form_decoded("a+b%2B%C3%A9").as_deref(), Some("a b+é"));
        assert_eq!(form_decoded("%ff"), None);
        for wrong in ["%", "%4", "%zz", "%+f", "a%4", "%é"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
