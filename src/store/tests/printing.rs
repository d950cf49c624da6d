//! Questions, and answers as they are printed.

use std::time::UNIX_EPOCH;

use super::*;

/// Three days of two clients, of which one has a name that CSV has to quote.
fn three_days() -> PathBuf {
    let folder = scratch();
    let source = Counting::default();
    let mut store = begin(&folder, &source, at("2026-11-01", 0, 0, 0));
    for (day, client, model, many) in [
        ("2026-11-01", "app-a", "gpt-4o*", 2),
        ("2026-11-01", "b, \"the\" second", "other", 1),
        ("2026-11-02", "app-a", "other", 1),
        ("2026-11-03", "app-a", "gpt-4o*", 10),
    ] {
        (0..many).for_each(|_| source.charge(client, model, 1));
        write(&mut store, &source, at(day, 12, 0, 0));
    }
    folder
}

fn printed(by: &str, format: Format) -> String {
    let folder = three_days();
    offline(&folder, query("2026-11-01", "2026-11-02", by, format)).unwrap().unwrap().text()
}

#[test]
fn a_table_has_words_to_the_left_and_numbers_to_the_right() {
    let table = "\
client           model    requests  input  cached  output     cost_usd  estimated
app-a            gpt-4o*         2    200      20      40  3.000000002          2
app-a            other           1    100      10      20  1.500000001          1
b, \"the\" second  other           1    100      10      20  1.500000001          1
total                            4    400      40      80  6.000000004          4
";
    assert_eq!(printed("client,model", Format::Table), table);
}

#[test]
fn json_has_money_as_a_number_and_to_the_nanodollar() {
    let page: serde_json::Value = serde_json::from_str(&printed("day", Format::Json)).unwrap();
    assert_eq!(page["since"], "2026-11-01");
    assert_eq!(page["until"], "2026-11-02");
    let row = |day: &str, many: u64, usd: f64| {
        serde_json::json!({
            "day": day, "requests": many, "input": many * 100, "cached": many * 10,
            "output": many * 20, "cost_usd": usd, "cost_nano_usd": many * 1_500_000_001,
            "estimated": many,
        })
    };
    assert_eq!(page["rows"][0], row("2026-11-01", 3, 4.500_000_003));
    assert_eq!(page["rows"][1], row("2026-11-02", 1, 1.500_000_001));
    assert_eq!(page["total"]["requests"], 4);
}

#[test]
fn csv_is_quoted_where_it_must_be() {
    assert_eq!(
        printed("client", Format::Csv),
        "client,requests,input,cached,output,cost_usd,estimated\r\n\
         app-a,3,300,30,60,4.500000003,3\r\n\
         \"b, \"\"the\"\" second\",1,100,10,20,1.500000001,1\r\n"
    );
    assert_eq!(printed("", Format::Csv).lines().nth(1), Some("4,400,40,80,6.000000004,4"));
}

#[test]
fn a_question_without_days_is_of_this_month_until_today() {
    let now = UNIX_EPOCH + Duration::from_millis(at("2026-11-28", 23, 59, 59));
    let usual = Query::parse("", now).unwrap();
    assert_eq!(usual.text(), "since=2026-11-01&until=2026-11-28&by=client,model&format=json");
    let back = Query::parse(&usual.text(), now).unwrap();
    assert_eq!(back, usual);
    let asked = Query::parse("since=2026-11-28&by=day%2Cclient&format=csv", now).unwrap();
    assert_eq!((asked.by, asked.format), (vec![By::Day, By::Client], Format::Csv));
    assert_eq!(Query::parse("by=", now).unwrap().by, []);
}

#[test]
fn a_wrong_question_is_answered_in_words() {
    let now = UNIX_EPOCH + Duration::from_millis(at("2026-11-28", 0, 0, 0));
    for (text, word) in [
        ("since=yesterday", "write it like 2026-11-01"),
        ("until=2026-02-30", "is not a day"),
        ("by=user", "is not one of client, model, day"),
        ("by=day,day", "twice"),
        ("format=xml", "is not one of table, json, csv"),
        ("since=2026-12-01", "is later than until"),
        ("from=2026-11-01", "is not one of the parameters"),
    ] {
        let why = Query::parse(text, now).unwrap_err();
        assert!(why.contains(word), "{text}: {why}");
    }
}
