//! What is published at any process reaches the subscribers of all, in one order.

use super::{Redis, Subscriber, each_server, process, publish, published, server};
use crate::streams::ANYONE;
use crate::streams::upstream::Paced;
use crate::support::program::Program;

fn three(server: &Redis) -> [Program; 3] {
    let upstream = Paced::start("text/plain");
    [0, 1, 2].map(|_| process(server, upstream.address, ANYONE, ""))
}

#[test]
fn subscribers_of_three_processes_are_given_the_same_events_in_the_same_order() {
    for server in each_server() {
        let all = three(&server);
        let mut subscribers = Vec::new();
        for one in &all {
            subscribers.extend([0, 1].map(|_| Subscriber::new(one, "news", "")));
        }
        let each = 40;
        std::thread::scope(|scope| {
            for (nth, one) in all.iter().enumerate() {
                scope.spawn(move || {
                    for count in 0..each {
                        published(one, "news", &format!("{nth}.{count}"));
                    }
                });
            }
        });
        let given: Vec<_> = subscribers.iter_mut().map(|one| one.take(3 * each)).collect();
        assert!(given.iter().all(|events| *events == given[0]));
        for nth in 0..3 {
            let of: Vec<_> = given[0]
                .iter()
                .filter_map(|event| event.data.strip_prefix(&format!("{nth}.")))
                .collect();
            let in_order: Vec<_> = (0..each).map(|count| count.to_string()).collect();
            assert_eq!(of, in_order, "each publisher's own order is kept");
        }
    }
}

#[test]
fn a_subscriber_goes_on_at_another_process_where_it_was() {
    let Some(server) = server() else { return };
    let [one, other, third] = three(&server);
    let ids: Vec<_> = (0..10).map(|nth| published(&one, "news", &nth.to_string())).collect();
    let mut all = Subscriber::new(&other, "news", "last-event-id: earliest\r\n");
    let given = all.take(10);
    assert_eq!(given.iter().map(|event| event.id.clone()).collect::<Vec<_>>(), ids);
    let lines = format!("last-event-id: {}\r\n", ids[6]);
    let mut rest = Subscriber::new(&third, "news", &lines);
    assert_eq!(rest.header("last-event-id"), ids[6], "nothing is missing");
    assert_eq!(rest.take(3), given[7..]);
    let ids = published(&third, "news", "more");
    assert_eq!((&*rest.next().data, all.next().id), ("more", ids));
    // A name that this process follows already has what was just published elsewhere.
    let last = published(&one, "news", "last");
    let now = Subscriber::new(&third, "news", "");
    assert_eq!(now.header("last-event-id"), last);
}

#[test]
fn an_id_that_a_publisher_chose_is_taken_at_all_processes() {
    let Some(server) = server() else { return };
    let [one, other, third] = three(&server);
    let mut subscriber = Subscriber::new(&third, "orders", "");
    let (status, text) = publish(&one, "orders", Some("order-5"), "paid");
    assert!(status == 200 && text.contains("\"order-5\""), "{status} {text}");
    let (status, text) = publish(&other, "orders", Some("order-5"), "paid");
    assert!(status == 409 && text.contains("event_id_taken"), "{status} {text}");
    published(&other, "orders", "sent");
    let given = subscriber.take(2);
    assert_eq!((&*given[0].id, &*given[0].data, &*given[1].data), ("order-5", "paid", "sent"));
    let after = Subscriber::new(&one, "orders", "last-event-id: order-5\r\n").next();
    assert_eq!(after, given[1]);
}

#[test]
fn names_are_bounded_over_all_processes() {
    let Some(server) = server() else { return };
    let upstream = Paced::start("text/plain");
    let more = "  - { path: /few, events: { names: 2, history: 3 } }";
    let [one, other] = [0, 1].map(|_| process(&server, upstream.address, ANYONE, more));
    let publish = |program: &Program, name: &str| {
        let lines = "content-type: text/event-stream\r\ncontent-length: 9\r\n\r\ndata: a\n\n";
        crate::streams::ask(program.address, &format!("POST /few/{name}"), lines).status
    };
    assert_eq!(publish(&one, "a"), 200);
    assert_eq!(publish(&other, "b"), 200);
    assert_eq!((publish(&one, "c"), publish(&other, "c")), (429, 429));
    assert_eq!((publish(&one, "b"), publish(&other, "a")), (200, 200));
}

#[test]
fn who_subscribes_where_is_shown_at_all_processes_and_one_is_sent_to_from_any() {
    let Some(server) = server() else { return };
    let [one, other, third] = three(&server);
    let mut subscribers = [Subscriber::new(&one, "news", ""), Subscriber::new(&one, "news", "")];
    let listed = |program: &Program| -> serde_json::Value {
        let page = program.page("/clients");
        serde_json::from_str(page.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
    };
    let here = listed(&one);
    assert_eq!((&here["subscribers"], &here["elsewhere"].is_array()), (&2.into(), &true));
    let ids: Vec<_> =
        subscribers.iter().map(|one| one.header("x-firstbyte-request-id").to_owned()).collect();
    third.wait_until("it is listed there", |third| {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
        let all = listed(third);
        let elsewhere = all["elsewhere"].as_array().cloned().unwrap_or_default();
        let of = elsewhere.iter().find(|list| list["subscribers"] == 2);
        of.is_some_and(|list| {
            let all = list["list"].as_array().expect("a list");
            ids.iter().all(|id| all.iter().any(|one| one["id"] == **id && one["name"] == "news"))
        })
    });
    let head = "content-type: text/event-stream\r\nx-firstbyte-admin: 1\r\n";
    let lines = &format!("{head}content-length: 19\r\n\r\ndata: for you only\n");
    let send = |id: &str, lines: &str| {
        crate::streams::ask(other.admin, &format!("POST /subscribers/{id}"), lines)
    };
    let answer = send(&ids[0], lines);
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(send("nobody", lines).status, 404);
    let named = format!("{head}content-length: 14\r\n\r\nid: 1\ndata: x\n");
    assert_eq!(send(&ids[0], &named).status, 400, "an id is refused as it is here");
    let given = subscribers[0].next();
    assert_eq!((&*given.data, &*given.id), ("for you only", ""));
    published(&other, "news", "for all");
    assert_eq!(subscribers.each_mut().map(|one| one.next().data), ["for all", "for all"]);
}
