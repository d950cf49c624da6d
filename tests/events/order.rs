//! The order of events is the same for all.

use std::thread;

use super::{Subscriber, proxy, published, sse};

#[test]
fn all_subscribers_on_all_workers_see_one_order_whoever_publishes() {
    const PUBLISHERS: usize = 4;
    const EVENTS: usize = 50;
    let fixture = proxy(4, "{}", "");
    let subscribers: Vec<_> = (0..16).map(|_| Subscriber::to(&fixture, "/events/news")).collect();
    let orders: Vec<Vec<String>> = thread::scope(|scope| {
        let reading: Vec<_> = subscribers
            .into_iter()
            .map(|mut one| {
                let count = PUBLISHERS * EVENTS * 2;
                scope.spawn(move || (0..count).map(|_| one.event().expect("an event")).collect())
            })
            .collect();
        for publisher in 0..PUBLISHERS {
            let fixture = &fixture;
            scope.spawn(move || {
                for nth in 0..EVENTS {
                    let two = format!("data: {publisher} {nth} a\n\ndata: {publisher} {nth} b");
                    published(fixture, &sse("news", &two));
                }
            });
        }
        reading.into_iter().map(|one| one.join().expect("an order")).collect()
    });
    let first = &orders[0];
    assert!(orders.iter().all(|order| order == first));
    // What one body held has nothing between it, and what one publisher sent keeps its order.
    let data: Vec<_> = first.iter().map(|event| event.rsplit("data: ").next().unwrap()).collect();
    for pair in data.chunks(2) {
        assert_eq!(pair[0].strip_suffix('a'), pair[1].strip_suffix('b'));
    }
    for publisher in 0..PUBLISHERS {
        let prefix = format!("{publisher} ");
        let own = data.iter().filter(|data| data.starts_with(&prefix) && data.ends_with('a'));
        let expected = (0..EVENTS).map(|nth| format!("{publisher} {nth} a"));
        assert!(own.copied().eq(expected.collect::<Vec<_>>().iter()));
    }
}
