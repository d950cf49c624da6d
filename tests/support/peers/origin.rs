//! Somebody else's servers as TLS HTTP/2 origins: nginx and `haproxy` as the machine has them, each passing
//! on to a mock upstream in clear.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::fixture::{PATIENCE, free_port, scratch};
use crate::support::installed::installed;
use crate::support::program::Guarded;

/// Streams that either takes at once on one connection.
pub(crate) const STREAMS: usize = 16;
/// Requests after which nginx sends a connection away.
pub(crate) const REQUESTS: usize = 50;

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Nginx,
    Haproxy,
}

/// A running origin. Dropped, it is killed.
pub(crate) struct Origin {
    make: Make,
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    process: Guarded,
}

impl Origin {
    /// `None`, said loudly, where the machine does not have it.
    pub(crate) fn start(make: Make, mock: SocketAddr) -> Option<Self> {
        let program = installed(make.program())?;
        let directory = scratch();
        certify(&directory);
        for _ in 0..10 {
            let port = free_port();
            let config = make.config(&directory, port, mock);
            fs::write(directory.join("config"), config).expect("the file can be written");
            let mut process = make.spawn(&program, &directory);
            // It ends at once where somebody took the port meanwhile.
            if listens(port, &mut process.0) {
                return Some(Self { make, program, directory, port, process });
            }
        }
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        panic!("{make:?} does not start: {log}");
    }

    /// What firstbyte is pointed at.
    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The authority that signed its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Has it begin anew with the same configuration: its new workers take new connections, the old ones
    /// say GOAWAY and finish.
    pub(crate) fn reload(&self) {
        self.signal(if self.make == Make::Nginx { Signal::HUP } else { Signal::USR2 });
    }

    /// Has it finish what it has and end, and starts it again at the same port.
    pub(crate) fn restart(&mut self) {
        self.signal(if self.make == Make::Nginx { Signal::QUIT } else { Signal::USR1 });
        let begun = Instant::now();
        while self.process.0.try_wait().expect("a child of ours").is_none() {
            assert!(begun.elapsed() < PATIENCE, "{:?} does not end", self.make);
            std::thread::yield_now();
        }
        self.start_again();
    }

    /// Kills it in the middle of everything, its workers too, and starts it again.
    pub(crate) fn kill(&mut self) {
        let group = Pid::from_child(&self.process.0);
        rustix::process::kill_process_group(group, Signal::KILL).expect("it runs");
        self.process.0.wait().expect("a child of ours");
        self.start_again();
    }

    fn start_again(&mut self) {
        self.process = self.make.spawn(&self.program, &self.directory);
        assert!(listens(self.port, &mut self.process.0), "{:?} does not come back", self.make);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.0), signal).expect("it runs");
    }
}

impl Drop for Origin {
    /// Its workers with it, which would go on without their master.
    fn drop(&mut self) {
        let group = Pid::from_child(&self.process.0);
        // Fails where it has ended already.
        let _killed = rustix::process::kill_process_group(group, Signal::KILL);
    }
}

impl Make {
    fn program(self) -> &'static str {
        if self == Self::Nginx { "nginx" } else { "haproxy" }
    }

    /// In the foreground, in a process group of its own.
    fn spawn(self, program: &Path, directory: &Path) -> Guarded {
        use std::os::unix::process::CommandExt;
        let log = fs::File::options().create(true).append(true).open(directory.join("log"));
        let log = log.expect("a log");
        let mut command = Command::new(program);
        let config = directory.join("config");
        match self {
            Self::Nginx => {
                command.arg("-p").arg(directory).arg("-e").arg("stderr").arg("-c").arg(config)
            }
            Self::Haproxy => command.args(["-W", "-db", "-f"]).arg(config),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        Guarded(command.spawn().expect("it starts"))
    }

    fn config(self, directory: &Path, port: u16, mock: SocketAddr) -> String {
        let dir = directory.display();
        match self {
            Self::Nginx => format!(
                "daemon off; worker_processes 1; error_log stderr error; pid {dir}/pid; {user}\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{\n  access_log off; keepalive_requests {REQUESTS};\n  \
                 http2_max_concurrent_streams {STREAMS};\n  \
                 client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;\n  \
                 uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n  \
                 upstream mock {{ server {mock}; keepalive 64; }}\n  \
                 server {{\n    listen 127.0.0.1:{port} ssl http2;\n    \
                 ssl_certificate {dir}/server.pem; ssl_certificate_key {dir}/server.pem;\n    \
                 location / {{ proxy_pass http://mock; proxy_http_version 1.1;\n      \
                 proxy_set_header Connection \"\"; proxy_buffering off; proxy_request_buffering off; }}\n  \
                 }}\n}}\n",
                user = if rustix::process::getuid().is_root() { "user root;" } else { "" },
            ),
            Self::Haproxy => format!(
                "global\n  tune.h2.max-concurrent-streams {STREAMS}\n  nbthread 1\n  \
                 ssl-default-bind-options ssl-min-ver TLSv1.2\n  hard-stop-after 30s\n\
                 defaults\n  mode http\n  option http-no-delay\n  timeout connect 5s\n  \
                 timeout client 60s\n  timeout server 60s\n\
                 frontend api\n  bind 127.0.0.1:{port} ssl crt {dir}/server.pem alpn h2,http/1.1\n  \
                 default_backend mock\nbackend mock\n  server mock {mock}\n"
            ),
        }
    }
}

fn listens(port: u16, process: &mut Child) -> bool {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if process.try_wait().expect("a child of ours").is_some() {
            return false;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not listen");
        std::thread::yield_now();
    }
    // Somebody listens: it is ours unless ours has ended for it.
    process.try_wait().expect("a child of ours").is_none()
}

/// An authority in `ca.pem`, and a certificate for localhost with its key in `server.pem`.
fn certify(directory: &Path) {
    let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key"))
        .expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &ca).expect("a certificate");
    fs::write(directory.join("ca.pem"), ca.pem()).expect("the file can be written");
    let server = leaf.pem() + &key.serialize_pem();
    fs::write(directory.join("server.pem"), server).expect("the file can be written");
}
