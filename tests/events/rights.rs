//! Which client may publish and subscribe to which names.

use super::{End, Subscriber, asked, file, proxy, sse, upstream};
use crate::keys::key;
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::message::Ask;
use crate::support::refusal::assert_refused;

fn bearer(name: &str) -> String {
    format!("Bearer {}", key(name))
}

fn client(name: &str, rights: &str) -> String {
    format!("  - {{ name: {name}, key: {}, {rights} }}\n", key(name))
}

fn subscribed(fixture: &Fixture, name: &str, path: &str) -> Subscriber {
    let lines = format!("authorization: {}\r\n", bearer(name));
    Subscriber::with(fixture.address(), path, &lines)
}

#[test]
fn a_client_may_use_the_names_that_its_patterns_match_and_no_others() {
    let clients = format!(
        "clients:\n{}{}{}",
        client("writer", "publish: ['team:*', news]"),
        client("reader", "subscribe: 'team:*'"),
        client("neither", "disabled: false"),
    );
    let fixture = proxy(1, "{}", &clients);
    let publish = |who: &str, name: &str| {
        asked(&fixture, &sse(name, "data: x").header("authorization", &bearer(who)))
    };
    let subscribe = |who: &str, name: &str| subscribed(&fixture, who, &format!("/events/{name}"));
    assert_eq!(publish("writer", "team:42").status, 200);
    assert_eq!(publish("writer", "news").status, 200);
    assert_eq!(subscribe("reader", "team:42").status(), 200);
    for (who, name) in
        [("writer", "news2"), ("writer", "team"), ("reader", "team:42"), ("neither", "news")]
    {
        let refused = publish(who, name);
        assert_refused(&refused, 403, "publish_not_allowed");
        let message = refused.json()["error"]["message"].to_string();
        assert!(message.contains("client's publish"), "the key is named: {message}");
    }
    for (who, name) in [("writer", "team:42"), ("reader", "news"), ("neither", "news")] {
        let refused = subscribe(who, name);
        assert_eq!(refused.status(), 403, "{}", refused.text);
        assert!(refused.text.contains("client's subscribe"), "{}", refused.text);
    }
    assert_refused(&asked(&fixture, &Ask::get("/events/news")), 401, "invalid_api_key");
}

#[test]
fn a_reload_ends_the_subscriptions_of_those_who_lost_their_key_or_right_and_no_others() {
    let upstream = upstream();
    let with = |clients: &str| file(&upstream, 2, "{}", &format!("clients:\n{clients}"));
    let any = "publish: '*', subscribe: '*'";
    let stays = client("stays", any);
    let before = with(&format!("{stays}{}{}", client("gone", any), client("less", any)));
    let after = with(&format!("{stays}{}", client("less", "subscribe: other")));
    let fixture = Fixture::of_file(upstream, &before);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    let mut all = ["stays", "gone", "less"].map(|who| subscribed(&fixture, who, "/events/news"));
    assert!(all.iter().all(|one| one.status() == 200));
    fixture.write_file("firstbyte.yaml", &after);
    assert_eq!(fixture.ask_admin("POST", "/reload").0, 200);
    let [stays, gone, less] = &mut all;
    assert_eq!((gone.ended(), less.ended()), (End::Cut, End::Cut));
    let publish = sse("news", "data: x").header("authorization", &bearer("stays"));
    assert_eq!(asked(&fixture, &publish).status, 200);
    assert_eq!(stays.data(), "x");
    assert_eq!(subscribed(&fixture, "gone", "/events/news").status(), 401);
    assert_eq!(subscribed(&fixture, "less", "/events/news").status(), 403);
}

#[test]
fn a_reload_keeps_names_and_subscriptions_and_ends_those_of_a_route_that_is_gone() {
    let upstream = upstream();
    let before = file(&upstream, 2, "{ history: 5 }", "");
    let more = "  - { path: /more, events: {} }\n";
    let fixture = Fixture::of_file(upstream, &format!("{before}{more}").replace("\n\n", "\n"));
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    let id = super::published(&fixture, &sse("news", "data: before"));
    let mut stays = Subscriber::to(&fixture, "/events/news");
    let mut gone = Subscriber::to(&fixture, "/more/news");
    fixture.write_file("firstbyte.yaml", &before.replace("history: 5", "history: 7"));
    let (status, report) = fixture.ask_admin("POST", "/reload");
    assert_eq!(status, 200, "{report}");
    assert_eq!(gone.ended(), End::Whole);
    super::published(&fixture, &sse("news", "data: after"));
    assert_eq!(stays.data(), "after");
    let lines = format!("last-event-id: {id}\r\n");
    let again = Subscriber::with(fixture.address(), "/events/news", &lines);
    assert_eq!(again.behind(), id, "the name is the same");
}

#[test]
fn limits_of_a_client_count_publishes_and_subscriptions() {
    let any = "publish: '*', subscribe: '*'";
    let clients = format!(
        "clients:\n{}{}",
        client("few", &format!("{any}, limits: {{ rpm: 2 }}")),
        client("one", &format!("{any}, limits: {{ concurrent: 1, tpm: 10 }}")),
    );
    let fixture = proxy(1, "{}", &clients);
    let publish =
        |who| asked(&fixture, &sse("news", "data: x").header("authorization", &bearer(who)));
    assert_eq!(publish("few").status, 200);
    assert_eq!(subscribed(&fixture, "few", "/events/news").status(), 200);
    assert_eq!(publish("few").status, 429);
    let held = subscribed(&fixture, "one", "/events/news");
    assert_eq!((held.status(), publish("one").status), (200, 429));
    drop(held);
    fixture.wait_until("its place is free", |_| publish("one").status == 200);
    let balance = "firstbyte_client_balance{client=\"one\",limit=\"tpm\"}";
    assert_eq!(fixture.count(balance), 10, "events cost no tokens");
}
