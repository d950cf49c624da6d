//! What is sent: method, path, headers and a whole body, shared by reference between requests.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

/// A request, cheap to clone: the body is shared.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, in origin form.
    pub path: PathAndQuery,
    /// Headers, sent as they are; `host` and `content-length` are added where absent.
    pub headers: HeaderMap,
    /// The whole body; empty means none.
    pub body: Bytes,
}

/// Why a request could not be made.
#[derive(Debug)]
pub enum RequestError {
    /// Not a path in origin form.
    Path(String),
    /// Not a header name and value.
    Header(String),
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "not a valid request path: {path:?}"),
            Self::Header(header) => write!(f, "not a valid header: {header:?}"),
        }
    }
}

impl std::error::Error for RequestError {}

impl Request {
    /// A `GET` of `path`.
    pub fn get(path: &str) -> Result<Self, RequestError> {
        Self::new(Method::GET, path, Bytes::new())
    }

    /// A `POST` of a JSON `body` to `path`.
    pub fn post(path: &str, body: impl Into<Bytes>) -> Result<Self, RequestError> {
        let mut request = Self::new(Method::POST, path, body.into())?;
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    /// Any method, path and body, with no header yet.
    pub fn new(method: Method, path: &str, body: Bytes) -> Result<Self, RequestError> {
        let parsed = PathAndQuery::try_from(path).map_err(|_| RequestError::Path(path.into()))?;
        if !path.starts_with('/') {
            return Err(RequestError::Path(path.into()));
        }
        Ok(Self { method, path: parsed, headers: HeaderMap::new(), body })
    }

    /// The same request with one more header line.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, RequestError> {
        let wrong = || RequestError::Header(name.into());
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        let value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        self.headers.append(name, value);
        Ok(self)
    }
}
