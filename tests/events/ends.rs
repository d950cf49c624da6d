//! How subscriptions end, and what is said of them.

use super::{End, Subscriber, proxy, published, sse};

#[test]
fn who_leaves_a_subscription_has_had_all_of_it() {
    let fixture = proxy(1, "{}", "");
    let mut subscriber = Subscriber::to(&fixture, "/events/news");
    published(&fixture, &sse("news", "data: a"));
    assert_eq!(subscriber.data(), "a");
    drop(subscriber);
    fixture.wait_until("it left", |it| it.count("firstbyte_event_subscribers") == 0);
    let log = fixture.access_log();
    assert_eq!(log.len(), 2, "{log:?}");
    for line in log {
        assert_eq!(
            (&line["outcome"], &line["route"]),
            (&"complete".into(), &"/events".into()),
            "{line}"
        );
    }
}

#[test]
fn a_process_that_leaves_ends_its_subscriptions_in_order_and_at_once() {
    let fixture = proxy(2, "{}", "");
    let mut all: Vec<_> = (0..8).map(|_| Subscriber::to(&fixture, "/events/news")).collect();
    published(&fixture, &sse("news", "data: a"));
    fixture.proxy.drain();
    for subscriber in &mut all {
        assert_eq!(subscriber.data(), "a");
        assert_eq!(subscriber.ended(), End::Whole);
    }
}
