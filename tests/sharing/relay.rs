//! A wire between the proxy and the server on which answers get lost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Runs until the test process ends.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    mute: Arc<AtomicUsize>,
}

impl Relay {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, mute) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let this = Self { address, connections: Arc::clone(&connections), mute: Arc::clone(&mute) };
        std::thread::spawn(move || {
            for proxy in listener.incoming().map_while(Result::ok) {
                // Refused once the test is over.
                let Ok(server) = TcpStream::connect(server) else { return };
                let number = connections.fetch_add(1, Relaxed) + 1;
                let (up, down) = (proxy.try_clone(), server.try_clone());
                let (mut up, mut down) = (up.expect("a socket"), down.expect("a socket"));
                let (mut proxy, mut server) = (proxy, server);
                let mute = Arc::clone(&mute);
                std::thread::spawn(move || std::io::copy(&mut up, &mut server));
                std::thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(count @ 1..) = down.read(&mut bytes) {
                        if mute.load(Relaxed) < number && proxy.write_all(&bytes[..count]).is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        this
    }

    /// No answer comes any more over the connections that there are.
    pub(crate) fn lose_answers(&self) {
        self.mute.store(self.connections.load(Relaxed), Relaxed);
    }
}
