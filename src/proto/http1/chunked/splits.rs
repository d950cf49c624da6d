//! What becomes of a chunked body must not depend on how reads cut it.

use proptest::prelude::*;

use super::*;

/// Few, so that short bodies come near it.
const FEW: usize = 20;

/// What came out of a body: its data, its trailers, what follows it; and how it ended, which is `None`
/// where more would have to come.
#[derive(Debug, PartialEq)]
struct Came {
    data: Vec<u8>,
    trailers: HeaderMap,
    rest: Vec<u8>,
    end: Option<Result<(), Malformed>>,
}

fn decode(pieces: &[&[u8]]) -> Came {
    let mut chunked = Chunked { spare: FEW, ..Chunked::of_request() };
    let (mut buffer, mut left) = (BytesMut::new(), pieces.iter());
    let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
    let end = loop {
        match chunked.next(&mut buffer) {
            Ok(Step::Data(more)) => data.extend_from_slice(&more),
            Ok(Step::Trailers(lines)) => trailers = lines,
            Ok(Step::End) => break Some(Ok(())),
            Err(Malformed) => break Some(Err(Malformed)),
            Ok(Step::More) => match left.next() {
                Some(more) => buffer.extend_from_slice(more),
                None => break None,
            },
        }
    };
    for more in left {
        buffer.extend_from_slice(more);
    }
    // Of what is malformed, how much was taken says nothing.
    let rest = if end == Some(Ok(())) { buffer.to_vec() } else { Vec::new() };
    Came { data, trailers, rest, end }
}

/// `bytes` cut at each of `cuts`.
fn cut<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let begins = [0].into_iter().chain(cuts.iter().copied());
    begins.zip(ends).map(|(begin, end)| &bytes[begin..end]).collect()
}

/// What ends lines elsewhere than it should, and other damage.
const ODD: &[&str] =
    &["\n", "\r", "1\n", "1\r\na\n", "1;\r\n", "1; =x\r\n", "1;a\nb\r\n", "\0", "0\r\nx: 1\n"];

/// Chunks with extensions, whose length comes near the bound from both sides.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("3\r\nabc\r\n".to_owned()),
        3 => "1;e{1,22}\r\na\r\n",
        1 => " ?;e{1,9} ?= ?\"[a-z ]{0,9}\"".prop_map(|text| format!("2{text}\r\nab\r\n")),
        1 => "0{1,17}1\r\na\r\n",
        1 => proptest::sample::select(ODD).prop_map(ToOwned::to_owned),
    ]
}

fn end() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("0\r\n\r\n".to_owned()),
        "0;e{1,22}\r\n\r\n",
        "0\r\nx: y{0,22}\r\n\r\n",
        "0\r\nx: y{0,9}\r\nx: y{0,9}\r\n\r\n",
        "0\r\nx: y{0,22}\n\r\n",
        "0\r\nx: y{0,22}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    #[test]
    fn where_reads_cut_a_chunked_body_decides_nothing(
        parts in proptest::collection::vec(part(), 0..5),
        end in end(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let text = format!("{}{end}GET /", parts.concat());
        let whole = decode(&[text.as_bytes()]);
        prop_assert_eq!(&decode(&cut(text.as_bytes(), &cuts)), &whole, "{:?}", text);
        let bytewise: Vec<_> = text.as_bytes().chunks(1).collect();
        prop_assert_eq!(&decode(&bytewise), &whole, "{:?}", text);
    }
}

#[test]
fn what_is_exactly_as_long_as_it_may_be_is_taken_and_one_byte_more_is_not() {
    for (over, is_taken) in [(0, true), (1, false)] {
        let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(FEW - 1 + over));
        let trailer = format!("1\r\na\r\n0\r\nx: {}\r\n\r\n", "e".repeat(FEW - 3 + over));
        for text in [extension, trailer] {
            for at in 0..text.len() {
                let (first, second) = text.as_bytes().split_at(at);
                let ended = decode(&[first, second]).end == Some(Ok(()));
                assert_eq!(ended, is_taken, "{text:?} cut at {at}");
            }
        }
    }
}
