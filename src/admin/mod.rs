//! The operator's listener: `/livez /readyz /metrics /stats /reload`, apart from the data path.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::record::Hub;

/// Connections at once: a probe or two and some scrapers; more wait in the listen queue.
const CONNECTIONS: usize = 64;
/// A connection that sends no request for this long is closed; scrapers simply come again.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: out of descriptors, trying at once again would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// Names the format's version; without it Prometheus 3 refuses the page.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

const PATHS: &str = "not found; here are: /livez /readyz /metrics /stats, and POST /reload\n";

/// Reads the configuration again; blocks meanwhile.
pub type Reload = Arc<dyn Fn() -> Reloaded + Send + Sync>;

/// What became of it, with the page that says so.
pub enum Reloaded {
    /// It is in force.
    Applied(serde_json::Value),
    /// The old one stays.
    Refused(serde_json::Value),
}

/// Whether traffic should come: every worker has its warm connections, and none is leaving.
pub struct Readiness {
    workers: Vec<AtomicBool>,
    draining: AtomicBool,
}

impl Readiness {
    /// Not ready until each of `workers` workers says so.
    pub fn new(workers: usize) -> Readiness {
        let workers = (0..workers).map(|_| AtomicBool::new(false)).collect();
        Readiness { workers, draining: AtomicBool::new(false) }
    }

    /// What a worker says of itself; an index out of range is let fall.
    pub fn set_worker(&self, worker: usize, ready: bool) {
        if let Some(state) = self.workers.get(worker) {
            state.store(ready, Ordering::Release);
        }
    }

    /// From now on never ready again.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// All workers ready and no drain begun.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Acquire) && self.ready_workers() == self.workers.len()
    }

    fn ready_workers(&self) -> usize {
        self.workers.iter().filter(|state| state.load(Ordering::Acquire)).count()
    }

    fn report(&self) -> (StatusCode, String) {
        let (ready, all) = (self.ready_workers(), self.workers.len());
        let (status, reason) = if self.draining.load(Ordering::Acquire) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if ready < all {
            (StatusCode::SERVICE_UNAVAILABLE, "workers are warming their connections")
        } else {
            (StatusCode::OK, "ready")
        };
        let report = serde_json::json!({
            "ready": status == StatusCode::OK,
            "reason": reason,
            "workers_ready": ready,
            "workers": all,
        });
        (status, format!("{report}\n"))
    }
}

/// Serves until dropped; HTTP/1.1 with keep-alive. Fails only if the listener cannot be put to
/// use. Dropping the future ends the accepting; connections end with their runtime.
pub async fn serve(
    listener: std::net::TcpListener,
    hub: Arc<Hub>,
    readiness: Arc<Readiness>,
    reload: Reload,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed, so this does not fail.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (hub, readiness) = (Arc::clone(&hub), Arc::clone(&readiness));
        let reload = Arc::clone(&reload);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &hub, &readiness, &reload));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_DEADLINE)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            // A prober that leaves early is no news.
            let _ = connection.await;
            drop(place);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    hub: &Hub,
    readiness: &Readiness,
    reload: &Reload,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/reload" {
        return Ok(match *request.method() {
            Method::POST => reloaded(Arc::clone(reload)).await,
            _ => not_allowed("POST"),
        });
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(not_allowed("GET, HEAD"));
    }
    // A HEAD's body is left out by hyper, which keeps its length.
    Ok(match request.uri().path() {
        "/livez" => page(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => {
            let (status, report) = readiness.report();
            page(status, JSON, report)
        }
        "/metrics" => page(StatusCode::OK, PROMETHEUS, hub.metrics().await),
        "/stats" => page(StatusCode::OK, JSON, hub.stats().await),
        _ => page(StatusCode::NOT_FOUND, TEXT, PATHS),
    })
}

/// Dropped, because its client left, the reload goes on all the same.
async fn reloaded(reload: Reload) -> Response<Full<Bytes>> {
    let (status, report) = match tokio::task::spawn_blocking(move || reload()).await {
        Ok(Reloaded::Applied(report)) => (StatusCode::OK, report),
        Ok(Reloaded::Refused(report)) => (StatusCode::UNPROCESSABLE_ENTITY, report),
        // It panicked, which is in the log.
        Err(_) => return page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the reload failed\n"),
    };
    page(status, JSON, format!("{report}\n"))
}

fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("only {allowed}\n"));
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AccessLog;
    use crate::record::Setup;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::thread;
    use tokio::sync::oneshot;

    /// Serves while `visit` runs, on a runtime as `main` makes it.
    fn visited(readiness: &Arc<Readiness>, visit: impl FnOnce(SocketAddr)) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hub = Hub::new(Setup {
            workers: 1,
            routes: vec!["/v1".into()],
            upstreams: vec!["openai".into()],
            access_log: AccessLog::Off,
            version: "1",
            commit: "c",
        });
        let (hub, readiness) = (Arc::new(hub.unwrap()), Arc::clone(readiness));
        let reload: Reload = Arc::new(|| Reloaded::Refused(serde_json::json!({ "faults": [] })));
        let (end, ended) = oneshot::channel::<()>();
        let serving = thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(async {
                tokio::select! {
                    fault = serve(listener, hub, readiness, reload) => fault.unwrap(),
                    _ = ended => {}
                }
            });
        });
        visit(address);
        drop(end);
        serving.join().unwrap();
    }

    /// Head and body of one answer on a connection of its own.
    fn ask(address: SocketAddr, method: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
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
            let (head, body) = ask(address, "POST", "/reload");
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
            let mut stream = TcpStream::connect(address).unwrap();
            for _ in 0..3 {
                stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"\r\n\r\nok\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    answer.push(byte[0]);
                }
            }
        });
    }
}
