use proptest::prelude::*;

use super::*;

/// What a scan makes of a body that comes in these pieces: the field, and how many bytes it took.
fn scan(mut scan: Scan, pieces: &[&[u8]]) -> Result<(Option<Box<str>>, usize), Fault> {
    let mut taken = 0;
    for piece in pieces {
        match scan.feed(piece)? {
            (used, Step::Found(model)) => return Ok((Some(model), taken + used)),
            (used, Step::Ended) => return Ok((None, taken + used)),
            (used, Step::More) => {
                assert_eq!(used, piece.len());
                taken += used;
            }
        }
    }
    scan.end().map(|()| (None, taken))
}

fn json(body: &str) -> Result<Option<Box<str>>, Fault> {
    let of = || Scan::Json(Box::default());
    let whole = scan(of(), &[body.as_bytes()]);
    let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
    assert_eq!(scan(of(), &bytes), whole, "byte by byte: {body}");
    whole.map(|(model, _)| model)
}

#[track_caller]
fn assert_json(body: &str, model: &str) {
    assert_eq!(json(body), Ok(Some(model.into())), "{body}");
}

#[test]
fn the_field_is_found_wherever_it_stands() {
    assert_json(r#"{"model":"gpt-4o"}"#, "gpt-4o");
    assert_json("\u{feff} \n{ \"model\" \t:\r\n \"gpt-4o\" }", "gpt-4o");
    assert_json(
        r#"{"a":1,"b":[{"model":"no"},[],{}],"c":{"model":"no"},"model":"yes","d":"#,
        "yes",
    );
    assert_json(r#"{"a":"\"model\":\"no\"","b":"\\","model":"yes"}"#, "yes");
    assert_json(r#"{"a":-1.5e+3,"b":true,"c":null,"d":NaN,"e":[1,2 , 3],"model":"yes"}"#, "yes");
    assert_json(r#"{"messages":[{"content":"}]{\"model\":\"no\"}"}],"model":""}"#, "");
    assert_json(r#"{"models":"no","mode":"no","modeling":"no","":"no","model":"yes"}"#, "yes");
}

#[test]
fn escapes_are_undone_in_the_key_and_in_the_value() {
    assert_json(r#"{"mod\u0065l":"x"}"#, "x");
    assert_json(r#"{"\u006D\u006f\u0064\u0065\u006C":"x"}"#, "x");
    assert_json(r#"{"mod\u0165l":"no","model":"x"}"#, "x");
    assert_json(r#"{"model":"a\/b\\c\"d\u00e9\ud83d\ude00\t"}"#, "a/b\\c\"dé😀\t");
    assert_json(r#"{"model":"é😀"}"#, "é😀");
    for body in [
        r#"{"model":"\ud83d"}"#,
        r#"{"model":"\ud83dx"}"#,
        r#"{"model":"\ud83d\n"}"#,
        r#"{"model":"\ude00"}"#,
    ] {
        assert!(json(body).unwrap_err().contains("Unicode"), "{body}");
    }
    let raw = scan(Scan::Json(Box::default()), &[b"{\"model\":\"\xff\"}"]);
    assert!(raw.unwrap_err().contains("Unicode"));
}

#[test]
fn an_object_without_it_is_told_from_one_that_is_cut() {
    for body in ["{}", " { } ", r#"{"a":{"model":"no"}}"#, r#"{"a":[]}"#] {
        assert_eq!(json(body), Ok(None), "{body}");
    }
    for body in ["{", r#"{"a":"#, r#"{"a":[1"#, r#"{"mod"#, r#"{"model":"x"#, r#"{"a":1"#] {
        assert!(json(body).unwrap_err().contains("ended"), "{body}");
    }
}

#[test]
fn what_has_no_one_reading_is_refused() {
    for (body, why) in [
        ("[]", "not a JSON object"),
        ("\"model\"", "not a JSON object"),
        (" ", "not a JSON object"),
        ("null", "not a JSON object"),
        ("\u{feff}\u{feff}{}", "not a JSON object"),
        ("{\0\"\0m", "not valid JSON"),
        (r#"{"model":1}"#, "not a string"),
        (r#"{"model":null}"#, "not a string"),
        (r#"{"model":["x"]}"#, "not a string"),
        (r#"{"model":{}}"#, "not a string"),
        (r#"{"Model":"x"}"#, "case"),
        (r#"{"MODE\u006c":"x"}"#, "case"),
        (r#"{"a":[}"#, "not valid JSON"),
        (r#"{"a":[1}]"#, "not valid JSON"),
        (r#"{"a":[1,]}"#, "not valid JSON"),
        (r#"{"a":1,}"#, "not valid JSON"),
        (r#"{,"a":1}"#, "not valid JSON"),
        (r#"{"a" 1}"#, "not valid JSON"),
        (r#"{"a":}"#, "not valid JSON"),
        (r#"{"a":1 2}"#, "not valid JSON"),
        (r"{'model':'x'}", "not valid JSON"),
        (r#"{/**/"model":"x"}"#, "not valid JSON"),
        (r#"{"a":"\x"}"#, "not valid JSON"),
        (r#"{"model":"\u00g0"}"#, "not valid JSON"),
        ("{\"model\":\"a\nb\"}", "not valid JSON"),
        ("{\"a\":\"a\nb\",\"model\":\"x\"}", "not valid JSON"),
        ("{\"a\":[{\"b\\n\":\"b\u{1f}\"}],\"model\":\"x\"}", "not valid JSON"),
        ("{\"a\":{\"\tb\":1},\"model\":\"x\"}", "not valid JSON"),
        ("{\"a\0\":1,\"model\":\"x\"}", "not valid JSON"),
        ("{\"model\0\":1,\"model\":\"x\"}", "not valid JSON"),
    ] {
        let refused = json(body).unwrap_err();
        assert!(refused.contains(why), "{body}: {refused}");
    }
    assert!(json(&format!(r#"{{"a":{}"#, "[".repeat(300))).unwrap_err().contains("256"));
    let deep = format!(r#"{{"a":{}{},"model":"x"}}"#, "[".repeat(255), "]".repeat(255));
    assert_json(&deep, "x");
    let long = |n: usize| json(&format!(r#"{{"model":"{}"}}"#, "m".repeat(n)));
    assert!(long(512).is_ok());
    assert!(long(513).unwrap_err().contains("512"));
}

#[test]
fn the_scan_stops_at_the_field_and_fed_on_it_finds_a_second_one() {
    let body = br#"{"model":"a","x":[1,{"model":"no"}],"model":"b"}"#;
    let mut scan = Scan::Json(Box::default());
    let (used, step) = scan.feed(body).unwrap();
    assert_eq!((used, step), (12, Step::Found("a".into())));
    assert_eq!(scan.feed(&body[used..]), Err(TWICE));
    let mut scan = Scan::Json(Box::default());
    let body = br#"{"model":"a","x":[1]} "#;
    assert_eq!(scan.feed(body).unwrap().0, 12);
    assert_eq!(scan.feed(&body[12..]), Ok((9, Step::Ended)));
}

fn form(parts: &[&str]) -> String {
    let parts = parts.iter().fold(String::new(), |text, part| text + "--b-1\r\n" + part + "\r\n");
    format!("{parts}--b-1--\r\n")
}

fn multipart(body: &str) -> Result<Option<Box<str>>, Fault> {
    let of = || Scan::Multipart(Box::new(Multipart::new("b-1")));
    let whole = scan(of(), &[body.as_bytes()]);
    let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
    assert_eq!(scan(of(), &bytes), whole, "byte by byte: {body}");
    whole.map(|(model, _)| model)
}

const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"a;name=model.mp3\"\r\n\
    Content-Type: audio/mpeg\r\n\r\n\r\n--b-\r\n--b\r\r\n-\0name=\"model\"\r\n";

#[test]
fn a_form_s_field_is_found_before_and_behind_a_file() {
    let model = "Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1";
    assert_eq!(multipart(&form(&[model, FILE])), Ok(Some("whisper-1".into())));
    assert_eq!(multipart(&form(&[FILE, model])), Ok(Some("whisper-1".into())));
    assert_eq!(multipart(&form(&[FILE])), Ok(None));
    for head in [
        "content-disposition:form-data;name=model",
        "X-A: b\r\nCONTENT-DISPOSITION: form-data; NAME=\"mod\\el\" ; a=\"\\\"\"",
        "Content-Disposition: form-data; a=b; name=\"model\";\r\nContent-Type: text/plain",
    ] {
        assert_eq!(
            multipart(&form(&[&format!("{head}\r\n\r\nm\r\n-")])),
            Ok(Some("m\r\n-".into()))
        );
    }
    let nameless = "\r\nx";
    let empty = "Content-Disposition: form-data; name=\"model\"\r\n\r\n";
    assert_eq!(multipart(&form(&[nameless, empty])), Ok(Some("".into())));
}

#[test]
fn a_form_that_has_no_one_reading_is_refused() {
    let model = "Content-Disposition: form-data; name=\"model\"\r\n\r\nx";
    for (body, why) in [
        (r#"{"model":"x"}"#.to_owned(), "does not begin"),
        (format!("preamble\r\n{}", form(&[model])), "does not begin"),
        (form(&[&model.replace("model", "Model")]), "case"),
        (form(&[&model.replace("name", "name*")]), "not valid"),
        (form(&[&model.replace("; name", "; name=a; name")]), "not valid"),
        (form(&[&format!("Content-Disposition: form-data; name=a\r\n{model}")]), "not valid"),
        (form(&[&model.replace("; name", ";\r\n name")]), "not valid"),
        (form(&[&model.replace("; name=\"model\"", "; name=\"model")]), "not valid"),
        (form(&[model]).replace("--b-1\r\n", "--b-1 \r\n"), "not valid"),
        (form(&[&format!("A: {}\r\n\r\n", "x".repeat(9000))]), "not valid"),
        ("--b-1\r\nA: b".to_owned(), "ended"),
        (String::new(), "ended"),
    ] {
        let refused = multipart(&body).unwrap_err();
        assert!(refused.contains(why), "{body}: {refused}");
    }
    let mut scan = Scan::Multipart(Box::new(Multipart::new("b-1")));
    let body = form(&[model, model]);
    let (used, step) = scan.feed(body.as_bytes()).unwrap();
    assert_eq!(step, Step::Found("x".into()));
    assert_eq!(scan.feed(&body.as_bytes()[used..]), Err(TWICE));
}

#[test]
fn a_content_type_says_whether_and_how_a_form_is_parted() {
    let ok = |text: &str| boundary(text).unwrap();
    assert_eq!(ok("application/json"), None);
    assert_eq!(ok("multipart/form-data; boundary=x").as_deref(), Some("x"));
    assert_eq!(ok("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b\"").as_deref(), Some("a b"));
    for wrong in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=a; boundary=b",
        &format!("multipart/form-data; boundary={}", "x".repeat(71)),
    ] {
        assert!(boundary(wrong).is_err(), "{wrong}");
    }
    for other in ["multipart/mixed; boundary=b", "Multipart/Related"] {
        assert!(boundary(other).is_err(), "{other}");
    }
}

#[test]
fn what_a_content_type_makes_of_the_body_has_one_reading_or_is_refused() {
    for (content_type, why) in [
        ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
        ("Application/X-WWW-Form-Urlencoded;charset=utf-8", "application/x-www-form-urlencoded"),
        ("application/json; charset=utf-16", "charset"),
        ("multipart/form-data; boundary=b-1; charset=utf-7", "charset"),
        ("application/json, multipart/form-data; boundary=b-1", "not multipart/form-data"),
        ("multipart/form-data", "boundary"),
    ] {
        let refused = Scan::of(content_type).err().unwrap_or_else(|| panic!("{content_type}"));
        assert!(refused.contains(why), "{content_type}: {refused}");
    }
    let of =
        |content_type: &str, body: &str| scan(Scan::of(content_type).unwrap(), &[body.as_bytes()]);
    let (plain, accented) = (r#"{"é":"é","model":"e"}"#, r#"{"model":"é"}"#);
    for content_type in ["", "text/plain", "application/json; charset=utf-8"] {
        for (body, model) in [(plain, "e"), (accented, "é")] {
            let found = of(content_type, body).unwrap().0;
            assert_eq!(found.as_deref(), Some(model), "{content_type}: {body}");
        }
    }
    // A string that Java's clients write where nobody told them a charset.
    let latin = "application/json;charset=ISO-8859-1";
    assert_eq!(of(latin, plain).unwrap().0.as_deref(), Some("e"));
    assert_eq!(of(latin, r#"{"model":"\u00e9"}"#).unwrap().0.as_deref(), Some("é"));
    assert!(of(latin, accented).unwrap_err().contains("send it as UTF-8"));
}

#[test]
fn a_form_s_field_that_is_not_what_stands_there_is_refused() {
    let part = |lines: &str, text: &str| {
        form(&[&format!("Content-Disposition: form-data; name=\"model\"\r\n{lines}\r\n{text}")])
    };
    for (lines, text, why) in [
        ("Content-Transfer-Encoding: base64\r\n", "Z3B0LTRv", "content-transfer-encoding"),
        ("content-transfer-encoding:Quoted-Printable\r\n", "gpt=2D4o", "content-transfer-encoding"),
        (
            "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64\r\n",
            "Z3B0LTRv",
            "content-transfer-encoding",
        ),
        ("Content-Type: text/plain; charset=utf-7\r\n", "+AGc-pt-4o", "charset"),
        ("Content-Type: multipart/mixed; boundary=c\r\n", "x", "encoded"),
        ("Content-Type: text/plain; charset=iso-8859-1\r\n", "é", "UTF-8"),
    ] {
        let refused = multipart(&part(lines, text)).unwrap_err();
        assert!(refused.contains(why), "{lines}: {refused}");
    }
    let said = "Content-Disposition: form-data; name=\"_charset_\"\r\n\r\nutf-16";
    assert!(multipart(&form(&[said])).unwrap_err().contains("charset"));
    // As the clients of Apache's and of others' libraries write it.
    for lines in [
        "Content-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: BINARY \r\n",
        "Content-Length: 9\r\nContent-Transfer-Encoding: 7bit\r\n",
    ] {
        assert_eq!(multipart(&part(lines, "whisper-1")), Ok(Some("whisper-1".into())), "{lines}");
    }
    // What another part is written in is of no concern.
    let file = "Content-Disposition: form-data; name=file\r\nContent-Type: text/plain; charset=utf-16\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nx";
    let both = form(&[file, "Content-Disposition: form-data; name=model\r\n\r\né"]);
    assert_eq!(multipart(&both), Ok(Some("é".into())));
}

/// JSON values as text, up to some depth, strings with what is special in them.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "(model|\"|\\\\|[a-zé😀{}\\[\\],:]){0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec(("(model|[a-z\"\\\\]{0,5})", inner), 0..4)
                .prop_map(|all| serde_json::Value::Object(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// An object is read as `serde_json` reads it, however it is split.
    #[test]
    fn any_object_in_any_pieces(
        before in prop::collection::vec(("[a-ln-z\"\\\\]{0,5}", value()), 0..4),
        model in "[a-zA-Z0-9é😀\"\\\\/\n-]{0,20}",
        pretty in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut object: serde_json::Map<_, _> = before.into_iter().collect();
        object.insert("model".into(), model.clone().into());
        object.insert("z".into(), serde_json::json!([{ "model": "no" }]));
        let body = if pretty {
            serde_json::to_string_pretty(&object).unwrap()
        } else {
            serde_json::to_string(&object).unwrap()
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([body.len()]) {
            pieces.push(&body.as_bytes()[from..cut]);
            from = cut;
        }
        let whole = scan(Scan::Json(Box::default()), &[body.as_bytes()]);
        prop_assert_eq!(&whole, &scan(Scan::Json(Box::default()), &pieces));
        prop_assert_eq!(whole.map(|(found, _)| found), Ok(Some(model.into_boxed_str())));
    }

    /// No bytes at all make it panic, and any split of them says the same.
    #[test]
    fn any_bytes_in_any_pieces(
        body in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\":,\\ud0a model-\r\n".to_vec())], 0..64),
        cut in any::<prop::sample::Index>(),
    ) {
        let body = [b"{\"".to_vec(), body].concat();
        let at = cut.index(body.len());
        let whole = scan(Scan::Json(Box::default()), &[&body]);
        prop_assert_eq!(&whole, &scan(Scan::Json(Box::default()), &[&body[..at], &body[at..]]));
        let form = [b"--b".to_vec(), body].concat();
        let of = || Scan::Multipart(Box::new(Multipart::new("b")));
        let whole = scan(of(), &[&form]);
        prop_assert_eq!(&whole, &scan(of(), &[&form[..at], &form[at..]]));
    }
}
