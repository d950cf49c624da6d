//! What a service manager is told: `sd_notify(3)`. Nothing where there is none.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// It listens.
pub(super) const READY: &str = "READY=1";

/// It drains.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Another process is the service from now on.
pub(super) fn main_process(id: u32) -> String {
    format!("MAINPID={id}")
}

/// Tells it. A manager that does not listen is no reason not to serve.
pub(super) fn tell(state: &str) {
    let Some(place) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&place, state) {
        tracing::warn!(%error, state, "cannot notify the service manager");
    }
}

fn send(place: &OsStr, state: &str) -> io::Result<()> {
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(place)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_by_a_path_and_by_an_abstract_name() {
        let name = format!("firstbyte-notify-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        send(path.as_os_str(), READY).unwrap();
        send(OsStr::new(&format!("@{name}")), &main_process(7)).unwrap();
        std::fs::remove_file(path).unwrap();
        for (socket, said) in [(by_path, "READY=1"), (by_name, "MAINPID=7")] {
            let mut text = [0; 32];
            let read = socket.recv(&mut text).unwrap();
            assert_eq!(&text[..read], said.as_bytes());
        }
    }
}
