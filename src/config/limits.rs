//! `limits`: bounds on what clients may ask for, and upstreams may answer.

use serde_json::{Value, json};

use super::file::fault::Complaint;
use super::key::reader::{Fields, Reader, unwritten};
use super::key::{Key, Section, Shape};
use super::kind::quantity::{Count, Size, show_size};
use super::kind::{Around, Kind};

/// More than any machine has sockets or memory for.
pub(super) const MOST: usize = 10_000_000;
/// hyper's read buffer can't be smaller.
const SMALLEST_HEAD: usize = 8 * 1024;
/// Half of what `http::HeaderMap` can hold.
const MOST_HEADERS: usize = 16_384;
/// Less than twice what the proxy takes at rest sheds all the time; more than a pebibyte is a slip.
const MEMORY_SIZE: Size<u64> = Size { default: 0, within: (16 << 20)..=(1 << 50) };

pub(super) static LIMITS: Section = Section {
    name: "limits",
    shape: Shape::One,
    required: false,
    doc: "Limits on requests of clients and responses of upstreams.",
    entries: &[
        &CONNECTIONS,
        &STREAMS,
        &HEADER_BYTES,
        &HEADERS,
        &RESPONSE_HEADER_BYTES,
        &RESPONSE_HEADERS,
        &REPLAY_BYTES,
        &MEMORY,
    ],
};

static CONNECTIONS: Key<Count<usize>> = Key::new(
    "connections",
    // systemd's usual hard limit on descriptors is eight times as many.
    Count { default: 65_536, within: 1..=MOST },
    "Maximum number of client connections, over all workers; fewer if there are not enough file \
     descriptors. When it is reached, the connection that was idle for longest is closed for the \
     new one; if none is idle, the new one is rejected with 503.",
);

static STREAMS: Key<Count<usize>> = Key::new(
    "streams",
    // A quarter of the connections: the rest of them idle between requests.
    Count { default: 16_384, within: 1..=MOST },
    "Maximum number of requests in flight, over all workers; more are rejected with 503.",
);

static HEADER_BYTES: Key<Size<usize>> = Key::new(
    "header_bytes",
    // Twice what nginx takes by default (`large_client_header_buffers 4 8k`).
    Size { default: 64 * 1024, within: SMALLEST_HEAD..=(16 << 20) },
    "Maximum size of a request head in bytes; larger ones are rejected with 431.",
);

static HEADERS: Key<Count<usize>> = Key::new(
    "headers",
    // Apache httpd takes 100 by default (`LimitRequestFields`).
    Count { default: 128, within: 1..=MOST_HEADERS },
    "Maximum number of header lines of a request; more are rejected with 431.",
);

static RESPONSE_HEADER_BYTES: Key<Size<usize>> = Key::new(
    "response_header_bytes",
    // As for requests: `OpenAI`'s answers have 2 KiB.
    Size { default: 64 * 1024, within: SMALLEST_HEAD..=(8 << 20) },
    "Maximum size of a response head, and of response trailers, in bytes (names, values, and 32 \
     for each line); larger ones fail with 502.",
);

static RESPONSE_HEADERS: Key<Count<usize>> = Key::new(
    "response_headers",
    // nginx has no bound on lines, and gateways that add one for each plugin send more than 100. `OpenAI`'s
    // answers have 30.
    Count { default: 256, within: 1..=MOST_HEADERS },
    "Maximum number of header lines of a response, and of trailer lines; more fail with 502.",
);

static REPLAY_BYTES: Key<Size<usize>> = Key::new(
    "replay_bytes",
    // Chat requests with long context fit; an audio upload is not kept.
    Size { default: 1024 * 1024, within: 0..=(1 << 30) },
    "Bytes of a request body kept in memory so that the request can be sent again. A larger body \
     is sent once only.",
);

static MEMORY: Key<Memory> = Key::new(
    "memory",
    // A process that the kernel kills takes every stream with it, and where there is no control group with a
    // limit this costs nothing.
    Memory { default: MemoryLimit::Auto },
    "Memory limit. From 75 % of it, new requests are rejected with 503 and requests whose peer \
     does not read are ended; from 90 %, new connections are rejected with 503 too. `auto`: the \
     limit of the control group, if it has one.",
);

/// Bounds on what a client may ask of us.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Client connections at once, over all workers; fewer where descriptors are short.
    pub connections: usize,
    /// Requests in flight at once, over all workers; beyond it 503 with `Retry-After`.
    pub streams: usize,
    /// A request head's bytes.
    pub header_bytes: usize,
    /// A request head's header lines.
    pub headers: usize,
    /// Bytes of an answer's head, names and values and 32 for each line; and of its trailers.
    pub response_header_bytes: usize,
    /// Header lines of the same.
    pub response_headers: usize,
    /// Bytes of a request body kept for a safe replay.
    pub replay_bytes: usize,
    /// What memory may be used before new requests are refused.
    pub memory: MemoryLimit,
}

/// The memory that the proxy keeps under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Nobody looks.
    Off,
    /// The process's control group's, where it has one; counted as the kernel counts it.
    Auto,
    /// This many bytes of resident memory.
    Bytes(u64),
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Self {
        let fields = reader.section(root, &LIMITS);
        Self {
            connections: reader.get(&fields, &CONNECTIONS),
            streams: reader.get(&fields, &STREAMS),
            header_bytes: reader.get(&fields, &HEADER_BYTES),
            headers: reader.get(&fields, &HEADERS),
            response_header_bytes: reader.get(&fields, &RESPONSE_HEADER_BYTES),
            response_headers: reader.get(&fields, &RESPONSE_HEADERS),
            replay_bytes: reader.get(&fields, &REPLAY_BYTES),
            memory: reader.get(&fields, &MEMORY),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        unwritten(Self::read)
    }
}

/// `auto`, `off` or a size.
struct Memory {
    default: MemoryLimit,
}

impl Kind for Memory {
    type Value = MemoryLimit;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<MemoryLimit, Complaint> {
        match text {
            "auto" => Ok(MemoryLimit::Auto),
            "off" => Ok(MemoryLimit::Off),
            size => MEMORY_SIZE.read(size, around).map(MemoryLimit::Bytes),
        }
    }

    fn absent(&self) -> MemoryLimit {
        self.default
    }

    fn name(&self) -> String {
        format!("`auto`, `off`, {}", MEMORY_SIZE.name())
    }

    fn default_text(&self) -> Option<String> {
        Some(show_memory(self.default))
    }

    fn schema(&self) -> Value {
        let (least, most) = (MEMORY_SIZE.within.start(), MEMORY_SIZE.within.end());
        json!({ "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            { "type": "string", "pattern": "^(auto|off)$|^[0-9]+(KiB|MiB|GiB)?$|\\$\\{" },
        ] })
    }
}

/// As it is written in the file.
fn show_memory(limit: MemoryLimit) -> String {
    match limit {
        MemoryLimit::Off => "off".into(),
        MemoryLimit::Auto => "auto".into(),
        MemoryLimit::Bytes(bytes) => show_size(bytes),
    }
}
