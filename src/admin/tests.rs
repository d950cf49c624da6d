use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::*;
use crate::config::{AccessLog, Allowed, Config, Env};
use crate::events::{Draft, Later};
use crate::record::Setup;

/// Connections at once.
const MOST: usize = 16;

/// Serves on loopback while `visit` runs, on a runtime as `main` makes it.
fn visited(readiness: &Arc<Readiness>, visit: impl FnOnce(SocketAddr)) {
    visited_at("127.0.0.1:0", readiness, |_| {}, visit);
}

struct KeyOnly;

impl Env for KeyOnly {
    fn var(&self, name: &str) -> Result<String, std::env::VarError> {
        let key = (name == "OPENAI_API_KEY").then(|| "sk-k".to_owned());
        key.ok_or(std::env::VarError::NotPresent)
    }

    fn read_file(&self, _: &std::path::Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// No other process shares anything.
struct Nobody;

impl Others for Nobody {
    fn connected(&self) -> Later<Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn find(&self, _: &str) -> Later<Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn send(&self, _: String, _: &str, _: Vec<Draft>) -> Later<()> {
        Box::pin(async { Ok(()) })
    }
}

/// The same at an address of its own, with a configuration that was changed.
fn visited_at(
    listen: &str,
    readiness: &Arc<Readiness>,
    change: impl FnOnce(&mut Config),
    visit: impl FnOnce(SocketAddr),
) {
    let listener = TcpListener::bind(listen).unwrap();
    let address = listener.local_addr().unwrap();
    let hub = Hub::new(Setup {
        workers: 1,
        routes: vec!["/v1".into()],
        upstreams: vec!["openai".into()],
        access_log: AccessLog::Off,
        log_format: crate::config::LogFormat::default(),
        version: "1",
        commit: "c",
    });
    let (hub, readiness) = (Arc::new(hub.unwrap()), Arc::clone(readiness));
    let reload: Reload = Arc::new(|| Reloaded::Refused(serde_json::json!({ "faults": [] })));
    let mut config = crate::config::from_env(&KeyOnly).unwrap();
    change(&mut config);
    let config = Arc::new(config);
    let config = Arc::new(move || Arc::clone(&config));
    let usage: Usage = Arc::new(|_| UsagePage::NotKept);
    let others = Arc::new(Nobody);
    let admin_setup =
        AdminSetup { hub, readiness, reload, usage, others, connections: MOST, config };
    let (end, ended) = oneshot::channel::<()>();
    let serving = thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(async {
            tokio::select! {
                fault = serve(listener, admin_setup) => fault.unwrap(),
                _ = ended => {}
            }
        });
    });
    visit(address);
    drop(end);
    serving.join().unwrap();
}

const MEANT: &str = "host: localhost\r\nx-firstbyte-admin: 1\r\n";

/// Head and body of one answer on a connection of its own.
fn ask(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    ask_with(address, method, path, "host: localhost\r\n")
}

/// The same with these header lines.
fn ask_with(address: SocketAddr, method: &str, path: &str, lines: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\n{lines}connection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

/// The status, and the words.
fn told(address: SocketAddr, method: &str, path: &str, lines: &str) -> (u16, String) {
    let (head, body) = ask_with(address, method, path, lines);
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

#[test]
fn each_path_answers_in_its_own_type_and_others_say_what_there_is() {
    let readiness = Arc::new(Readiness::new(0));
    visited(&readiness, |address| {
        assert_eq!(ask(address, "GET", "/livez").1, "ok\n");
        let (head, body) = ask(address, "GET", "/metrics?x=1");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(body.starts_with("# HELP firstbyte_requests_total "), "{body}");
        let (head, body) = ask(address, "GET", "/stats");
        assert!(head.contains("content-type: application/json"), "{head}");
        let stats: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(stats["upstreams"][0]["name"], "openai");
        let (head, body) = ask(address, "GET", "/v1/models");
        assert!(head.starts_with("http/1.1 404 "), "{head}");
        assert!(["/livez", "/readyz", "/metrics", "/stats"].iter().all(|p| body.contains(p)));
        let (head, _) = ask(address, "POST", "/livez");
        assert!(head.starts_with("http/1.1 405 ") && head.contains("allow: get, head"));
        let (head, _) = ask(address, "GET", "/reload");
        assert!(head.starts_with("http/1.1 405 ") && head.contains("allow: post"), "{head}");
        let (head, body) = ask_with(address, "POST", "/reload", MEANT);
        assert!(head.starts_with("http/1.1 422 ") && body.contains("faults"), "{head}");
    });
}

#[test]
fn head_gives_the_head_of_get_and_no_body() {
    let readiness = Arc::new(Readiness::new(0));
    visited(&readiness, |address| {
        let (head, body) = ask(address, "HEAD", "/livez");
        assert!(head.starts_with("http/1.1 200 ") && head.contains("content-length: 3"));
        assert_eq!(body, "");
    });
}

#[test]
fn ready_only_when_every_worker_is_and_never_again_once_draining() {
    let readiness = Arc::new(Readiness::new(2));
    visited(&readiness, |address| {
        let ready = || {
            let (head, body) = ask(address, "GET", "/readyz");
            let report: serde_json::Value = serde_json::from_str(&body).unwrap();
            let status = head.split(' ').nth(1).unwrap().to_owned();
            assert_eq!(report["ready"], status == "200");
            assert_eq!(report["ready"], readiness.is_ready());
            (status, report["reason"].as_str().unwrap().to_owned())
        };
        assert_eq!(ready().0, "503");
        readiness.set_worker(0, true);
        readiness.set_worker(9, true);
        assert_eq!(ready(), ("503".into(), "workers are warming their connections".into()));
        readiness.set_worker(1, true);
        assert_eq!(ready().0, "200");
        readiness.set_worker(1, false);
        assert_eq!(ready().0, "503");
        readiness.set_worker(1, true);
        readiness.drain();
        assert_eq!(ready(), ("503".into(), "draining".into()));
        readiness.set_worker(1, true);
        assert_eq!(ready().0, "503");
    });
}

#[test]
fn a_connection_serves_request_after_request() {
    let readiness = Arc::new(Readiness::new(0));
    visited(&readiness, |address| {
        let mut stream = kept(address);
        for _ in 0..3 {
            ask_on(&mut stream);
        }
    });
}

/// How long a probe takes on a connection of its own.
fn probe(address: SocketAddr, path: &str) -> Duration {
    let began = Instant::now();
    let (head, _) = ask(address, "GET", path);
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    began.elapsed()
}

/// A client that takes nothing of what it asks for, again and again.
fn greedy(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_nonblocking(true).unwrap();
    let asks = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(300);
    let _sent_in_part = stream.write(&asks).unwrap();
    stream
}

/// What a probe may take here, on a machine that does much else. Alone it takes well under a millisecond; waiting for
/// one of the others it would take ten seconds and more.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn health_is_told_at_once_whatever_other_clients_do() {
    let readiness = Arc::new(Readiness::new(0));
    visited(&readiness, |address| {
        let connect = || TcpStream::connect(address).unwrap();
        let mut connections: Vec<TcpStream> = (0..64).map(|_| greedy(address)).collect();
        let mut told = vec![probe(address, "/livez"), probe(address, "/readyz")];
        connections.extend((0..200).map(|_| connect()));
        told.push(probe(address, "/livez"));
        for _ in 0..64 {
            let mut slow = connect();
            slow.write_all(b"GET /livez HTTP/1.1\r\nho").unwrap();
            connections.push(slow);
        }
        told.push(probe(address, "/livez"));
        for _ in 0..4 {
            connections.push(greedy(address));
            told.extend(["/livez", "/readyz"].map(|path| probe(address, path)));
        }
        assert!(told.iter().all(|took| *took < SOON), "{told:?}");
        let (head, body) = ask(address, "GET", "/metrics");
        assert!(head.starts_with("http/1.1 200 ") && body.contains("firstbyte_"), "{head}");
    });
}

#[test]
fn who_was_idle_for_longest_makes_room() {
    let readiness = Arc::new(Readiness::new(0));
    visited(&readiness, |address| {
        let mut asked: Vec<TcpStream> = (0..MOST).map(|_| kept(address)).collect();
        let mut oldest = asked.remove(0);
        let _newest = kept(address);
        oldest.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(oldest.read(&mut [0]).unwrap(), 0, "it is closed");
        for stream in &mut asked {
            ask_on(stream);
        }
    });
}

/// A connection that was served, and stays.
fn kept(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    ask_on(&mut stream);
    stream
}

fn ask_on(stream: &mut TcpStream) {
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
}

#[test]
fn no_web_page_and_no_foreign_name_sees_anything() {
    let readiness = Arc::new(Readiness::new(0));
    visited(&readiness, |address| {
        for path in ["/livez", "/readyz", "/metrics", "/stats", "/other"] {
            let (status, said) = told(address, "GET", path, "host: evil.example\r\n");
            assert!(status == 403 && said.contains("allowed_hosts"), "{path}: {status} {said}");
            for line in ["origin: http://evil.example", "sec-fetch-site: cross-site"] {
                let lines = format!("host: localhost\r\n{line}\r\n");
                assert_eq!(told(address, "GET", path, &lines).0, 403, "{path} {line}");
            }
        }
        let lines = format!("{MEANT}origin: http://evil.example\r\n");
        assert_eq!(told(address, "POST", "/reload", &lines).0, 403);
        let asked = format!("{lines}access-control-request-method: POST\r\n");
        assert_eq!(told(address, "OPTIONS", "/reload", &asked).0, 403);
    });
    let open = |config: &mut Config| {
        config.allowed_hosts = Allowed { any: false, names: vec!["ops.example".into()] };
        config.allowed_origins = Allowed { any: true, names: Vec::new() };
    };
    visited_at("127.0.0.1:0", &readiness, open, |address| {
        let named = "host: ops.example\r\n";
        assert_eq!(told(address, "GET", "/stats", named).0, 200);
        let lines = format!("{named}origin: http://chat.example\r\n");
        assert_eq!(told(address, "GET", "/stats", &lines).0, 403, "that key is of the data path");
    });
}

/// Kubernetes' probes and Prometheus ask a pod by its address, and need no configuration.
#[test]
fn a_listener_on_all_addresses_is_asked_by_any_name() {
    let readiness = Arc::new(Readiness::new(0));
    visited_at(
        "0.0.0.0:0",
        &readiness,
        |_| {},
        |address| {
            let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
            for path in ["/livez", "/readyz", "/metrics", "/stats"] {
                for host in ["10.1.2.3:9090", "firstbyte.monitoring.svc:9090"] {
                    let lines = format!("host: {host}\r\n");
                    assert_eq!(told(address, "GET", path, &lines).0, 200, "{path} {host}");
                }
            }
            let (status, said) = told(address, "POST", "/reload", MEANT);
            assert!(
                status == 403 && said.contains("admin_token") && said.contains("SIGHUP"),
                "{said}"
            );
        },
    );
}

#[test]
fn a_reload_says_what_to_add_until_it_is_meant_and_known() {
    let readiness = Arc::new(Readiness::new(0));
    visited(&readiness, |address| {
        let (status, said) = told(address, "POST", "/reload", "host: localhost\r\n");
        assert!(status == 403 && said.contains("add -H 'x-firstbyte-admin: 1'"), "{said}");
        assert_eq!(told(address, "POST", "/reload", MEANT).0, 422, "it got as far as the file");
    });
    let with_token = |config: &mut Config| config.admin_token = Some("t0ken".to_owned().into());
    for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
        visited_at(listen, &readiness, with_token, |address| {
            let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
            let status = |more: &str| told(address, "POST", "/reload", &format!("{MEANT}{more}")).0;
            assert_eq!(status(""), 401);
            for wrong in ["Bearer t0ke", "Bearer t0kenn", "Basic t0ken", "t0ken", "Bearer "] {
                assert_eq!(status(&format!("authorization: {wrong}\r\n")), 401, "{wrong}");
            }
            assert_eq!(status("authorization: Bearer t0ken\r\n"), 422);
            assert_eq!(status("authorization: bearer t0ken\r\n"), 422);
            let (head, said) = ask_with(address, "POST", "/reload", MEANT);
            assert!(head.contains("www-authenticate: bearer") && said.contains("admin_token"));
            assert_eq!(told(address, "GET", "/metrics", "host: localhost\r\n").0, 200);
        });
    }
}
