//! From where a subscriber reads, and what the answer tells of that.

use super::{Subscriber, asked, proxy, published, sse};
use crate::support::fixture::Fixture;
use crate::support::message::Ask;
use crate::support::refusal::assert_refused;

/// Events `1` to `count`; their ids.
fn history(fixture: &Fixture, count: usize) -> Vec<String> {
    (1..=count).map(|nth| published(fixture, &sse("news", &format!("data: {nth}")))).collect()
}

fn with(fixture: &Fixture, query: &str, lines: &str) -> Subscriber {
    Subscriber::with(fixture.address(), &format!("/events/news{query}"), lines)
}

#[test]
fn a_client_that_comes_back_is_given_what_it_missed_and_nothing_twice() {
    let fixture = proxy(1, "{}", "");
    let mut first = Subscriber::to(&fixture, "/events/news");
    let ids = history(&fixture, 2);
    assert_eq!(first.data(), "1");
    drop(first);
    let mut again = with(&fixture, "", &format!("last-event-id: {}\r\n", ids[0]));
    assert_eq!(again.behind(), ids[0]);
    assert_eq!(again.data(), "2");
    history(&fixture, 1);
    assert_eq!(again.data(), "1");
}

#[test]
fn the_header_counts_before_the_query_and_without_either_it_begins_now() {
    let fixture = proxy(1, "{}", "");
    let ids = history(&fixture, 3);
    let query = format!("?lastEventID={}", ids[0]);
    let mut by_query = with(&fixture, &query, "");
    assert_eq!((by_query.behind().to_owned(), by_query.data().as_str()), (ids[0].clone(), "2"));
    let mut by_header = with(&fixture, &query, &format!("Last-Event-ID: {}\r\n", ids[1]));
    assert_eq!((by_header.behind().to_owned(), by_header.data().as_str()), (ids[1].clone(), "3"));
    let mut all = with(&fixture, "?last_event_id=earliest", "");
    assert_eq!((all.behind().to_owned(), all.data().as_str()), ("earliest".to_owned(), "1"));
    let mut now = with(&fixture, "", "");
    assert_eq!(now.behind(), ids[2]);
    published(&fixture, &sse("news", "data: new"));
    assert_eq!(now.data(), "new");
}

#[test]
fn an_id_that_a_publisher_chose_is_a_cursor() {
    let fixture = proxy(1, "{}", "");
    published(&fixture, &sse("news", "id: order-5\ndata: a\n\nid: é\ndata: b\n\ndata: c"));
    let mut behind = with(&fixture, "", "last-event-id: order-5\r\n");
    assert_eq!((behind.behind().to_owned(), behind.data().as_str()), ("order-5".to_owned(), "b"));
    let mut encoded = with(&fixture, "?lastEventID=%C3%A9", "");
    assert_eq!(encoded.data(), "c");
}

#[test]
fn what_was_dropped_meanwhile_is_told_by_the_answer_s_own_last_event_id() {
    let fixture = proxy(1, "{ bytes: 16KiB, message: 16KiB }", "");
    let ids = history(&fixture, 2);
    let large = "x".repeat(6 * 1024);
    for _ in 0..3 {
        published(&fixture, &sse("news", &format!("data: {large}")));
    }
    let mut gap = with(&fixture, "", &format!("last-event-id: {}\r\n", ids[0]));
    let told = gap.behind().to_owned();
    assert!(told != ids[0] && told != "earliest", "{told}");
    let first = gap.event().expect("an event");
    // It is the event in front of the first one.
    let count = |id: &str| id.rsplit_once('-').and_then(|(_, count)| count.parse::<u64>().ok());
    let first = first.lines().next().and_then(|line| line.strip_prefix("id: ")).expect("an id");
    assert_eq!(count(first), count(&told).map(|count| count + 1));
    let none = with(&fixture, "", &format!("last-event-id: {told}\r\n"));
    assert_eq!(none.behind(), told, "who had that one has no gap");
}

#[test]
fn an_id_of_another_life_of_the_name_gets_the_whole_history() {
    let fixture = proxy(1, "{}", "");
    history(&fixture, 2);
    for id in ["0123456789abcdef-1", "0123456789abcdef-99", "order-1", "-1", "18446744073709551616"]
    {
        let mut all = with(&fixture, "", &format!("last-event-id: {id}\r\n"));
        assert_eq!(
            (all.behind().to_owned(), all.data().as_str()),
            ("earliest".to_owned(), "1"),
            "{id}"
        );
    }
}

#[test]
fn a_cursor_that_no_event_can_have_is_refused_before_anything_begins() {
    let fixture = proxy(1, "{}", "");
    let long = "x".repeat(300);
    for query in ["a%0d%0ab: c", "a%00", "%", "%zz", "%ff", "a&lastEventID=b", &long] {
        let query = query.replace(' ', "%20");
        let answer = asked(&fixture, &Ask::get(&format!("/events/news?lastEventID={query}")));
        assert_refused(&answer, 400, "event_unfit");
    }
    let twice = Ask::get("/events/news").header("last-event-id", "a").header("last-event-id", "b");
    assert_refused(&asked(&fixture, &twice), 400, "event_unfit");
    assert_eq!(fixture.count("firstbyte_event_names"), 0);
}

#[test]
fn head_tells_where_a_name_stands_and_begins_nothing() {
    let fixture = proxy(1, "{}", "");
    let head = |path: &str| asked(&fixture, &Ask::get(path).method("HEAD"));
    assert_eq!(head("/events/news").header("last-event-id"), Some("earliest"));
    assert_eq!(fixture.count("firstbyte_event_names"), 0);
    let ids = history(&fixture, 2);
    assert_eq!(head("/events/news").header("last-event-id"), Some(&*ids[1]));
    let at = format!("/events/news?lastEventID={}", ids[0]);
    assert_eq!(head(&at).header("last-event-id"), Some(&*ids[0]));
}
