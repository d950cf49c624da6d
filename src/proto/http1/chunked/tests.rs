use super::*;

/// Decodes `coded`, given in pieces of `piece` bytes: what came, and what is left over.
fn decode(coded: &[u8], piece: usize) -> Result<(Vec<u8>, HeaderMap, Vec<u8>), Malformed> {
    let (mut chunked, mut buffer) = (Chunked::of_request(), BytesMut::new());
    let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
    let mut pieces = coded.chunks(piece);
    loop {
        match chunked.next(&mut buffer)? {
            Step::Data(data) => body.extend_from_slice(&data),
            Step::Trailers(lines) => trailers = lines,
            Step::More => match pieces.next() {
                Some(more) => buffer.extend_from_slice(more),
                None => return Err(Malformed),
            },
            Step::End => break,
        }
    }
    buffer.extend_from_slice(&pieces.collect::<Vec<_>>().concat());
    Ok((body, trailers, buffer.to_vec()))
}

#[test]
fn what_was_coded_comes_out_however_it_is_cut() {
    let coded = b"4\r\nWiki\r\n0006;a=\"b\"\r\npedia \r\nE ;x\r\nin \r\n\r\nchunks.\r\n0\r\nx-sum: 1\r\n\r\nGET /";
    for piece in 1..coded.len() {
        let (body, trailers, rest) = decode(coded, piece).unwrap();
        assert_eq!(body, b"Wikipedia in \r\n\r\nchunks.", "in pieces of {piece}");
        assert_eq!(trailers["x-sum"], "1");
        assert_eq!(rest, b"GET /");
    }
}

#[test]
fn the_end_is_known_with_the_last_bytes_if_it_is_at_hand() {
    let mut chunked = Chunked::of_request();
    let step = chunked.next(&mut BytesMut::from("2\r\nab\r\n0\r\n\r\n"));
    assert_eq!(step, Ok(Step::Data(Bytes::from("ab"))));
    assert!(chunked.is_end());
}

#[test]
fn what_two_readers_could_take_for_two_things_is_refused() {
    for coded in [
        "\r\n",
        "g\r\n",
        "+1\r\na\r\n",
        "-1\r\n",
        "0x1\r\na\r\n",
        " 1\r\na\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1 2\r\na\r\n0\r\n\r\n",
        "1;a\rb\r\na\r\n0\r\n\r\n",
        "1;a\n\r\na\r\n0\r\n\r\n",
        "1;a\0b\r\na\r\n0\r\n\r\n",
        "1\x0c;a\r\na\r\n0\r\n\r\n",
        "1\x0b;a\r\na\r\n0\r\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        "0\r\nx: 1\ny: 2\r\n\r\n",
        "0\r\nx: 1\n\r\n\r\n",
        "0\r\n\nx: 1\r\n\r\n",
        "0\r\nx: 1\r\n folded\r\n\r\n",
        "10000000000000000\r\n",
        "0\r\nbad name: 1\r\n\r\n",
        "0\r\nx : 1\r\n\r\n",
        "0\r\n folded\r\n\r\n",
    ] {
        for piece in [1, coded.len()] {
            assert!(decode(coded.as_bytes(), piece).is_err(), "{coded:?} in pieces of {piece}");
        }
    }
}

#[test]
fn extensions_and_trailers_are_bounded_over_the_whole_body() {
    let chunk = format!("1;{}\r\na\r\n", "e".repeat(1000));
    let few = chunk.repeat(16) + "0\r\n\r\n";
    assert_eq!(decode(few.as_bytes(), 4096).unwrap().0.len(), 16);
    let many = chunk.repeat(17) + "0\r\n\r\n";
    assert!(decode(many.as_bytes(), 4096).is_err());
    let endless = format!("1;{}", "e".repeat(SPARE + 1));
    let mut buffer = BytesMut::from(endless.as_str());
    assert_eq!(Chunked::of_request().next(&mut buffer), Err(Malformed));
    let mut buffer = BytesMut::from(format!("0\r\nx: {}", "e".repeat(SPARE + 1)).as_str());
    assert_eq!(Chunked::of_request().next(&mut buffer), Err(Malformed));
}
