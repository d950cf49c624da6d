//! Reloads, and what is never said.

use std::fs;

use super::{asked, client, knows_of, pass, server, shared, wait_shortly, wait_until};
use crate::keys::{answering, chat, file};
use crate::support::fixture::scratch;
use crate::support::program::Program;

#[test]
fn a_reload_keeps_the_connection_and_another_server_closes_it() {
    let (Some(first), Some(second)) = (server(&[]), server(&[])) else { return };
    let upstream = answering(|_| chat(1, 1));
    let path = scratch().join("firstbyte.yaml");
    let write = |server: &super::server::Redis, rpm: u64| {
        let clients = client("a", &format!("limits: {{ rpm: {rpm} }}"));
        let text = format!("redis: {{ url: 'redis://{}' }}\nclients:\n{clients}", server.address);
        fs::write(&path, file(&upstream, 1, &text)).expect("the file can be written");
    };
    write(&first, 1000);
    let program = Program::start(&path);
    shared(&program);
    assert_eq!(pass(&program, "a", 10).0, 10);
    let (none, one) = (second.connections(), first.connections());
    for rpm in 1001..1011 {
        write(&first, rpm);
        assert_eq!(program.reload().0, 200);
        assert_eq!(pass(&program, "a", 5).0, 5);
    }
    assert_eq!(first.connections(), one, "ten reloads, and still one connection");
    write(&second, 1000);
    let (status, said) = program.reload();
    assert!(status == 200 && said.contains("redis"), "{said}");
    wait_until("it has changed over", || {
        second.connections() == none + 1 && first.connections() == one - 1
    });
    assert_eq!(asked(&program, "a").status, 200);
    wait_shortly("it has left the first", || {
        first.command(&["EXISTS", "firstbyte:{instances}"]) == "0"
    });
    // Without the section each counts by itself.
    fs::write(
        &path,
        file(&upstream, 1, &format!("clients:\n{}", client("a", "limits: { rpm: 1000 }"))),
    )
    .expect("the file can be written");
    assert_eq!(program.reload().0, 200);
    wait_until("it has left the second", || second.connections() == none);
    assert_eq!(asked(&program, "a").status, 200);
}

#[test]
fn no_password_is_ever_said() {
    let Some(mut server) = server(&["requirepass", "canary-of-redis"]) else { return };
    let upstream = answering(|_| chat(1, 1));
    let text = |password: &str| {
        format!(
            "redis: {{ url: 'redis://{}', password: {password} }}\nclients:\n{}",
            server.address,
            client("a", "limits: { rpm: 1000 }")
        )
    };
    let (right, wrong) = (text("canary-of-redis"), text("canary-that-is-wrong"));
    let program = super::start(&upstream, &right);
    shared(&program);
    knows_of(&program, 1);
    assert_eq!(asked(&program, "a").status, 200);
    let pages: String =
        ["/metrics", "/stats", "/clients/a"].map(|page| program.page(page)).concat();
    server.kill();
    program.wait_until("the loss is seen", |one| one.count("firstbyte_redis_connected") == 0);
    program.terminate();
    let said = program.ended().1;
    server.restart_empty();
    let refused = super::start(&upstream, &wrong);
    refused.wait_until("it is said", |one| one.count("firstbyte_redis_errors_total") > 0);
    refused.terminate();
    let refused = refused.ended().1;
    for text in [&pages, &said, &refused] {
        assert!(!text.contains("canary-of") && !text.contains("canary-that"), "{text}");
    }
    assert!(refused.contains("redis: no connection"), "{refused}");
}
