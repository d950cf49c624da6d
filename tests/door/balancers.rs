//! nginx, `HAProxy` and Caddy in front, configured as docs/behind-a-balancer.md says.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::upstream::{Script, Seen, Upstream};
use socket2::{Domain, Socket, Type};

use super::{clear, ready};
use crate::door::authority::Authority;
use crate::door::tls_client::{TlsClient, TlsSettings};
use crate::support::fixture::{Fixture, PATIENCE, free_port, scratch};
use crate::support::installed::installed;
use crate::support::program::Guarded;

/// The page's code block that follows this marker, which is there for us.
fn block(marker: &str) -> String {
    let page = include_str!("../../docs/behind-a-balancer.md");
    let (_, after) = page.split_once(&format!("<!-- {marker} -->")).expect("the marker");
    let (_, code) = after.split_once("```").expect("a block");
    let (_, code) = code.split_once('\n').expect("its language");
    code.split_once("```").expect("its end").0.to_owned()
}

/// A balancer in front of firstbyte, both as the page has them.
struct Setup {
    fixture: Fixture,
    authority: Authority,
    front: SocketAddr,
    _balancer: Guarded,
}

/// firstbyte as the page has it for this balancer, with our upstream in place of the page's.
fn firstbyte(name: &str, folder: &Path, port: u16) -> Fixture {
    let upstream = clear(Upstream::builder().respond_early(|seen: &Seen| match seen.path_only() {
        "/v1/stalled" => Script::new().stream().tokens(1, Duration::ZERO).stall(),
        "/v1/long" => Script::new().early().stream().tokens(1, Duration::ZERO).await_body().done(),
        _ => Script::new().answer(200, &[], "{}"),
    }));
    let socket = folder.join("firstbyte.sock");
    let written = block(&format!("firstbyte-{name}"));
    let written = written
        .replace("/run/firstbyte/firstbyte.sock", &socket.display().to_string())
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
    assert!(!written.contains("upstreams:"), "the page leaves them out: {written}");
    let text = format!(
        "{written}\nadmin: 127.0.0.1:0\nworkers: 1\naccess_log: file:access.jsonl\nupstreams:\n  \
         a: {{ url: '{}/v1', protocol: http2 }}\nroutes: [{{ path: /v1, upstream: a }}]\n",
        upstream.url()
    );
    ready(upstream, &text)
}

/// `None`, said loudly, where the balancer is not installed.
fn setup(name: &str, program: &str, arguments: fn(&Path) -> Vec<String>) -> Option<Setup> {
    let program = installed(program)?;
    let (folder, authority) = (scratch(), Authority::new("ours"));
    let issued = authority.server(&["chat.example"]);
    fs::write(folder.join("fullchain.pem"), &issued.chain).expect("a file");
    fs::write(folder.join("privkey.pem"), &issued.key).expect("a file");
    fs::write(folder.join("both.pem"), issued.chain + &issued.key).expect("a file");
    let back = free_port();
    let fixture = firstbyte(name, &folder, back);
    let (front, balancer) = loop {
        let front = free_port();
        let config = config(name, &folder, (front, back));
        match listening(name, &program, arguments, (&folder, &config), front) {
            Ok(balancer) => break (SocketAddr::from(([127, 0, 0, 1], front)), balancer),
            // Another test was quicker, on this or any other address.
            Err(log) => assert!(log.to_lowercase().contains("in use"), "{name}: {log}"),
        }
    };
    Some(Setup { fixture, authority, front, _balancer: balancer })
}

/// The page's block, with our folder and ports in place of the page's.
fn config(name: &str, folder: &Path, (front, back): (u16, u16)) -> String {
    let config = block(name)
        .replace("/etc/ssl/chat.example", &folder.display().to_string())
        .replace("/run/firstbyte/firstbyte.sock", &format!("{}/firstbyte.sock", folder.display()))
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{back}"))
        .replace("443", &front.to_string());
    around(name, &config, folder)
}

/// A balancer that listens, or what it said when it ended.
fn listening(
    name: &str,
    program: &Path,
    arguments: fn(&Path) -> Vec<String>,
    (folder, config): (&Path, &str),
    front: u16,
) -> Result<Guarded, String> {
    let (file, log) = (folder.join("config"), folder.join("log"));
    fs::write(&file, config).expect("a file");
    let mut balancer = Command::new(program)
        .args(arguments(&file))
        .env("HOME", folder)
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).expect("a file"))
        .spawn()
        .map(Guarded)
        .expect("it starts");
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", front)).is_err() {
        let said = || fs::read_to_string(&log).unwrap_or_default();
        if balancer.0.try_wait().expect("a child of ours").is_some() {
            return Err(said());
        }
        assert!(begun.elapsed() < PATIENCE, "{name} does not listen: {}", said());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(balancer)
}

/// What a whole file of the balancer's needs besides, where it is not run by root on a machine of its own.
fn around(name: &str, config: &str, folder: &Path) -> String {
    let at = folder.display();
    match name {
        "nginx" => {
            let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let folders = folders.map(|kind| format!("{kind}_temp_path {at}/{kind};\n")).concat();
            format!(
                "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log stderr;\nevents {{}}\n\
                 http {{\naccess_log off;\n{folders}{config}}}\n"
            )
        }
        "caddy" => format!("{{\n  admin off\n  auto_https disable_redirects\n}}\n{config}"),
        _ => config.to_owned(),
    }
}

fn path(file: &Path) -> String {
    file.display().to_string()
}

impl Setup {
    /// From an address that is not the balancer's.
    fn connect(&self) -> TlsClient {
        let settings = TlsSettings::trusting(&self.authority).alpn(&["http/1.1"]);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let own = SocketAddr::from(([127, 0, 0, 2], 0));
        socket.bind(&own.into()).expect("an address of the loopback");
        socket.connect(&self.front.into()).expect("it listens");
        settings.over(socket.into(), "chat.example").expect("a handshake")
    }

    /// A token comes before the next one is there, and who leaves then is cancelled; an answer comes whole; and
    /// the log names the client, not the balancer, nor whom the client names.
    fn does_as_the_page_says(self, name: &str) {
        let mut leaver = self.connect();
        write!(leaver.0, "GET /v1/stalled HTTP/1.1\r\nhost: chat.example\r\n\r\n")
            .expect("it reads");
        let begun = leaver.read_to("\"content\":\" token\"");
        begun.unwrap_or_else(|error| panic!("{name} holds a token back: {error}"));
        drop(leaver);
        assert!(self.fixture.upstream.wait_for_cancel(0, PATIENCE).is_some(), "{name}");

        let mut client = self.connect();
        let head = "GET /v1/models HTTP/1.1\r\nhost: chat.example\r\nconnection: close\r\n\
                    x-forwarded-for: 6.6.6.6\r\nforwarded: for=6.6.6.6\r\n\r\n";
        client.0.write_all(head.as_bytes()).expect("it reads");
        let mut answer = String::new();
        client.0.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");

        let log = self.fixture.access_log();
        let clients: Vec<_> = log.iter().map(|line| line["client"].to_string()).collect();
        let real = |client: &String| client.starts_with("\"127.0.0.2");
        assert!(log.len() == 2 && clients.iter().all(real), "{name}: {clients:?}");
    }

    /// A response goes on while its request does.
    fn passes_requests_on_as_they_arrive(&self, name: &str) {
        let mut client = self.connect();
        let head = "POST /v1/long HTTP/1.1\r\nhost: chat.example\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        write!(client.0, "{head}2\r\n{{}}\r\n").expect("it reads");
        let begun = client.read_to("\"content\":\" token\"");
        begun.unwrap_or_else(|error| panic!("{name} holds the request back: {error}"));
        write!(client.0, "0\r\n\r\n").expect("it reads");
        client.read_to("data: [DONE]\n\n").expect("the end");
    }
}

#[test]
fn nginx_streams_and_the_log_has_the_client() {
    let Some(setup) = setup("nginx", "nginx", |file| vec!["-c".into(), path(file)]) else { return };
    setup.does_as_the_page_says("nginx");
}

#[test]
fn haproxy_streams_and_says_who_connected_by_the_proxy_protocol() {
    let Some(setup) = setup("haproxy", "haproxy", |file| vec!["-f".into(), path(file)]) else {
        return;
    };
    setup.does_as_the_page_says("haproxy");
}

#[test]
fn nginx_and_haproxy_pass_uploads_on_as_they_arrive() {
    let nginx = |file: &Path| vec!["-c".to_owned(), path(file)];
    let haproxy = |file: &Path| vec!["-f".to_owned(), path(file)];
    for (name, arguments) in [("nginx", nginx as fn(&Path) -> Vec<String>), ("haproxy", haproxy)] {
        let Some(setup) = setup(name, name, arguments) else { continue };
        setup.passes_requests_on_as_they_arrive(name);
    }
}

#[test]
fn caddy_streams_and_the_log_has_the_client() {
    let arguments = |file: &Path| {
        ["run", "--adapter", "caddyfile", "--config"]
            .map(String::from)
            .into_iter()
            .chain([path(file)])
            .collect()
    };
    let Some(setup) = setup("caddy", "caddy", arguments) else { return };
    setup.does_as_the_page_says("caddy");
}

#[test]
fn each_block_of_the_page_is_used_by_a_test() {
    let page = include_str!("../../docs/behind-a-balancer.md");
    let markers: Vec<_> = page.lines().filter(|line| line.starts_with("<!-- ")).collect();
    let both = |name| [format!("<!-- firstbyte-{name} -->"), format!("<!-- {name} -->")];
    let expected: Vec<_> = ["nginx", "haproxy", "caddy"].into_iter().flat_map(both).collect();
    assert_eq!(markers, expected);
}
