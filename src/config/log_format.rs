//! `access_log_format`: what a line of the access log looks like.

use serde_json::{Value, json};

use super::file::fault::{Complaint, nearest};
use super::key::Key;
use super::key::reader::{Fields, Reader};
use super::kind::many::Many;
use super::kind::{Around, Kind};

pub(super) static ACCESS_LOG_FORMAT: Key<Many<Form>> = Key::new(
    "access_log_format",
    Many(Form),
    "Format of the access log. `json`: one JSON object per request, with all fields. `clf`: the Common \
     Log Format of Apache and nginx. A list of fields: one JSON object with these fields, in this order.",
);

/// What a line of the access log looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object with these fields, in this order.
    Json(Vec<LogField>),
    /// The Common Log Format.
    Clf,
}

/// An enum whose variants are the fields of the access log, each with its name.
macro_rules! fields {
    ($( $variant:ident = $name:literal, )+) => {
        /// A field of the access log. What each means is in `docs/logs.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names say it, and the table of docs/logs.md in full")]
        pub enum LogField {
            $( $variant, )+
        }

        impl LogField {
            /// In the order in which they are written by default.
            pub const ALL: [LogField; [$($name),+].len()] = [$(LogField::$variant),+];

            /// As it stands in the log and in the configuration.
            pub const fn name(self) -> &'static str {
                match self {
                    $( LogField::$variant => $name, )+
                }
            }
        }
    };
}

fields! {
    Ts = "ts",
    Id = "id",
    Client = "client",
    ClientName = "client_name",
    Hashed = "hashed",
    Version = "version",
    Method = "method",
    Path = "path",
    Route = "route",
    Model = "model",
    Stream = "stream",
    Upstream = "upstream",
    UpstreamVersion = "upstream_version",
    Status = "status",
    UpstreamStatus = "upstream_status",
    Outcome = "outcome",
    Error = "error",
    Cause = "cause",
    Cold = "cold",
    PoolWait = "pool_wait_us",
    Ttfb = "ttfb_us",
    FirstBody = "first_body_us",
    Overhead = "overhead_us",
    GapMax = "gap_max_us",
    Frames = "frames",
    BytesUp = "bytes_up",
    BytesDown = "bytes_down",
    BytesSent = "bytes_sent",
    Replays = "replays",
    Attempts = "attempts",
    Failovers = "failovers",
    Retries = "retries",
    RetryWait = "retry_wait_us",
    AttemptPrevented = "attempt_prevented",
    Hedge = "hedge",
    Cancel = "cancel_us",
    Duration = "duration_us",
    Usage = "usage",
    Estimated = "estimated",
    Cost = "cost_usd",
    UpstreamRequestId = "upstream_request_id",
    ClientRequestId = "client_request_id",
    Traceparent = "traceparent",
}

impl Default for LogFormat {
    fn default() -> Self {
        Self::Json(LogField::ALL.to_vec())
    }
}

impl LogFormat {
    /// Whether its lines have this field.
    pub fn has(&self, field: LogField) -> bool {
        matches!(self, Self::Json(fields) if fields.contains(&field))
    }

    pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Self {
        let faults_before = reader.count();
        let parts = reader.get_many(root, &ACCESS_LOG_FORMAT);
        if let [(_, whole)] = parts.as_slice()
            && let Part::Json | Part::Clf = whole
        {
            return if *whole == Part::Clf { Self::Clf } else { Self::default() };
        }
        let mut fields = Vec::with_capacity(parts.len());
        for (at, part) in parts {
            match part {
                Part::Field(field) if !fields.contains(&field) => fields.push(field),
                Part::Field(field) => {
                    let what = format!("names `{}` twice", field.name());
                    reader.fault(at, ACCESS_LOG_FORMAT.name, what, "remove one of them");
                }
                Part::Json | Part::Clf if reader.count() == faults_before => {
                    let what = "has a format in a list of fields";
                    let hint = "write only the format, or only fields";
                    reader.fault(at, ACCESS_LOG_FORMAT.name, what, hint);
                }
                Part::Json | Part::Clf => {}
            }
        }
        Self::Json(fields)
    }
}

/// What stands in the file: a format, or one field of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Json,
    Clf,
    Field(LogField),
}

/// `json`, `clf`, or the name of a field.
pub(super) struct Form;

impl Kind for Form {
    type Value = Part;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Part, Complaint> {
        match text {
            "json" => return Ok(Part::Json),
            "clf" => return Ok(Part::Clf),
            _ => {}
        }
        let field = LogField::ALL.into_iter().find(|field| field.name() == text);
        field.map(Part::Field).ok_or_else(|| {
            let names = LogField::ALL.map(LogField::name);
            let hint = match nearest(text, ["json", "clf"].into_iter().chain(names)) {
                Some(likely) => format!("did you mean {likely}?"),
                None => format!("write json, clf, or a list of fields: {}", names.join(", ")),
            };
            Complaint::new("is not a format or field of the access log", hint)
        })
    }

    fn absent(&self) -> Part {
        Part::Json
    }

    fn name(&self) -> String {
        "`json`, `clf`, a field".into()
    }

    fn default_text(&self) -> Option<String> {
        Some("json".into())
    }

    fn schema(&self) -> Value {
        let mut words = vec!["json", "clf"];
        words.extend(LogField::ALL.map(LogField::name));
        json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] })
    }
}
