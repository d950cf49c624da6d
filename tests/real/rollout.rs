//! A rollout behind other people's balancers: two proxies are replaced one after the other under keep-alive
//! load, and no request is lost. `HAProxy` and Caddy look at `/readyz`; nginx sees only that a connection is
//! refused.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::upstream::{Script, Upstream};

use crate::support::fixture::{PATIENCE, free_port, scratch};
use crate::support::installed::installed;
use crate::support::peers::steady::Steady;
use crate::support::program::{Guarded, Program};

const CLIENTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// Two proxies at the same ports of two addresses, as pods have them.
struct Pods {
    upstream: Upstream,
    port: u16,
    admin: u16,
    running: [Option<Program>; 2],
}

impl Pods {
    fn start() -> Self {
        let script = Script::new().wait(Duration::from_millis(1)).answer(200, &[], "{}");
        let upstream = Upstream::builder().clear().http2().log(false).script(script).start();
        let upstream = upstream.expect("the mock upstream starts");
        let mut pods =
            Self { upstream, port: free_port(), admin: free_port(), running: [None, None] };
        for nth in 0..2 {
            pods.running[nth] = Some(pods.pod(nth));
        }
        pods
    }

    fn ip(nth: usize) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, nth as u8 + 1).into()
    }

    fn pod(&self, nth: usize) -> Program {
        let file = scratch().join("firstbyte.yaml");
        let (ip, port, admin) = (Self::ip(nth), self.port, self.admin);
        let text = format!(
            "listen: {ip}:{port}\nadmin: {ip}:{admin}\nworkers: 1\naccess_log: off\n\
             upstreams:\n  a: {{ url: '{}/v1', protocol: http2 }}\n\
             routes: [{{ path: /v1, upstream: a }}]\nclient: {{ lame_duck: 2s }}\n",
            self.upstream.url()
        );
        fs::write(&file, text).expect("the file can be written");
        let pod = Program::start(&file);
        pod.wait_until("it is ready", |pod| pod.status("/readyz") == 200);
        pod
    }

    /// Ends one as Kubernetes does, and starts the next in its place once it has ended.
    fn replace(&mut self, nth: usize) {
        let pod = self.running[nth].take().expect("it runs");
        pod.terminate();
        let (status, said) = pod.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("cut=0"), "{said}");
        self.running[nth] = Some(self.pod(nth));
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [0, 1].map(|nth| SocketAddr::new(Self::ip(nth), self.port))
    }
}

/// Replaces both behind a balancer that this command starts, at the address that it was told.
fn roll_out(mut pods: Pods, at: SocketAddr, command: &mut Command) {
    let balancer = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _balancer = Guarded(balancer.spawn().expect("it starts"));
    let began = Instant::now();
    while TcpStream::connect(at).is_err() {
        assert!(began.elapsed() < PATIENCE, "the balancer does not listen");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let steady = Steady::at(at, CLIENTS, PAUSE);
    for nth in 0..2 {
        steady.more(300);
        pods.replace(nth);
        // Its balancer has to find it, before the other goes: a rollout waits for that (`minReadySeconds`).
        let found = |pod: &Program| pod.count("firstbyte_client_connections") > 0;
        let pod = pods.running[nth].as_ref().expect("it runs");
        pod.wait_until("the balancer has found it", found);
    }
    steady.more(300);
    let answered = steady.end();
    println!("{answered} requests, none lost");
    drop(pods);
}

#[test]
fn a_rollout_behind_nginx_loses_nothing() {
    let Some(nginx) = installed("nginx") else { return };
    let (pods, at, folder) = (Pods::start(), here(), scratch());
    let [one, other] = pods.addresses();
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;\n\
         events {{}}\nhttp {{ access_log off;\n\
         client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n\
         uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
         upstream pods {{ server {one} fail_timeout=1s; server {other} fail_timeout=1s; keepalive 16; }}\n\
         server {{ listen {at}; location / {{ proxy_pass http://pods; proxy_http_version 1.1;\n\
         proxy_set_header connection ''; proxy_set_header host $host; proxy_buffering off; }} }} }}\n",
        folder = folder.display()
    );
    roll_out(pods, at, Command::new(nginx).arg("-c").arg(written(&folder, &text)));
}

#[test]
fn a_rollout_behind_haproxy_loses_nothing() {
    let Some(haproxy) = installed("haproxy") else { return };
    let (pods, at, folder) = (Pods::start(), here(), scratch());
    let [one, other] = pods.addresses();
    let text = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         frontend in\n  bind {at}\n  default_backend pods\n\
         backend pods\n  option httpchk\n  http-check send meth GET uri /readyz ver HTTP/1.1 hdr host localhost\n\
         \x20 default-server check port {admin} inter 100ms fall 1 rise 1\n\
         \x20 server one {one}\n  server other {other}\n",
        admin = pods.admin
    );
    roll_out(pods, at, Command::new(haproxy).arg("-db").arg("-f").arg(written(&folder, &text)));
}

#[test]
fn a_rollout_behind_caddy_loses_nothing() {
    let Some(caddy) = installed("caddy") else { return };
    let (pods, at, folder) = (Pods::start(), here(), scratch());
    let [one, other] = pods.addresses();
    let text = format!(
        "{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n bind {ip}\n\
         reverse_proxy {one} {other} {{\n health_uri /readyz\n health_port {admin}\n\
         health_interval 100ms\n lb_try_duration 5s\n flush_interval -1\n }}\n}}\n",
        ip = at.ip(),
        port = at.port(),
        admin = pods.admin
    );
    let file = written(&folder, &text);
    let mut command = Command::new(caddy);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    // It writes what it knows of the last run into its home.
    command.env("HOME", &folder).env("XDG_CONFIG_HOME", &folder).env("XDG_DATA_HOME", &folder);
    roll_out(pods, at, &mut command);
}

fn here() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_port())
}

fn written(folder: &Path, text: &str) -> std::path::PathBuf {
    let file = folder.join("config");
    fs::write(&file, text).expect("the file can be written");
    file
}
