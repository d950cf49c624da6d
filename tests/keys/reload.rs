//! A reload: whom it takes out is out with the next request, on every worker; what was counted goes on.

use super::{answering, ask, asked, chat, file, key};
use crate::support::fixture::{Fixture, PATIENCE};
use crate::support::peers::http1_client::Http1;
use crate::support::refusal::assert_refused;

const WORKERS: usize = 4;

fn clients(limits: &str, also: &str) -> String {
    format!("clients:\n  - name: app-a\n    key: {}\n    limits: {limits}\n{also}", key("app-a"))
}

fn gone() -> String {
    format!("  - name: gone\n    key: {}\n", key("gone"))
}

#[test]
fn a_key_that_is_taken_out_is_refused_from_the_next_request_on_every_worker() {
    let upstream = answering(|_| chat(3, 2));
    let text = file(&upstream, WORKERS, &clients("{ rpm: 1000 }", &gone()));
    let after = file(&upstream, WORKERS, &clients("{ rpm: 1000 }", ""));
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    // Open connections, on all workers by their number.
    let mut open: Vec<_> = (0..40).map(|_| Http1::new(fixture.connect())).collect();
    for client in &mut open {
        assert_eq!(client.ask(&ask("gone")).status, 200);
    }
    fixture.write_file("firstbyte.yaml", &after);
    let (status, report) = fixture.ask_admin("POST", "/reload");
    assert_eq!(status, 200, "{report}");
    assert!(report.contains("\"clients\"") && !report.contains("fb-"), "{report}");
    for client in &mut open {
        assert_refused(&client.ask(&ask("gone")), 401, "invalid_api_key");
        assert_eq!(client.ask(&ask("app-a")).status, 200);
    }
}

#[test]
fn what_was_counted_before_a_reload_counts_after_it() {
    let upstream = answering(|_| chat(3, 2));
    let before = file(&upstream, WORKERS, &clients("{ rpm: 3 }", ""));
    let after = file(&upstream, WORKERS, &clients("{ rpm: 4 }", &gone()));
    let fixture = Fixture::of_file(upstream, &before);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    for _ in 0..3 {
        assert_eq!(asked(&fixture, &ask("app-a")).status, 200);
    }
    assert_eq!(asked(&fixture, &ask("app-a")).status, 429);
    fixture.write_file("firstbyte.yaml", &after);
    assert_eq!(fixture.ask_admin("POST", "/reload").0, 200);
    assert_eq!(asked(&fixture, &ask("app-a")).status, 429, "no second burst");
    assert_eq!(fixture.count("firstbyte_client_requests_total{client=\"app-a\"}"), 3);
}

#[test]
fn all_workers_together_let_one_limit_pass() {
    let upstream = answering(|_| chat(3, 2));
    let text = file(&upstream, WORKERS, &clients("{ rpm: 50 }", ""));
    let fixture = Fixture::of_file(upstream, &text);
    assert!(fixture.proxy.wait_ready(PATIENCE), "ready");
    let served: usize = std::thread::scope(|scope| {
        let all: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Http1::new(fixture.connect());
                    (0..10).filter(|_| client.ask(&ask("app-a")).status == 200).count()
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().expect("a count")).sum()
    });
    // Those that flow in meanwhile, at 50 a minute.
    assert!((50..=70).contains(&served), "{served}");
}
