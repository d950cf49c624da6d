//! How many names and subscribers there may be, and how long a name lives.

use super::{Subscriber, asked, proxy, published, sse};
use crate::support::message::Ask;
use crate::support::refusal::assert_refused;

#[test]
fn names_are_bounded_for_publishers_and_subscribers() {
    let fixture = proxy(1, "{ names: 2 }", "");
    published(&fixture, &sse("a", "data: x"));
    let _b = Subscriber::to(&fixture, "/events/b");
    for ask in [sse("c", "data: x"), Ask::get("/events/c")] {
        assert_refused(&asked(&fixture, &ask), 429, "event_names_full");
    }
    published(&fixture, &sse("b", "data: x"));
    assert_eq!(fixture.count("firstbyte_event_names{route=\"/events\"}"), 2);
}

#[test]
fn a_name_that_nobody_uses_expires_and_its_ids_are_of_another_life() {
    let fixture = proxy(1, "{ names: 1, expire: 1ms }", "");
    let old = published(&fixture, &sse("a", "data: x"));
    let reader = Subscriber::to(&fixture, "/events/a");
    assert_refused(&asked(&fixture, &sse("b", "data: x")), 429, "event_names_full");
    drop(reader);
    // Once it is known that the reader left.
    fixture.wait_until("a is gone", |fixture| asked(fixture, &sse("b", "data: x")).status == 200);
    fixture.wait_until("b is gone", |fixture| asked(fixture, &sse("a", "data: y")).status == 200);
    let lines = format!("last-event-id: {old}\r\n");
    let again = Subscriber::with(fixture.address(), "/events/a", &lines);
    assert_ne!(again.behind(), old, "a gap is told");
}

#[test]
fn subscribers_are_bounded_over_all_names_and_who_leaves_makes_room() {
    let fixture = proxy(2, "{ subscribers: 2 }", "");
    let one = Subscriber::to(&fixture, "/events/a");
    let other = Subscriber::to(&fixture, "/events/b");
    assert_eq!((one.status(), other.status()), (200, 200));
    assert_refused(&asked(&fixture, &Ask::get("/events/a")), 429, "event_subscribers_full");
    assert_eq!(fixture.count("firstbyte_event_subscribers{route=\"/events\"}"), 2);
    drop(one);
    fixture.wait_until("there is room", |fixture| {
        Subscriber::to(fixture, "/events/a").status() == 200
    });
}

#[test]
fn a_silent_subscription_is_kept_alive_by_comments_between_events() {
    let fixture = proxy(1, "{ heartbeat: 50ms }", "");
    let mut subscriber = Subscriber::to(&fixture, "/events/news");
    subscriber.comment();
    subscriber.comment();
    published(&fixture, &sse("news", "data: a\ndata: b"));
    assert_eq!(subscriber.data(), "a\nb");
    subscriber.comment();
}
