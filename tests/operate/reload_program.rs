//! The program reloads at SIGHUP, and where the file wants it when files change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use loadtest::upstream::{Script, Upstream};
use rustix::process::Signal;

use crate::support::fixture::scratch;
use crate::support::program::{Program, file_for};

fn upstream() -> Upstream {
    Upstream::builder().script(Script::new().answer(200, &[], "{}")).start().expect("it starts")
}

fn ask(proxy: &Program, path: &str) -> u16 {
    let stream = std::net::TcpStream::connect(proxy.address).expect("the proxy listens");
    let mut client = crate::support::peers::http1_client::Http1::new(stream);
    client.ask(&crate::support::message::Ask::get(path)).status
}

fn rerouted(file: &Path, from: &str, to: &str) -> String {
    let text = fs::read_to_string(file).expect("a file");
    assert!(text.contains(from), "{text}");
    text.replace(from, to)
}

#[test]
fn sighup_reloads_and_says_what_changed_or_why_not() {
    let upstream = upstream();
    let file = file_for(&upstream);
    let proxy = Program::start(&file);
    assert_eq!(ask(&proxy, "/v1/models"), 200);
    let next = rerouted(&file, "path: /v1", "path: /v2");
    fs::write(&file, next).expect("it can be written");
    proxy.signal(Signal::HUP);
    proxy.wait_until("the new route leads", |proxy| ask(proxy, "/v2/models") != 404);
    assert_eq!(ask(&proxy, "/v1/models"), 404);
    let bad = rerouted(&file, "workers: 1", "workers: 7");
    fs::write(&file, bad).expect("it can be written");
    proxy.signal(Signal::HUP);
    let refused = r#"firstbyte_reloads_total{result="refused"} 1"#;
    proxy.wait_until("it is refused", |proxy| proxy.page("/metrics").contains(refused));
    proxy.terminate();
    let (status, said) = proxy.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("configuration reloaded") && said.contains("routes"), "{said}");
    assert!(said.contains("the old one stays") && said.contains("firstbyte.yaml:3:1"), "{said}");
}

/// As Kubernetes does it: the file is a link to a link that is moved to another folder.
#[test]
fn a_config_map_that_is_swapped_is_read_where_the_file_wants_it() {
    let upstream = upstream();
    let original = file_for(&upstream);
    let folder = scratch();
    let text = rerouted(&original, "ca_file: ca.pem", "ca_file: ca.pem\n");
    let text = text.replace("workers: 1", "workers: 1\nreload: on_change");
    let put = |version: &str, text: &str| {
        let place = folder.join(version);
        fs::create_dir(&place).expect("a folder");
        fs::write(place.join("firstbyte.yaml"), text).expect("a file");
        let next = folder.join("next");
        symlink(version, &next).expect("a link");
        fs::rename(next, folder.join("data")).expect("it is moved at once");
    };
    put("one", &text);
    let file: PathBuf = folder.join("firstbyte.yaml");
    symlink("data/firstbyte.yaml", &file).expect("a link");
    upstream.write_ca(folder.join("ca.pem")).expect("a file");
    let proxy = Program::start(&file);
    assert_eq!(ask(&proxy, "/v2/models"), 404);
    put("two", &text.replace("path: /v1", "path: /v2"));
    proxy.wait_until("the new route leads", |proxy| ask(proxy, "/v2/models") != 404);
    // Once more, and not by the link: what it says now is what counts.
    put("three", &text.replace("reload: on_change", "reload: on_demand"));
    proxy.wait_until("the old route leads again", |proxy| ask(proxy, "/v1/models") != 404);
    proxy.terminate();
    let (_, said) = proxy.ended();
    assert_eq!(said.matches("configuration reloaded").count(), 2, "{said}");
}
