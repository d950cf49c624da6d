//! What becomes of a head must not depend on how reads cut it: a client whose request is refused on one
//! network and taken on another finds no fault.

use proptest::prelude::*;

use super::*;

/// What is made of `pieces` that come one after the other: a head and what follows it, nothing where
/// no head is whole, or a refusal.
fn read(pieces: &[&[u8]], limits: Limits) -> Result<Option<(String, Vec<u8>)>, Kind> {
    let (mut search, mut ahead) = (Search::default(), BytesMut::new());
    for (nth, piece) in pieces.iter().enumerate() {
        ahead.extend_from_slice(piece);
        let Some(length) = search.find(&mut ahead, limits)? else { continue };
        let head = parse(&ahead.split_to(length).freeze(), limits)?;
        let rest = [&ahead, &pieces[nth + 1..].concat()[..]].concat();
        return Ok(Some((format!("{head:?}"), rest)));
    }
    Ok(None)
}

/// `bytes` cut at each of `cuts`.
fn cut<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let begins = [0].into_iter().chain(cuts.iter().copied());
    begins.zip(ends).map(|(begin, end)| &bytes[begin..end]).collect()
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("x: y\r\n".to_owned()),
        2 => "x: y{0,9}\r\n",
        2 => Just("\r\n".to_owned()),
        1 => Just("x: y\n".to_owned()),
        1 => proptest::sample::select(vec!["\n", "\r", "\r\r\n", "\n\n", "\0", ":", "body", "x:\r\n y\r\n"])
            .prop_map(ToOwned::to_owned),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let before =
        prop_oneof![4 => Just(""), 1 => Just("\r\n"), 1 => Just("\r\n\r\n"), 1 => Just("\n")];
    let first = prop_oneof![8 => "GET /a{0,9} HTTP/1\\.1\r\n", 1 => "GET /a{0,30}", 1 => "G\\(T / HTTP/1\\.1\r\n"];
    let parts = proptest::collection::vec(part(), 0..7);
    (before, first, parts).prop_map(|(before, first, parts)| {
        format!("{before}{first}{}\r\nGET /next HTTP/1.1\r\n\r\n", parts.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn where_reads_cut_a_head_decides_nothing(
        text in text(),
        bound in any::<prop::sample::Index>(),
        headers in 1_usize..8,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let bytes = text.as_bytes();
        let limits = Limits { bytes: bound.index(bytes.len()) + 1, headers };
        let whole = read(&[bytes], limits);
        prop_assert_eq!(&read(&cut(bytes, &cuts), limits), &whole, "{:?} {:?}", text, limits);
        let bytewise: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&read(&bytewise, limits), &whole, "{:?} {:?}", text, limits);
    }
}

#[test]
fn around_the_bound_every_cut_leads_to_the_same() {
    for (text, kind) in [
        ("GET / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\nrest", None),
        ("GET / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\nrest", Some(Kind::HeadTooLarge)),
        ("GET / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n", Some(Kind::HeadTooLarge)),
        ("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\n", Some(Kind::TargetTooLong)),
        (
            "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\nx: y\r\n\r\n",
            Some(Kind::TargetTooLong),
        ),
        ("GET / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyy\nxxxxxxxxxxxxxx", Some(BARE_LF)),
    ] {
        let limits = Limits { bytes: 48, headers: 8 };
        for at in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(at);
            let outcome = read(&[first, second], limits);
            assert_eq!(outcome.err(), kind, "{text:?} cut at {at}");
        }
    }
}
