//! What each path answers.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::connections::{Activity, Connections};
use super::guard::{self, Denied};
use super::publishing::{SUBSCRIBERS, connected, publish};
use super::shared::Shared;
use super::{AdminSetup, Reloaded, UsagePage};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// Names the format's version; without it Prometheus 3 refuses the page.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

const PATHS: &str = "not found; available paths: /livez /readyz /metrics /stats /clients /clients/NAME /usage, POST /reload and POST /subscribers/ID\n";

const NOT_KEPT: &str =
    "usage is not kept; set `store` in the configuration, and start a new process\n";

/// All of them.
pub(super) struct Pages {
    admin_setup: AdminSetup,
    on_loopback: bool,
    metrics: Shared,
    stats: Shared,
    /// Held for a reload: one thread waits for it and no more.
    reloading: tokio::sync::Mutex<()>,
    /// The same for what was used.
    reading: tokio::sync::Mutex<()>,
}

type Answer = Response<Full<Bytes>>;

impl Pages {
    pub(super) fn new(
        admin_setup: AdminSetup,
        on_loopback: bool,
        connections: Connections,
    ) -> Self {
        let (metrics, stats) = (Shared::new(connections.clone()), Shared::new(connections));
        Self {
            admin_setup,
            on_loopback,
            metrics,
            stats,
            reloading: tokio::sync::Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// Answers a request on this connection.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        activity: &Activity,
    ) -> Result<Answer, Infallible> {
        activity.begin();
        let config = (self.admin_setup.config)();
        if let Err(why) =
            guard::may_see(request.uri(), request.headers(), self.on_loopback, &config)
        {
            return Ok(denied(why));
        }
        let reloads = request.uri().path() == "/reload";
        if reloads || request.uri().path().starts_with(SUBSCRIBERS) {
            if *request.method() != Method::POST {
                return Ok(not_allowed("POST"));
            }
            let may = guard::may_change(request.headers(), self.on_loopback, &config);
            return Ok(match may {
                Ok(()) if reloads => self.reloaded(activity).await,
                Ok(()) => {
                    let events = self.admin_setup.hub.events();
                    let others = &*self.admin_setup.others;
                    let (status, text) = publish(&events, others, request).await;
                    page(status, TEXT, text)
                }
                Err(why) => denied(why),
            });
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(not_allowed("GET, HEAD"));
        }
        let hub = &self.admin_setup.hub;
        // A HEAD's body is left out by hyper, which keeps its length.
        Ok(match request.uri().path() {
            "/livez" => page(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => {
                let (status, report) = self.admin_setup.readiness.report();
                page(status, JSON, report)
            }
            "/metrics" => page(StatusCode::OK, PROMETHEUS, self.metrics.get(hub.metrics()).await),
            "/stats" => page(StatusCode::OK, JSON, self.stats.get(hub.stats()).await),
            "/clients" => {
                let text = connected(hub, &*self.admin_setup.others).await;
                page(StatusCode::OK, JSON, text)
            }
            "/usage" => self.usage(request.uri().query().unwrap_or_default(), activity).await,
            path => match path.strip_prefix("/clients/").and_then(|name| hub.client(name)) {
                Some(client) => page(StatusCode::OK, JSON, client),
                None => page(StatusCode::NOT_FOUND, TEXT, PATHS),
            },
        })
    }

    /// Dropped, because its client left, the reading goes on to its end.
    async fn usage(&self, query: &str, activity: &Activity) -> Answer {
        let _stays = activity.busy();
        let _turn = self.reading.lock().await;
        let (usage, query) = (self.admin_setup.usage.clone(), query.to_owned());
        match tokio::task::spawn_blocking(move || usage(&query)).await {
            Ok(UsagePage::Page(kind, text)) => page(StatusCode::OK, kind, text),
            Ok(UsagePage::Wrong(why)) => page(StatusCode::BAD_REQUEST, TEXT, format!("{why}\n")),
            Ok(UsagePage::NotKept) => page(StatusCode::NOT_FOUND, TEXT, NOT_KEPT),
            Ok(UsagePage::Unavailable(why)) => {
                page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n"))
            }
            // It panicked, which is in the log.
            Err(_) => page(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                "usage cannot be read; the log says why\n",
            ),
        }
    }

    /// Dropped, because its client left, the reload goes on all the same.
    async fn reloaded(&self, activity: &Activity) -> Answer {
        let _stays = activity.busy();
        let _turn = self.reloading.lock().await;
        let reload = self.admin_setup.reload.clone();
        let (status, report) = match tokio::task::spawn_blocking(move || reload()).await {
            Ok(Reloaded::Applied(report)) => (StatusCode::OK, report),
            Ok(Reloaded::Refused(report)) => (StatusCode::UNPROCESSABLE_ENTITY, report),
            // It panicked, which is in the log.
            Err(_) => {
                return page(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    TEXT,
                    "the reload failed; the log says why\n",
                );
            }
        };
        page(status, JSON, format!("{report}\n"))
    }
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut refusal =
        page(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("method not allowed; use {allowed}\n"));
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

fn denied(why: Denied) -> Answer {
    let status = match why {
        Denied::NotKnown => StatusCode::UNAUTHORIZED,
        Denied::Page(_) | Denied::NotMeant | Denied::NoToken => StatusCode::FORBIDDEN,
    };
    let mut refusal = page(status, TEXT, format!("{}\n", why.message()));
    if status == StatusCode::UNAUTHORIZED {
        refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    refusal
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
