//! `client`: deadlines toward clients.

use std::time::Duration;

use serde_json::{Value, json};

use super::file::fault::Complaint;
use super::key::reader::{Fields, Reader, unwritten};
use super::key::{Key, Section, Shape};
use super::kind::quantity::{Size, Span, show_duration};
use super::kind::{Around, Kind};

pub(super) static CLIENT: Section = Section {
    name: "client",
    shape: Shape::One,
    required: false,
    doc: "Deadlines toward clients. Each has its own error code.",
    entries: &[&HEAD, &IDLE, &BODY_IDLE, &BODY_RATE, &WRITE_STALL, &DRAIN, &LAME_DUCK],
};

static HEAD: Key<Span> = Key::new(
    "head",
    // A head fits in a few packets; whoever needs longer is stalling on purpose.
    Span { default: Duration::from_secs(10) },
    "Time to receive a complete request head; also the time a new connection has for its first \
     request.",
);

static IDLE: Key<Span> = Key::new(
    "idle",
    // nginx's `keepalive_timeout`: longer than the SDKs keep idle connections, so that they close first
    // and never send on a connection that we are closing.
    Span { default: Duration::from_secs(75) },
    "Close a connection that had no request in flight for this long. An HTTP/2 client's PINGs do \
     not keep it open.",
);

static BODY_IDLE: Key<Span> = Key::new(
    "body_idle",
    // Mobile uplinks pause for seconds, not for half a minute.
    Span { default: Duration::from_secs(30) },
    "Maximum pause within a request body.",
);

static BODY_RATE: Key<Size<u64>> = Key::new(
    "body_rate",
    // Bytes a second, as of Apache httpd's `mod_reqtimeout` (`body=20,MinRate=500`): half of what GPRS carries.
    Size { default: 500, within: 0..=(1 << 30) },
    "Minimum average rate of a request body in bytes per second, not counting pauses of up to \
     `body_idle`. Slower requests are rejected with 408. Time in which the upstream does not read \
     does not count. 0 turns it off.",
);

static WRITE_STALL: Key<Span> = Key::new(
    "write_stall",
    // As long as a zero TCP window may last before we free what we hold for the client.
    Span { default: Duration::from_secs(30) },
    "Maximum time in which a client reads nothing although data is waiting for it.",
);

static DRAIN: Key<Span> = Key::new(
    "drain",
    // Kubernetes' default grace period; whoever raises one for long streams raises both.
    Span { default: Duration::from_secs(30) },
    "How long a drain may take, with `lame_duck`; after that the remaining requests are cut.",
);

static LAME_DUCK: Key<LameDuckTime> = Key::new(
    "lame_duck",
    LameDuckTime,
    "After SIGTERM, how long the proxy still accepts connections while `/readyz` is 503 and each response \
     ends its connection, so that balancers move on before the listener closes. `auto`: 5s in a pod of \
     Kubernetes (`KUBERNETES_SERVICE_HOST` is set), otherwise 0.",
);

/// What Kubernetes needs until all of its nodes know that a pod leaves: usually a second or two.
const UNDER_KUBERNETES: Duration = Duration::from_secs(5);

/// Deadlines toward a client.
#[derive(Debug, Clone)]
pub struct ClientDeadlines {
    /// A whole request head, from its first byte or the connection's start; of HTTP/2 the first request.
    pub head: Duration,
    /// A connection on which nothing is asked.
    pub idle: Duration,
    /// Silence inside a request body.
    pub body_idle: Duration,
    /// Bytes a second that a request body must bring on average; 0 sets none.
    pub body_rate: u64,
    /// A client that takes no byte although bytes are ready for it.
    pub write_stall: Duration,
    /// How long a drain may take before what is left is cut, the lame duck included.
    pub drain: Duration,
    /// How long it still accepts after it was told to end.
    pub lame_duck: LameDuck,
}

/// For how long a process that is to end still accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LameDuck {
    /// As long as Kubernetes needs, in one of its pods; not at all elsewhere.
    Auto,
    /// So long; zero is not at all.
    For(Duration),
}

impl ClientDeadlines {
    pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Self {
        let fields = reader.section(root, &CLIENT);
        let client = Self {
            head: reader.get(&fields, &HEAD),
            idle: reader.get(&fields, &IDLE),
            body_idle: reader.get(&fields, &BODY_IDLE),
            body_rate: reader.get(&fields, &BODY_RATE),
            write_stall: reader.get(&fields, &WRITE_STALL),
            drain: reader.get(&fields, &DRAIN),
            lame_duck: reader.get(&fields, &LAME_DUCK),
        };
        if let LameDuck::For(time) = client.lame_duck
            && time >= client.drain
        {
            let drain = show_duration(client.drain);
            let what = format!("leaves no time to drain: `drain` is {drain}, with `lame_duck`");
            reader.fault_in(&fields, &LAME_DUCK, what, "write less, or raise drain");
        }
        client
    }

    /// For how long the process still accepts once it is to end, `in_a_pod` of Kubernetes or elsewhere.
    /// Less than [`ClientDeadlines::drain`].
    pub fn lame_duck(&self, in_a_pod: bool) -> Duration {
        match self.lame_duck {
            LameDuck::For(time) => time,
            LameDuck::Auto if in_a_pod => UNDER_KUBERNETES.min(self.drain / 2),
            LameDuck::Auto => Duration::ZERO,
        }
    }
}

impl Default for ClientDeadlines {
    fn default() -> Self {
        unwritten(Self::read)
    }
}

/// `auto`, a duration or 0.
struct LameDuckTime;

impl Kind for LameDuckTime {
    type Value = LameDuck;

    fn read(&self, text: &str, around: &Around<'_>) -> Result<LameDuck, Complaint> {
        match text {
            "auto" => Ok(LameDuck::Auto),
            "0" | "0s" | "0ms" | "off" => Ok(LameDuck::For(Duration::ZERO)),
            time => Span::ANY.read(time, around).map(LameDuck::For),
        }
    }

    fn absent(&self) -> LameDuck {
        LameDuck::Auto
    }

    fn name(&self) -> String {
        format!("`auto`, {}, or 0", Span::ANY.name())
    }

    fn default_text(&self) -> Option<String> {
        Some("auto".into())
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [{ "enum": [0, "auto", "off"] }, Span::ANY.schema()] })
    }
}
