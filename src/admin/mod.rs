//! The operator's listener: `/livez /readyz /metrics /stats /usage /clients /subscribers /reload`, apart from the data path.
//!
//! Its clients harm each other no more than those of the data path do. A new connection is always let in:
//! the one that moved nothing for longest makes room (`connections`). An answer has to be taken in time
//! (`watched`). Pages that take work are made one at a time, with pauses, for all who ask meanwhile
//! (`shared`). So `/livez` waits for none of them. Web pages are refused, and what changes something wants
//! more than a request (`guard`). `publishing` sends events to one
//! subscriber.

mod connections;
mod guard;
mod pages;
mod publishing;
mod readiness;
mod shared;
#[cfg(test)]
mod tests;
mod watched;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::config::Config;
use crate::events::Others;
use crate::record::Hub;
use connections::{ConnectionGuard, Connections};
use pages::Pages;
use watched::Watched;

pub use readiness::{Lacks, Readiness};

/// A connection that sends no request for this long is closed; scrapers simply come again.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: out of descriptors, trying at once again would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Reads the configuration again; blocks meanwhile.
pub type Reload = Arc<dyn Fn() -> Reloaded + Send + Sync>;

/// What became of it, with the page that says so.
pub enum Reloaded {
    /// It is in force.
    Applied(serde_json::Value),
    /// The old one stays.
    Refused(serde_json::Value),
}

/// What was used, by the question in a URL's query; blocks meanwhile.
pub type Usage = Arc<dyn Fn(&str) -> UsagePage + Send + Sync>;

/// The answer.
pub enum UsagePage {
    /// Its media type and its text.
    Page(&'static str, String),
    /// The question is wrong, and how.
    Wrong(String),
    /// Nothing is kept.
    NotKept,
    /// What is kept cannot be read just now, and why.
    Unavailable(String),
}

/// What the listener shows and does.
pub struct AdminSetup {
    /// What `/metrics` and `/stats` tell.
    pub hub: Arc<Hub>,
    /// What `/readyz` tells.
    pub readiness: Arc<Readiness>,
    /// What `POST /reload` does.
    pub reload: Reload,
    /// What `GET /usage` tells.
    pub usage: Usage,
    /// Whose subscribers `/clients` and `POST /subscribers/ID` reach beside those of this process.
    pub others: Arc<dyn Others>,
    /// Connections at once.
    pub connections: usize,
    /// The configuration in force.
    pub config: Arc<dyn Fn() -> Arc<Config> + Send + Sync>,
}

/// Serves until dropped; HTTP/1.1 with keep-alive. Fails only if the listener cannot be put to
/// use. Dropping the future ends the accepting; connections end with their runtime.
pub async fn serve(listener: std::net::TcpListener, admin_setup: AdminSetup) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let connections = Connections::new(admin_setup.connections);
    // What is bound here stays here: one on all addresses is reached by other machines.
    let on_loopback = listener.local_addr()?.ip().is_loopback();
    let pages = Arc::new(Pages::new(admin_setup, on_loopback, connections.clone()));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            connections.make_room();
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if let Some(connection_guard) = connections.enter() {
            tokio::spawn(serve_one(stream, connection_guard, Arc::clone(&pages)));
        }
        // So that who came first is answered before the next one takes its place.
        tokio::task::yield_now().await;
    }
}

/// One connection to its end, or until it is to make room.
async fn serve_one(stream: TcpStream, connection_guard: ConnectionGuard, pages: Arc<Pages>) {
    let activity = connection_guard.activity();
    let service = service_fn(|request| pages.answer(request, activity));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(Watched::new(stream, Arc::clone(activity))), service);
    // A prober that leaves early is no news.
    tokio::select! { _ended = connection => {} () = activity.told() => {} }
}
