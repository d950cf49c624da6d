//! The proxy under test, as a child process: started, watched, told to reload and to end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

/// Lines of a panic that are kept for the report.
const PANICS_KEPT: usize = 5;
/// Pause between two looks at whether something has happened.
const LOOK: Duration = Duration::from_millis(20);

/// Addresses that the proxy is told by its environment.
#[derive(Debug)]
pub(super) struct ProxyAddresses {
    /// Where clients connect.
    pub(super) listen: SocketAddr,
    /// Where its metrics are.
    pub(super) admin: SocketAddr,
}

impl ProxyAddresses {
    /// Two free ports of the loopback. Another process may take them before the proxy does: then it says so and
    /// ends, and so does the soak.
    pub(super) fn free() -> io::Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (one, other) = (bind()?, bind()?);
        Ok(Self { listen: one.local_addr()?, admin: other.local_addr()? })
    }
}

/// The proxy, running. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Proxy {
    child: Child,
    panics: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts `command` with `variables`; what it says on standard error goes to the file `log`.
    pub(super) fn start(
        command: &[String],
        variables: &[(&str, String)],
        log: &Path,
    ) -> io::Result<Self> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| io::Error::other("no command given"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut file = File::create(log)?;
        let panics = Arc::<Mutex<Vec<String>>>::default();
        let reader = child.stderr.take().map(|stderr| {
            let panics = panics.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                    // A log that cannot be written is no reason to let the proxy block on its pipe.
                    let _ = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
                    if line.windows(8).any(|word| word == b"panicked") {
                        let mut panics = panics.lock().unwrap_or_else(PoisonError::into_inner);
                        if panics.len() < PANICS_KEPT {
                            panics.push(String::from_utf8_lossy(&line).into_owned());
                        }
                    }
                }
            })
        });
        Ok(Self { child, panics, reader })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said of panics, the first few.
    pub(super) fn panics(&self) -> Vec<String> {
        self.panics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something listens at `place`; an error if it ends first, or not within `limit`.
    pub(super) async fn wait_listening(
        &mut self,
        place: SocketAddr,
        limit: Duration,
    ) -> io::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(place).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the proxy exited during startup: {status}")));
            }
            if begun.elapsed() > limit {
                return Err(io::Error::other(format!("the proxy does not listen on {place}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Asks it to read its configuration again.
    pub(super) fn reload(&self) -> io::Result<()> {
        self.signal(Signal::HUP)
    }

    /// Asks it to end, and waits; `None` if it does not within `limit`, and is killed.
    pub(super) async fn end(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        self.signal(Signal::TERM)?;
        let begun = Instant::now();
        let mut status = self.child.try_wait()?;
        while status.is_none() && begun.elapsed() < limit {
            tokio::time::sleep(LOOK).await;
            status = self.child.try_wait()?;
        }
        if status.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        if let Some(reader) = self.reader.take() {
            // What it said last belongs to the verdict.
            let _ = reader.join();
        }
        Ok(status)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("no such process"))?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Has no effect on one that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
