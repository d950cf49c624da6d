//! How the connections of each listener begin.

use std::sync::Arc;

use crate::config::{ListenAddress, Listener};
use crate::transport::tls::server::ServerTls;

/// One listener's.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// Only this machine reaches it, and any web page that a browser here shows; see
    /// [`admit::page`](crate::admit::page).
    pub(super) on_loopback: bool,
    /// First comes a header that names the client.
    pub(super) proxy_protocol: bool,
    /// Then TLS, where it is spoken.
    pub(super) tls: Option<ServerTls>,
}

/// All listeners', in the configuration's order. Clones share them.
#[derive(Debug, Clone)]
pub struct Doors(Arc<[Door]>);

impl Doors {
    /// As the configuration has them.
    ///
    /// # Errors
    /// The listener with which TLS cannot be spoken, and why.
    pub fn new(listen: &[Listener]) -> Result<Self, (ListenAddress, rustls::Error)> {
        let doors = listen.iter().map(|listener| {
            let tls = listener.tls.as_ref().map(ServerTls::new).transpose();
            let tls = tls.map_err(|error| (listener.address.clone(), error))?;
            // A page has no way to begin with a PROXY header, and a name that was made to lead here has no
            // certificate of ours.
            let plain = tls.is_none() && !listener.proxy_protocol;
            let here = listener.address.ip().is_some_and(|at| at.ip().to_canonical().is_loopback());
            let (on_loopback, proxy_protocol) = (plain && here, listener.proxy_protocol);
            Ok(Door { on_loopback, proxy_protocol, tls })
        });
        doors.collect::<Result<_, _>>().map(Self)
    }

    /// The one by this number.
    pub(super) fn get(&self, listener: usize) -> Option<&Door> {
        self.0.get(listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_here_can_reach_in_clear_is_on_loopback() {
        let on_loopback = |listener: Listener| {
            let doors = Doors::new(&[listener]).unwrap();
            doors.get(0).is_some_and(|door| door.on_loopback)
        };
        let at = |text: &str| Listener::from(ListenAddress::parse(text).unwrap());
        for (address, expected) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:8080", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("10.0.0.1:8080", false),
            ("unix:/run/firstbyte.sock", false),
        ] {
            assert_eq!(on_loopback(at(address)), expected, "{address}");
        }
        assert!(!on_loopback(Listener { proxy_protocol: true, ..at("127.0.0.1:8080") }));
    }
}
