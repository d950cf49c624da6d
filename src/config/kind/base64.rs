//! Base64 (RFC 4648, section 4), for what is short: a hash in the configuration, a user and password in a header.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut bits = [0; 3];
        bits[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for nth in 0..4 {
            let symbol = ALPHABET[(bits >> (18 - 6 * nth)) as usize & 63];
            text.push(if nth <= three.len() { char::from(symbol) } else { '=' });
        }
    }
    text
}

/// Of text with padding and nothing else in it; `None` where it is not that.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    let padding = text.len() - bare.len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in bare.as_bytes().chunks(4) {
        let mut bits = 0;
        for symbol in four {
            bits = bits << 6 | ALPHABET.iter().position(|known| known == symbol)?;
        }
        bits <<= 6 * (4 - four.len());
        let three = u32::try_from(bits).ok()?.to_be_bytes();
        bytes.extend_from_slice(&three[1..four.len()]);
    }
    // What is left of the last symbol must be zero, or two texts would mean the same.
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_the_standard_says_both_ways() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (bytes, text) in pairs {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
    }

    #[test]
    fn what_is_not_quite_it_is_refused() {
        for text in ["Zg", "Zg=", "Zg===", "Z===", "Zh==", "Zm8", "Zm9v\n", "Zm 9", "Zm9_", "=Zg="]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
