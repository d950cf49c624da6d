//! Requests and answers as tests mean them, whichever HTTP carries them.

use bytes::Bytes;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Each piece leaves in a write, chunk or DATA frame of its own.
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) length: Length,
    pub(crate) trailers: Vec<(String, String)>,
}

/// How long a request says that its body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// There is no body.
    None,
    /// By `content-length`.
    Known,
    /// Not at all: chunked, or by HTTP/2's own end.
    Unknown,
}

impl Ask {
    pub(crate) fn get(target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            pieces: Vec::new(),
            length: Length::None,
            trailers: Vec::new(),
        }
    }

    pub(crate) fn post(target: &str, body: impl Into<Bytes>) -> Self {
        let length = Length::Known;
        Self { method: "POST".to_owned(), pieces: vec![body.into()], length, ..Self::get(target) }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, pieces: Vec<Bytes>, length: Length) -> Self {
        (self.pieces, self.length) = (pieces, length);
        self
    }

    pub(crate) fn trailer(mut self, name: &str, value: &str) -> Self {
        self.length = Length::Unknown;
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body_len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

/// An answer; names of headers and trailers in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Statuses of interim answers.
    pub(crate) interim: Vec<u16>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Chunks, DATA frames, or what single reads gave; none of them empty.
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).first().copied()
    }

    pub(crate) fn header_values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body()).expect("a JSON body")
    }
}
